"""The figures of a report: asked of the store in one form, worked out exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final, NamedTuple

from spanledger.report.by import By
from spanledger.report.period import Period
from spanledger_exporter.sql import render

Ask = Callable[[str, Mapping[str, str | int]], Sequence[Mapping[str, Any]]]
"""SQL and parameters in, rows by column name out; decimals exact."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PICODOLLAR: Final = Decimal("1e-12")
_MILLIONTH: Final = Decimal("1e-6")


class Line(NamedTuple):
    """One group. Dollars are exact; None is unknown, never zero."""

    name: str
    cost: Decimal | None
    calls: int
    priced: int
    """Calls whose cost is known."""
    unpriced: int
    """Calls whose cost is unknown though they may have been billed."""
    input_tokens: int | None
    output_tokens: int | None
    cost_before: Decimal | None
    calls_before: int

    @property
    def cost_per_call(self) -> Decimal | None:
        """Over the calls whose cost is known; to 12 digits."""
        if self.cost is None or not self.priced:
            return None
        return (self.cost / self.priced).quantize(_PICODOLLAR, ROUND_HALF_EVEN)

    @property
    def change(self) -> Decimal | None:
        """Growth of the cost since the period before, as a fraction; None where there is nothing to compare with."""
        if self.cost is None or not self.cost_before:
            return None
        return ((self.cost - self.cost_before) / self.cost_before).quantize(_MILLIONTH, ROUND_HALF_EVEN)

    @property
    def unpriced_share(self) -> Decimal:
        """Of the calls, as a fraction."""
        return (Decimal(self.unpriced) / max(self.calls, 1)).quantize(_MILLIONTH, ROUND_HALF_EVEN)

    def share_of(self, total: Line) -> Decimal | None:
        """Of the known cost of everything, as a fraction."""
        return _fraction(self.cost, total.cost)


class Report(NamedTuple):
    """What was asked and the answer."""

    by: By
    period: Period
    lines: tuple[Line, ...]
    """The dearest first, or in the order of time; no more than were asked for."""
    total: Line
    """Of everything, also of groups that are not among `lines`."""
    others: int
    """How many groups are not among `lines`."""


def ask(question: Ask, sql: str, by: By, period: Period, limit: int) -> Report:
    """Work out a report; `sql` is the text of `schemas/queries/report.sql`, which is asked twice: lines and total."""

    def found(dimension: str) -> Sequence[Mapping[str, Any]]:
        parameters: dict[str, str | int] = {
            "start": _microseconds(period.start),
            "end": _microseconds(period.end),
            "before_start": _microseconds(period.before_start),
            "before_end": _microseconds(period.before_end),
            "tz": str(period.start.tzinfo),
            "by_time": int(by.is_time),
            "limit": limit,
        }
        return question(render(sql, {"by": dimension}), parameters)

    lines = found(by.value)
    total = found("everything")
    return Report(
        by,
        period,
        tuple(_line(row) for row in lines),
        _line(total[0]) if total else Line("", None, 0, 0, 0, None, None, None, 0),
        int(lines[0]["groups"]) - len(lines) if lines else 0,
    )


def _line(row: Mapping[str, Any]) -> Line:
    return Line(
        str(row["name"]),
        _decimal(row["cost"]),
        int(row["calls"]),
        int(row["priced"]),
        int(row["unpriced"]),
        _integer(row["tokens_in"]),
        _integer(row["tokens_out"]),
        _decimal(row["cost_before"]),
        int(row["calls_before"]),
    )


def _decimal(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _integer(value: Any) -> int | None:
    return None if value is None else int(value)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _fraction(part: Decimal | None, whole: Decimal | None) -> Decimal | None:
    if part is None or not whole:
        return None
    return (part / whole).quantize(_MILLIONTH, ROUND_HALF_EVEN)
