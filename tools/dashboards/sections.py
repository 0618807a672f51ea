"""The queries: one .sql file a board, one `-- name: section` a query, with a few placeholders.

Placeholders are written `{name}` or `{name:argument}`; Grafana's own `${...}` and `$__...` pass through untouched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

NOTHING: Final = "(none)"
"""How an empty name is shown and picked. An empty value cannot be: Grafana takes it for All."""
NO_PRICE: Final = "(no price)"
"""How an empty `model` is shown: it is the model that was priced."""

WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_FOLDER: Final = Path(__file__).parent / "sql"
_SECTION: Final = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_COMMENT: Final = re.compile(r"^\s*--[^\n]*\n", re.MULTILINE)
_PLACEHOLDER: Final = re.compile(r"(?<!\$)\{(\w+)(?::(\w+))?\}")

_BUDGET: Final = (
    "concat(scope, if(name = '', '', concat(' ', name)), if(tenant_id = '', '', concat(' of ', tenant_id)),"
    " ' each ', period)"
)
# Rollups know whole hours only, so every panel takes the hours that the range touches, calls included: they agree.
# Hours are those of UTC whatever zone the server keeps, hence toTimeZone.
_FRAGMENTS: Final = {
    "start": "toStartOfHour(toTimeZone($__fromTime, 'UTC'))",
    "end": "toStartOfHour(toTimeZone($__toTime, 'UTC') - 1) + INTERVAL 1 HOUR",
    "running": "toStartOfHour(toTimeZone($__toTime, 'UTC'))",
    "hours": "hour >= toStartOfHour(toTimeZone($__fromTime, 'UTC')) AND hour < $__toTime",
    "stamps": "timestamp >= toStartOfHour(toTimeZone($__fromTime, 'UTC'))"
    " AND timestamp < toStartOfHour(toTimeZone($__toTime, 'UTC') - 1) + INTERVAL 1 HOUR",
    "bar": "toStartOfInterval(hour, INTERVAL $__interval_s second)",
    "stamp_bar": "toStartOfInterval(toDateTime(timestamp, 'UTC'), INTERVAL $__interval_s second)",
    "budget_title": _BUDGET,
    "chosen_budget": f"{_BUDGET} = decodeURLComponent(splitByChar('=', '${{budget:queryparam}}')[2])",
    "days_of_week": ",\n  ".join(
        f"toFloat64(sumIf(cost_usd, toDayOfWeek(hour) = {day})) / nullIf(days[{day}], 0) AS {name}"
        for day, name in enumerate(WEEKDAYS, 1)
    ),
}


class Filter(NamedTuple):
    """A dashboard variable and the column it picks values of."""

    variable: str
    column: str
    label: str

    @property
    def condition(self) -> str:
        """The column is one of the values picked; true for All.

        No quoting format of Grafana survives a backslash in a value, and names come from whoever sends spans: the
        values travel percent-encoded and are decoded by the server. `queryparam` makes `var-NAME=a&var-NAME=b`.
        """
        values = f"arrayJoin(splitByChar('&', '${{{self.variable}:queryparam}}'))"
        decoded = f"decodeURLComponent(splitByChar('=', {values})[2])"
        return f"$__conditionalAll({self.shown} IN (SELECT {decoded}), ${self.variable})"

    @property
    def shown(self) -> str:
        """The column's value as people see it."""
        return shown(self.column)


def shown(column: str) -> str:
    """`column` with a word in place of emptiness. agent_id is never empty, and stays usable by the primary key."""
    word = NO_PRICE if column == "model" else NOTHING
    return column if column == "agent_id" else f"if({column} = '', '{word}', toString({column}))"


@cache
def sections(name: str) -> Mapping[str, str]:
    """The queries of `sql/name.sql` by their names, placeholders not yet filled, comments left out."""
    parts = _SECTION.split((_FOLDER / f"{name}.sql").read_text(encoding="utf-8"))
    names = parts[1::2]
    if len(names) != len(set(names)):
        raise ValueError(f"{name}.sql has two sections of one name")
    return dict(zip(names, (_COMMENT.sub("", text).strip() for text in parts[2::2]), strict=True))


def fill(text: str, filters: Sequence[Filter] = ()) -> str:
    """`text` with its placeholders replaced. Raises `KeyError` for one that does not exist."""

    def fragment(match: re.Match[str]) -> str:
        name, argument = match.groups()
        if name == "picked":
            return "\n  AND ".join(each.condition for each in filters) or "1"
        if name == "shown":
            return shown(argument)
        if name == "shared":
            before = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
            margin = "\n" + before if before.isspace() else "\n"
            return fill(sections("shared")[argument], filters).replace("\n", margin)
        return _FRAGMENTS[name]

    return _PLACEHOLDER.sub(fragment, text)
