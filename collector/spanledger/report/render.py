"""A report as a table for people, or as CSV or JSON for programs."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from rich.console import Console

from spanledger.cli.terminal import cell, table
from spanledger.report.figures import Line, Report

_NOBODY: Final = "(none)"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
FIELDS: Final = (
    "name", "cost_usd", "share", "calls", "cost_per_call_usd", "input_tokens", "output_tokens",
    "cost_before_usd", "change", "unpriced_calls", "unpriced_share",
)  # fmt: skip


def print_table(report: Report, console: Console) -> None:
    """The table, its totals, and what one must know to read it."""
    compared = report.period.is_compared
    columns = [report.by.value, "cost USD", "share", "calls", "USD/call", "tokens in", "tokens out"]
    columns += ["change", "unpriced"] if compared else ["unpriced"]
    made = table([(name, "right" if place else "left") for place, name in enumerate(columns)], show_footer=True)
    for line in report.lines:
        made.add_row(*(cell(text) for text in _cells(line, report, compared)))
    for column, text in zip(made.columns, _cells(report.total._replace(name="total"), report, compared), strict=True):
        column.footer = cell(text, "bold")
    console.print(cell(_heading(report), "bold"))
    console.print(made)
    for note in _notes(report):
        console.print(cell(note, "dim"))


def _cells(line: Line, report: Report, compared: bool) -> list[str]:
    cells = [
        line.name or _NOBODY,
        dollars(line.cost),
        percent(line.share_of(report.total)),
        f"{line.calls:,}",
        dollars(line.cost_per_call),
        _count(line.input_tokens),
        _count(line.output_tokens),
    ]
    return [*cells, *([_change(line)] if compared else []), percent(line.unpriced_share) if line.unpriced else "-"]


def _heading(report: Report) -> str:
    period = report.period
    return f"Cost by {report.by.value}, {_moment(period.start)} to {_moment(period.end)} ({period.start.tzinfo})"


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M")


def _notes(report: Report) -> list[str]:
    notes = []
    if report.others:
        notes.append(f"{report.others:,} more {'later' if report.by.is_time else 'with less'}; --limit shows them")
    if report.period.is_compared:
        period = report.period
        notes.append(f"change: against {_moment(period.before_start)} to {_moment(period.before_end)}")
    if report.total.unpriced:
        notes.append(
            f"{report.total.unpriced:,} calls have no known cost and add nothing to the sums; "
            "cost_status in calls says why, spanledger doctor what to do"
        )
    return notes


def dollars(amount: Decimal | None) -> str:
    """Six digits, which is a dollar per million; smaller amounts in full. Unknown is said."""
    if amount is None:
        return "unknown"
    if amount and abs(amount) < Decimal("0.000001"):
        return f"{amount.normalize():f}"
    return f"{amount:,.6f}"


def percent(fraction: Decimal | None) -> str:
    """One digit after the point."""
    return "-" if fraction is None else f"{fraction * 100:.1f} %"


def _change(line: Line) -> str:
    if line.change is not None:
        return f"{line.change * 100:+,.1f} %"
    return "new" if line.calls and not line.calls_before else "-"


def _count(tokens: int | None) -> str:
    return "unknown" if tokens is None else f"{tokens:,}"


def as_json(report: Report) -> str:
    """One object: what was asked, the lines, the total. Dollars and fractions are text, exact."""
    period = report.period
    document = {
        "by": report.by.value,
        "time_zone": str(period.start.tzinfo),
        "from": period.start.isoformat(),
        "to": period.end.isoformat(),
        "before_from": period.before_start.isoformat() if period.is_compared else None,
        "before_to": period.before_end.isoformat() if period.is_compared else None,
        "lines": [_record(line, report) for line in report.lines],
        "more": report.others,
        "total": _record(report.total, report),
    }
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def as_csv(report: Report) -> str:
    """A header and one record a line; no total. Unknown is empty.

    A name that a spreadsheet would run as a formula gets an apostrophe in front: names come from strangers.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    for line in report.lines:
        record = _record(line, report)
        name = line.name
        writer.writerow(record | {"name": f"'{name}" if name.startswith(_FORMULA) else name})
    return text.getvalue()


def _record(line: Line, report: Report) -> dict[str, Any]:
    return {
        "name": line.name,
        "cost_usd": _exact(line.cost),
        "share": _exact(line.share_of(report.total)),
        "calls": line.calls,
        "cost_per_call_usd": _exact(line.cost_per_call),
        "input_tokens": line.input_tokens,
        "output_tokens": line.output_tokens,
        "cost_before_usd": _exact(line.cost_before),
        "change": _exact(line.change),
        "unpriced_calls": line.unpriced,
        "unpriced_share": _exact(line.unpriced_share),
    }


def _exact(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"
