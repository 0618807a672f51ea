"""What a reprice changed, as a table for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from rich.console import Console
from rich.table import Table

from spanledger.cli.terminal import cell, table
from spanledger.report.render import dollars
from spanledger.reprice.changes import Changes, Group
from spanledger.reprice.command import Result
from spanledger.reprice.run import Asked

_SHOWN: Final = 200
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PICODOLLARS: Final = 12


def show(result: Result, asked: Asked, console: Console) -> None:
    """The table, what it is of, and what it left out."""
    changes = result.outcome.changes
    if changes.total.calls:
        console.print(_table(changes))
    for line in _lines(result, asked):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _lines(result: Result, asked: Asked) -> list[str]:
    changes, resumed_us = result.outcome
    done = "would change" if asked.dry else f"changed by {result.by}" if result.by else "changed"
    lines = [
        f"{_time(asked.first_us)} to {_time(asked.last_us)} (UTC), price book {result.book}",
        f"{changes.total.calls:,} of {changes.looked_at:,} calls {done}",
    ]
    if resumed_us is not None:
        lines.append(f"taken up at {_time(resumed_us)}, where an earlier run broke off: the table is of the rest")
    if changes.provisional:
        lines.append(
            f"{changes.provisional:,} calls may still be corrected by their collector and were left as they are: "
            "run it again later, or on the machine of the collector"
        )
    return lines


def _table(changes: Changes) -> Table:
    made = table(
        [
            ("model", "left"), ("agent", "left"), ("calls", "right"), ("old USD", "right"), ("new USD", "right"),
            ("change", "right"), ("unknown", "right"),
        ]
    )  # fmt: skip
    groups = changes.groups()
    for model, agent, group in groups[:_SHOWN]:
        made.add_row(cell(model or "(none)"), cell(agent), *map(cell, _sums(group)))
    if len(groups) > _SHOWN:
        rest = Group()
        for _, _, group in groups[_SHOWN:]:
            rest.add(group)
        made.add_row(cell(f"({len(groups) - _SHOWN:,} more)"), cell(""), *map(cell, _sums(rest)))
    made.add_section()
    made.add_row(cell("all", "bold"), cell(""), *(cell(text, "bold") for text in _sums(changes.total)))
    return made


def _sums(group: Group) -> tuple[str, ...]:
    """Calls whose cost is not known are counted before and after: they add nothing to a sum."""
    unknown = f"{group.old_unknown:,} -> {group.new_unknown:,}" if group.old_unknown or group.new_unknown else "-"
    change = group.new - group.old
    sign = "+" if change > 0 else ""
    return f"{group.calls:,}", _dollars(group.old), _dollars(group.new), sign + _dollars(change), unknown


def _dollars(picodollars: int) -> str:
    return dollars(Decimal(picodollars).scaleb(-_PICODOLLARS))


def _time(microseconds: int) -> str:
    return (_EPOCH + timedelta(microseconds=microseconds)).strftime("%Y-%m-%d %H:%M")
