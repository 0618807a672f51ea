"""What Grafana and its ClickHouse plugin make of a panel's rawSql before the server sees it.

Three passes, as in grafana/clickhouse-datasource 4.15 and later: `$__conditionalAll` and then variables in the browser,
the other macros in the plugin's backend. Statement macros (`$__columns`, ...) are not modelled: we use none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import quote

ALL: Final = "$__all"
"""The value of a variable when All is picked."""

_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\$(\w+)")
_MACRO: Final = re.compile(r"\$__(\w+)")
_CONDITIONAL: Final = "$__conditionalAll("
# What encodeURIComponentAsAngularJS of @grafana/data leaves as it is, beyond letters and digits.
_UNESCAPED: Final = "-_.~@:$,;"


class UnknownMacro(ValueError):
    """Grafana would hand it to the server, which refuses it."""


@dataclass(frozen=True)
class Context:
    """What is picked on the dashboard."""

    start: datetime
    end: datetime
    interval_s: int = 3600
    variables: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    """Name -> the value, the values of a variable with several, or `ALL`."""


def expand(sql: str, context: Context) -> str:
    """The statement that reaches the server."""
    return _backend(_interpolate(_conditional_all(sql, context), context), context)


def _conditional_all(sql: str, context: Context) -> str:
    # From the last to the first; the plugin counts parentheses and commas and knows no quotes.
    while (at := sql.rfind(_CONDITIONAL)) >= 0:
        arguments, end = _arguments(sql, at + len(_CONDITIONAL) - 1, quotes="", opening="(", closing=")")
        if len(arguments) != 2:
            raise ValueError(f"$__conditionalAll takes 2 arguments, got {len(arguments)}")
        named = _VARIABLE.search(arguments[1])
        if named is None:
            raise ValueError(f"no variable in {arguments[1]!r}")
        value = context.variables[named[1] or named[3]]
        picked = value if isinstance(value, str) else ",".join(value)
        sql = sql[:at] + ("1=1" if picked in ("", ALL) else arguments[0]) + sql[end:]
    return sql


def _interpolate(sql: str, context: Context) -> str:
    def value_of(match: re.Match[str]) -> str:
        name, wanted = match[1] or match[3], match[2]
        if name.startswith("__") or name not in context.variables:
            return match[0]
        value = context.variables[name]
        values = [value] if isinstance(value, str) else value
        if wanted != "queryparam":
            raise ValueError(f"{match[0]}: only queryparam keeps hostile values inside their string")
        return "&".join(f"var-{name}={quote(each, safe=_UNESCAPED)}" for each in values)

    return _VARIABLE.sub(value_of, sql)


def _backend(sql: str, context: Context) -> str:
    macros = _macros(context)
    while match := _MACRO.search(sql):
        name = match[1]
        if name not in macros:
            raise UnknownMacro(match[0])
        wanted, write = macros[name]
        arguments: list[str] = []
        end = match.end()
        if sql[end : end + 1] == "(" and (wanted or sql[end : end + 2] == "()"):
            arguments, end = _arguments(sql, end, quotes="'\"`", opening="([", closing=")]")
            arguments = [each.strip() for each in arguments if each.strip()]
        if len(arguments) != wanted:
            raise ValueError(f"{match[0]} expected {wanted} argument(s), received {len(arguments)}")
        sql = sql[: match.start()] + write(*arguments) + sql[end:]
    return sql


def _arguments(sql: str, at: int, *, quotes: str, opening: str, closing: str) -> tuple[list[str], int]:
    """The arguments of the call whose parenthesis opens at `at`, and where the call ends."""
    depth, arguments, begun, quoted = 0, [], at + 1, ""
    for place in range(at, len(sql)):
        letter = sql[place]
        if quoted:
            quoted = "" if letter == quoted else quoted
        elif letter in quotes:
            quoted = letter
        elif letter in opening:
            depth += 1
        elif letter in closing:
            depth -= 1
        if not quoted and (depth == 0 or (letter == "," and depth == 1)):
            arguments.append(sql[begun:place])
            begun = place + 1
        if depth == 0:
            return arguments, place + 1
    raise ValueError("unclosed macro call")


def _macros(context: Context) -> Mapping[str, tuple[int, Callable[..., str]]]:
    """Macro -> how many arguments it takes, and what it writes."""
    start, end = int(context.start.timestamp()), int(context.end.timestamp())
    seconds = max(context.interval_s, 1)

    def between(column: str, low: str, high: str) -> str:
        return f"{column} >= {low} AND {column} <= {high}"

    def instant(at: int) -> str:
        return f"toDateTime({at})"

    def milli(at: datetime) -> str:
        return f"fromUnixTimestamp64Milli({int(at.timestamp() * 1000)})"

    def day(at: datetime) -> str:
        return f"toDate('{at:%Y-%m-%d}')"

    def day_and_time(date: str, time: str) -> str:
        days = between(date, day(context.start), day(context.end))
        return f"({days}) AND ({between(time, instant(start), instant(end))})"

    return {
        "timeFilter": (1, lambda column: between(column, instant(start), instant(end))),
        "timeFilter_ms": (1, lambda column: between(column, milli(context.start), milli(context.end))),
        "dateFilter": (1, lambda column: between(column, day(context.start), day(context.end))),
        "dateTimeFilter": (2, day_and_time),
        "dt": (2, day_and_time),
        "timeInterval": (1, lambda column: f"toStartOfInterval(toDateTime({column}), INTERVAL {seconds} second)"),
        "timeInterval_ms": (
            1,
            lambda column: f"toStartOfInterval(toDateTime64({column}, 3), INTERVAL {seconds * 1000} millisecond)",
        ),
        "fromTime": (0, lambda: instant(start)),
        "toTime": (0, lambda: instant(end)),
        "fromTime_ms": (0, lambda: milli(context.start)),
        "toTime_ms": (0, lambda: milli(context.end)),
        "interval_s": (0, lambda: str(seconds)),
    }
