"""Why a booked call costs what it costs: quantity times rate, line by line, from the row and its price lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import product
from typing import Any, Final, NamedTuple

from spanledger.reprice.proof import lines_of
from spanledger_core.facts import Usage
from spanledger_processor.pricing.explain import Proof, Term, explain
from spanledger_processor.pricing.lines import PriceLine

_TOKENS: Final = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens",
    "reasoning_tokens", "audio_input_tokens", "audio_output_tokens",
)  # fmt: skip
"""In the order of `Usage`."""
_PICODOLLARS: Final = 12
_MAX_RATES: Final = 64
"""Combinations of currency rates tried."""

REASONS: Final[Mapping[str, str]] = {
    "unpriced_model": "no price is known for this model in this context: add a line, then reprice",
    "no_usage": "the span says nothing of what was used",
    "not_billed": "the provider refused the call before any output",
    "suspect_usage": "the instrumentation made its figures up",
    "bad_usage": "the figures cannot be true, or the cost is beyond what a single call can be",
    "reported": "the cost that the span reported counts for this provider",
}
"""cost_status -> why there are no terms that add up to a cost."""


class Explanation(NamedTuple):
    """A call's cost and its proof. Amounts are integer picodollars."""

    cost: int | None
    """What the row says."""
    proved: int | None
    """What its price lines prove: the cost, or what the cost would be (`estimated_cost_usd`)."""
    terms: tuple[Term, ...]
    missing: tuple[str, ...]
    """Buckets without a price."""
    lines: Mapping[str, PriceLine]
    """By price id."""

    @property
    def adds_up(self) -> bool:
        """Do the terms prove what the row says, to the last picodollar?"""
        return self.proved is None or sum(term.amount for term in self.terms) == self.proved


def explain_row(
    row: Mapping[str, Any], price_lines: Sequence[Mapping[str, Any]], same: Mapping[str, str]
) -> Explanation:
    """The proof of a row of `calls` by the rows of `price_lines` that its `price_ids` name.

    `same`: buckets the model bills at the price of another (`PriceBook.same_rules`).
    """
    found = lines_of(price_lines)
    lines = {price_id: found[price_id][0][0] for price_id in row["price_ids"] if price_id in found}
    cost, estimated = picodollars(row["cost_usd"]), picodollars(row["estimated_cost_usd"])
    proved = (cost if cost is not None else estimated) if lines else None
    if not lines:
        return Explanation(cost, None, (), (), {})
    proof = _proof(_usage(row), list(lines.values()), list(_rates(found)), same, proved)
    return Explanation(cost, proved, proof.terms, proof.missing, lines)


def _proof(
    usage: Usage, lines: list[PriceLine], rates: list[dict[str, Decimal]], same: Mapping[str, str], wanted: int | None
) -> Proof:
    """By the rates and the rules of today where they prove it, else by those that do."""
    first = None
    for own in (same, {}):
        for fx in rates:
            proof = explain(usage, lines, fx=fx, same=own)
            if proof.total == wanted:
                return proof
            first = first or proof
    assert first is not None
    return first


def _rates(found: Mapping[str, Sequence[tuple[PriceLine, Decimal]]]) -> Iterator[dict[str, Decimal]]:
    """The rates the currencies of these lines were used with, one choice for each."""
    used: dict[str, dict[Decimal, None]] = {}
    for each in found.values():
        for line, rate in each:
            used.setdefault(line.currency, {})[rate] = None
    for _, choice in zip(range(_MAX_RATES), product(*used.values()), strict=False):
        yield dict(zip(used, choice, strict=True))


def _usage(row: Mapping[str, Any]) -> Usage:
    numbers = [None if row[name] is None else int(row[name]) for name in _TOKENS]
    units = tuple((name, int(amount)) for name, amount in row["units"].items())
    return Usage._make((*numbers, units, row["usage_convention"], "ok"))


def picodollars(amount: Decimal | int | None) -> int | None:
    """Dollars with at most 12 digits after the point."""
    return None if amount is None else int(Decimal(amount).scaleb(_PICODOLLARS))
