"""Pricing a usage without a span: `prices quote`, and the proof behind an amount."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from spanledger_core.calls import Priced
from spanledger_processor.pricing.book import PriceBook, input_size
from spanledger_processor.pricing.lines import instant_ns


class Question(NamedTuple):
    """A usage to price."""

    provider: str
    model: str
    at: datetime
    context: tuple[tuple[str, str], ...]
    usage: dict[str, int]
    """Disjoint buckets."""


def question(item: Mapping[str, Any]) -> Question:
    """A line of a quote file. Raises ValueError that names what is wrong with it."""
    try:
        at = datetime.fromisoformat(item["timestamp"])
        usage = {name: _amount(name, amount) for name, amount in item["usage"].items()}
        context = tuple(sorted((key, _text(value)) for key, value in item.get("context", {}).items()))
        return Question(str(item["provider"]), str(item["model"]), at.replace(tzinfo=at.tzinfo or UTC), context, usage)
    except KeyError as error:
        raise ValueError(f"{error.args[0]} is missing") from error
    except (AttributeError, TypeError) as error:
        raise ValueError(f"not a quote line: {error}") from error


def _amount(name: str, amount: object) -> int:
    if not isinstance(amount, int) or isinstance(amount, bool):
        raise ValueError(f"usage {name}: {amount!r} is not a whole number")
    return amount


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def price_question(book: PriceBook, asked: Question) -> Priced:
    """What the book says a question costs."""
    usage = {name: amount for name, amount in asked.usage.items() if amount}
    plan = book.plan((asked.provider, "", asked.model, "", asked.context))
    if any(amount < 0 for amount in usage.values()):
        return Priced("bad_usage", plan.model, price_book=book.version)
    if not usage:
        return Priced("no_usage", plan.model, price_book=book.version)
    if plan.thinking is not None and usage.get("reasoning"):
        plan = plan.thinking
    return book.amounts(plan.model, plan.at(instant_ns(asked.at, 0)).tier(input_size(usage)), usage)


def quote(book: PriceBook, item: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to one line: `id`, `cost_usd` (decimal text or None), `cost_status`, `model`, `price_ids`."""
    priced = price_question(book, question(item))
    return {
        "id": item.get("id"),
        "cost_usd": dollars(priced.cost),
        "cost_status": priced.cost_status,
        "model": priced.model,
        "price_ids": list(priced.price_ids),
        **({"missing": list(priced.missing)} if priced.missing else {}),
    }


def dollars(picodollars: int | None) -> str | None:
    """Picodollars as decimal text without trailing zeros."""
    if picodollars is None:
        return None
    sign, amount = ("-" if picodollars < 0 else ""), abs(picodollars)
    text = f"{amount // 10**12}.{amount % 10**12:012d}"
    return sign + text.rstrip("0").rstrip(".")
