"""What caching of prompts saves, and where it does not pay."""

from __future__ import annotations

from tools.dashboards import columns, filters
from tools.dashboards.boards import common
from tools.dashboards.model import Board, Panel, Query, Row
from tools.dashboards.panels import SERIES_VALUE, Column, graph, line_of, stat, table
from tools.dashboards.style import BLUE, COUNT, CYAN, GREEN, PURPLE, SHARE, USD, Step, agent_link

_READS: tuple[Step, ...] = ((None, "text"), (0.0, "red"), (1.0, "orange"), (3.0, "text"))
_NET: tuple[Step, ...] = ((None, "red"), (0.0, "text"))


def board() -> Board:
    """Hits, savings, writes that nobody read."""
    return Board(
        "cache",
        "Cache",
        "How much of the input is read from prompt caches, what that saves, and which writes were never read.",
        [
            Row(4, [(5, _hit_share()), (5, _saved()), (5, _reads_per_write()), (4, _read_cost()), (5, _write_cost())]),
            Row(10, [(24, _hits())]),
            Row(9, [(12, _tokens()), (12, _savings())]),
            Row(11, [(24, _agents())]),
        ],
        filters.CALLS,
        start="now-7d/d",
        refresh="5m",
    )


def _hit_share() -> Panel:
    text = f"Input tokens read from a cache, of all input tokens. {common.WHOLE_HOURS}"
    return stat("Cached input", text, Query("hit_share"), SHARE, decimals=1)


def _saved() -> Panel:
    text = (
        "What the cached tokens would have cost as plain input, less what reading and writing them cost. Red below "
        "zero: caching costs more than it saves."
    )
    return stat("Saved, net", text, Query("saved"), USD, decimals=2, warn=_NET)


def _reads_per_write() -> Panel:
    text = "Tokens read for each token written. Red below 1: most of what is written is never read."
    return stat(
        "Reads per write", text, Query("reads_per_write"), "none", decimals=1, warn=_READS, nothing="no cache writes"
    )


def _read_cost() -> Panel:
    return stat("Paid for reads", "Cost of cached input tokens.", Query("read_cost"), USD, decimals=2)


def _write_cost() -> Panel:
    return stat("Paid for writes", "Cost of tokens written to caches.", Query("write_cost"), USD, decimals=2)


def _hits() -> Panel:
    return graph(
        "Cached input by agent",
        "Share of input tokens read from a cache; the seven agents with the most input. A fall often means that a "
        "prompt begins with something that changes.",
        [Query("hits", "timeseries")],
        SHARE,
        ranked=True,
        links=[agent_link(SERIES_VALUE)],
        legend="right",
        calcs=["mean"],
        maximum=1,
    )


def _tokens() -> Panel:
    return graph(
        "Input tokens by kind",
        "Of all input tokens: read from a cache, written to one, or neither.",
        [Query("tokens", "timeseries")],
        COUNT,
        style="bars",
        stacked="percent",
        overrides=[
            line_of("fresh", "Neither", BLUE),
            line_of("cache_read", "Read from a cache", CYAN),
            line_of("cache_written", "Written to a cache", PURPLE),
        ],
    )


def _savings() -> Panel:
    return graph(
        "Saved, net",
        "What caching saved less what it cost, bar by bar. Below zero it did not pay.",
        [Query("savings", "timeseries")],
        USD,
        style="bars",
        overrides=[line_of("saved", "Saved", GREEN)],
        calcs=["sum"],
    )


def _agents() -> Panel:
    return table(
        "Where caching pays",
        "Agents and models, dearest first. Reads per write: red below 1. Saved is net of what writing cost.",
        Query("agents"),
        [
            columns.AGENT,
            columns.MODEL,
            columns.SPEND,
            Column("saved", "Saved, net", USD, 2, warn=_NET, total=True),
            Column("share", "Cached input", SHARE, 0),
            Column("tokens", "Input tokens", COUNT, total=True),
            Column("cache_read", "Read", COUNT, total=True),
            Column("cache_written", "Written", COUNT, total=True),
            Column("reads_per_write", "Reads/write", "none", 1, warn=_READS),
            Column("read_cost", "For reads", USD, 2, total=True),
            Column("write_cost", "For writes", USD, 2, total=True),
        ],
    )
