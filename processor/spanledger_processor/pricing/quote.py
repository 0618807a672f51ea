"""Pricing a usage without a span: `prices quote`, and the proof behind an amount."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from spanledger_core.buckets import BUCKETS
from spanledger_core.calls import Priced
from spanledger_processor.pricing.book import PriceBook, input_size, is_absurd
from spanledger_processor.pricing.files import suggestion
from spanledger_processor.pricing.lines import instant_ns

_EXACT_FLOATS: Final = 2**53
"""Beyond this a number that was written with a point need not be the one that was meant."""


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
    if not isinstance(item, Mapping):
        raise ValueError(f"not a quote line: expected an object, not {item!r:.80}")
    for name in ("timestamp", "usage", "provider", "model"):
        if name not in item:
            raise ValueError(f"{name} is missing")
    usage = {name: _amount(name, amount) for name, amount in _object(item, "usage").items()}
    stated = {key: value for key, value in _object(item, "context").items() if value is not None}
    context = tuple(sorted((key, _value(key, value)) for key, value in stated.items()))
    return Question(_text(item, "provider"), _text(item, "model"), _instant(item), context, usage)


def _object(item: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = item.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"{name}: expected an object, not {value!r:.80}")
    return value


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item[name]
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name}: expected text, not {value!r:.80}")
    return value or ""


def _instant(item: Mapping[str, Any]) -> datetime:
    try:
        at = datetime.fromisoformat(item["timestamp"])
    except (TypeError, ValueError):
        raise ValueError(f"timestamp: {item['timestamp']!r:.80} is not an ISO 8601 instant") from None
    return at.replace(tzinfo=at.tzinfo or UTC)


def _amount(name: str, amount: object) -> int:
    if name not in BUCKETS:
        raise ValueError(f"usage: unknown bucket {name!r:.80}{suggestion(name, BUCKETS)}")
    if isinstance(amount, float) and amount.is_integer() and abs(amount) <= _EXACT_FLOATS:
        return int(amount)
    if not isinstance(amount, int) or isinstance(amount, bool):
        raise ValueError(f"usage {name}: {amount!r:.80} is not a whole number")
    return amount


def _value(key: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise ValueError(f"context {key}: expected a plain value, not {value!r:.80}")
    return str(value)


def price_question(book: PriceBook, asked: Question) -> Priced:
    """What the book says a question costs."""
    usage = {name: amount for name, amount in asked.usage.items() if amount}
    plan = book.plan_of(asked.provider, asked.model, asked.context)
    if any(amount < 0 for amount in usage.values()):
        return Priced("bad_usage", plan.model, price_book=book.version)
    if not usage:
        return Priced("no_usage", plan.model, price_book=book.version)
    if plan.thinking is not None and usage.get("reasoning"):
        plan = plan.thinking
    priced = book.amounts(plan.model, plan.at(instant_ns(asked.at, 0)).tier(input_size(usage)), usage)
    if is_absurd(priced):
        return Priced("bad_usage", priced.model, price_ids=priced.price_ids, price_book=book.version)
    return priced


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
