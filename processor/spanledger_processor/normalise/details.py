"""What a row shows of a call and nothing decides on: first token, reported cost, sampling, kept attributes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

_DAY_NS: Final = 86_400_000_000_000
_MAX_DOLLARS: Final = 1_000_000


def first_token_ns(found: tuple[str, int] | None, values: Sequence[Any], start: int) -> int | None:
    """Nanoseconds from the start to the first token; None where the value makes no sense."""
    if found is None:
        return None
    field, at = found
    value = values[at]
    try:
        if field == "first_token_iso":
            moment = datetime.fromisoformat(str(value).strip('"').replace("Z", "+00:00"))
            elapsed = int(moment.timestamp() * 1e9) - start
        else:
            elapsed = int(float(value) * (1e9 if field == "first_token_s" else 1e6))
    except (ValueError, OverflowError):
        return None
    return elapsed if 0 <= elapsed < _DAY_NS else None


def picodollars(value: Any) -> int | None:
    """US dollars as integer picodollars; None where the value is no amount. Floats count by their shortest decimal."""
    try:
        amount = Decimal(str(value))
        if not amount.is_finite() or not 0 <= amount < _MAX_DOLLARS:
            return None
        return int(amount.scaleb(12).to_integral_value())
    except InvalidOperation:
        return None
