"""Booked calls in pages: a bounded number of rows at a time, in the order of their start, whatever the range."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, Protocol

from clickhouse_connect.driver.client import Client

from spanledger_core.rows import CALL_COLUMNS, CallRow
from spanledger_exporter.sql import query_text, render

PAGE_ROWS: Final = 20_000
"""Rows of a page, as far as one second holds fewer."""
_SECOND_US: Final = 1_000_000
_DAY_US: Final = 86_400 * _SECOND_US
_AS_INTEGERS: Final = {"DateTime64": "int"}


class Span(NamedTuple):
    """A stretch of time, [first, last), microseconds since 1970 UTC, and how many physical rows start in it."""

    first_us: int
    last_us: int
    rows: int


class Asks(Protocol):
    """A store that answers SQL."""

    def query(self, sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        """The rows of a statement."""


def days(store: Asks, first_us: int, last_us: int) -> list[Span]:
    """The UTC days of a range that hold calls, cut to the range."""
    found = store.query(query_text("reprice_days"), {"first": first_us, "last": last_us})
    return [
        Span(max(day * _SECOND_US, first_us), min(day * _SECOND_US + _DAY_US, last_us), rows) for day, rows in found
    ]


def pages(store: Asks, day: Span, page_rows: int = PAGE_ROWS) -> Iterator[Span]:
    """A day in stretches of whole seconds, which together cover it."""
    if day.rows <= page_rows:
        yield day
        return
    first_us, rows = day.first_us, 0
    for second, count in store.query(query_text("reprice_seconds"), {"first": day.first_us, "last": day.last_us}):
        if rows and rows + count > page_rows:
            yield Span(first_us, second * _SECOND_US, rows)
            first_us, rows = second * _SECOND_US, 0
        rows += count
    yield Span(first_us, day.last_us, rows)


def rows_of(client: Client, page: Span) -> list[CallRow]:
    """The calls of a page as they are booked, ready to be booked again."""
    sql = render(query_text("reprice_page"), {"columns": CALL_COLUMNS})
    parameters = {"first": page.first_us, "last": page.last_us}
    return [tuple(row) for row in client.query(sql, parameters, query_formats=_AS_INTEGERS).result_rows]
