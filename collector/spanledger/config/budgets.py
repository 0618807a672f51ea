"""Budgets as an operator writes them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from spanledger.config.section import Section

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
Dollars = Annotated[Decimal, Field(ge=0, max_digits=38, decimal_places=12)]


class BudgetLine(Section):
    """What may be spent by somebody in a period. The dashboards and alert rules hold spend against it."""

    scope: Literal["agent", "customer", "team", "model", "total"]
    """Whose spend."""
    name: str = ""
    """Which `agent_id`, `customer_id`, `team` or `model`; left out for `total`."""
    period: Literal["day", "week", "month"]
    """UTC; weeks begin on Monday."""
    amount: Dollars
    """US dollars for the whole period; 0 ends the budget from `valid_from` on."""
    valid_from: datetime = _EPOCH
    """A day or an instant; of several lines of one budget the latest that has begun is in force."""
    tenant: str = ""
    """Only the spend of this tenant; empty: that of all together."""

    @field_validator("valid_from", mode="before")
    @classmethod
    def _whole_days_begin_at_midnight(cls, value: Any) -> Any:
        if isinstance(value, date) and not isinstance(value, datetime):
            return datetime(value.year, value.month, value.day, tzinfo=UTC)
        return value

    @field_validator("valid_from")
    @classmethod
    def _utc_where_nothing_else_is_said(cls, value: datetime) -> datetime:
        aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        if not _EPOCH <= aware < datetime(2106, 1, 1, tzinfo=UTC):
            raise ValueError("write an instant between 1970 and 2105")
        return aware.replace(microsecond=0)

    @model_validator(mode="after")
    def _total_has_no_name(self) -> Self:
        if (self.scope == "total") != (self.name == ""):
            raise ValueError("name: leave it out for total, and give it for every other scope")
        return self


def unique(lines: tuple[BudgetLine, ...]) -> tuple[BudgetLine, ...]:
    """The same lines. Raises `ValueError` if two say what holds for one budget from one instant on."""
    seen: dict[tuple[object, ...], int] = {}
    for place, line in enumerate(lines):
        key = (line.scope, line.name, line.tenant, line.period, line.valid_from)
        if key in seen:
            raise ValueError(f"line {place} repeats line {seen[key]} (counted from 0): give it another valid_from")
        seen[key] = place
    return lines
