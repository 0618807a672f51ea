"""The proof of an amount: quantity times rate, line by line, adding up to it.

It needs nothing but the quantities of a row and the price lines its `price_ids` name, so a row is explained by the
lines it was priced with, whatever the book says today.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from spanledger_core.facts import Usage
from spanledger_processor.pricing.lines import PriceLine
from spanledger_processor.pricing.rates import PART_OF, PARTS, Offer, Rate, half_even, rates_of, with_fallbacks
from spanledger_processor.pricing.usage import disjoint


class Term(NamedTuple):
    """One line of a proof."""

    part: str
    """Which of the row's cost columns it belongs to."""
    bucket: str
    quantity: int
    rate: str
    """As the price line says it: `2.5 USD / 1000000 x 0.85`."""
    price_ids: tuple[str, ...]
    amount: int
    """Integer picodollars. What rounding a part once adds or takes is in the line with the largest remainder."""


class Proof(NamedTuple):
    """The terms of an amount; `total` is their sum."""

    terms: tuple[Term, ...]
    missing: tuple[str, ...]
    """Buckets none of the lines prices."""

    @property
    def total(self) -> int:
        """Integer picodollars."""
        return sum(term.amount for term in self.terms)


def explain(
    usage: Usage | Mapping[str, int],
    lines: Iterable[PriceLine],
    *,
    fx: Mapping[str, Decimal] | None = None,
    same: Mapping[str, str] | None = None,
) -> Proof:
    """Prove what a usage (totals as a row has them, or disjoint buckets) cost by these lines.

    `same`: buckets billed at the price of another beyond the general fall-backs (see `PriceBook.same_rules`).
    Raises `Contradiction` for totals that cannot be true.
    """
    lines = list(lines)
    quantities = disjoint(usage) if isinstance(usage, Usage) else dict(usage)
    if any(line.bucket == "requests" for line in lines):
        quantities.setdefault("requests", 1)
    rates = with_fallbacks(rates_of([Offer(line, ()) for line in lines], {}, fx or {}), same or {})
    counted = {bucket: quantity for bucket, quantity in quantities.items() if quantity and bucket in rates}
    terms: list[Term] = []
    for part in range(len(PARTS)):
        terms += _part_terms(part, counted, rates)
    missing = tuple(bucket for bucket, quantity in quantities.items() if quantity and bucket not in rates)
    return Proof(tuple(terms), missing)


def _part_terms(part: int, counted: Mapping[str, int], rates: Mapping[str, Rate]) -> list[Term]:
    """The terms of one part: whole picodollars that add up to the part rounded half-even once."""
    exact = {
        bucket: quantity * rates[bucket].picodollars for bucket, quantity in counted.items() if PART_OF[bucket] == part
    }
    total = sum(exact.values(), Fraction(0))
    left = half_even(total.numerator, total.denominator) - sum(int(amount // 1) for amount in exact.values())
    by_remainder = sorted(exact, key=lambda bucket: (-(exact[bucket] % 1), bucket))
    raised = set(by_remainder[:left])
    return [
        Term(
            PARTS[part],
            bucket,
            counted[bucket],
            _rate_text(rates[bucket].lines),
            tuple(line.price_id for line in rates[bucket].lines),
            int(amount // 1) + (bucket in raised),
        )
        for bucket, amount in exact.items()
    ]


def _rate_text(lines: tuple[PriceLine, ...]) -> str:
    price, *factors = lines
    if price.kind == "free":
        return "free"
    text = f"{price.unit_price.normalize():f} {price.currency} / {price.unit_size}"
    return text + "".join(f" x {factor.unit_price.normalize():f}" for factor in factors)
