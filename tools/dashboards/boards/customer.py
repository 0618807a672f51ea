"""Who is charged what."""

from __future__ import annotations

from tools.dashboards import columns, filters
from tools.dashboards.boards import common
from tools.dashboards.model import Board, Panel, Query, Row
from tools.dashboards.panels import SERIES_VALUE, Column, bar_gauge, graph, stat, table
from tools.dashboards.style import COUNT, ORANGE, SHARE, USD, agent_link, customer_link

_KEPT = ("tenant",)
_AGENT = Column("agent", "Agent", links=[agent_link(kept=_KEPT)])


def board() -> Board:
    """Customers, teams, and the statement."""
    return Board(
        "customer",
        "Customer and chargeback",
        "What each customer and team cost, how much belongs to nobody, and the monthly statement.",
        [
            Row(4, [(5, _spend()), (5, _month()), (4, _customers()), (5, _unallocated()), (5, common.per_success())]),
            Row(10, [(16, _by_customer()), (8, _by_team())]),
            Row(10, [(24, _chargeback())]),
            Row(10, [(24, _matrix())]),
            Row(10, [(24, _statement())]),
        ],
        filters.CUSTOMERS,
        start="now-7d/d",
        refresh="5m",
    )


def _spend() -> Panel:
    return stat("Spend", f"Known cost of all calls picked. {common.WHOLE_HOURS}", Query("spend"), USD, decimals=2)


def _month() -> Panel:
    return stat("Month to date", "Since the first of the month, 00:00 UTC.", Query("month"), USD, decimals=2)


def _customers() -> Panel:
    return stat("Active customers", "Distinct customers with a call in the range.", Query("customers"), COUNT)


def _unallocated() -> Panel:
    text = "Part of the spend whose spans name no customer. Orange from 2 %, red from 10 %."
    warn = ((None, "text"), (0.02, "orange"), (0.1, "red"))
    return stat("Unallocated", text, Query("unallocated"), SHARE, decimals=1, warn=warn)


def _by_customer() -> Panel:
    return graph(
        "Spend by customer",
        f"The seven dearest customers in order, the rest as one. {common.WIDER}",
        [Query("by_customer", "timeseries")],
        USD,
        style="bars",
        stacked="normal",
        ranked=True,
        links=[customer_link(SERIES_VALUE)],
        legend="right",
        calcs=["sum"],
    )


def _by_team() -> Panel:
    return bar_gauge(
        "Spend by team",
        "The twelve dearest teams; (none) where spans name no team.",
        Query("by_team"),
        USD,
        color=ORANGE,
    )


def _chargeback() -> Panel:
    return table(
        "Customers",
        "Change compares the complete hours of the range with as many hours just before. Cost unknown counts calls "
        "that may have been billed and are missing from the spend. Inspect, Data, CSV exports the table.",
        Query("chargeback"),
        [
            columns.CUSTOMER,
            columns.SPEND,
            columns.SHARE_OF_ALL,
            columns.CHANGE,
            Column("month_to_date", "Month to date", USD, 2, total=True),
            columns.CALLS,
            columns.PER_SUCCESS,
            columns.UNKNOWN,
            Column("agents", "Agents", COUNT),
        ],
    )


def _matrix() -> Panel:
    return table(
        "Team, customer, agent",
        "Share is the agent's part of what its customer cost.",
        Query("matrix"),
        [
            Column("squad", "Team"),
            columns.CUSTOMER,
            _AGENT,
            columns.SPEND,
            Column("share", "Of customer", SHARE, 0),
            columns.CALLS,
        ],
    )


def _statement() -> Panel:
    return table(
        "Monthly statement",
        "Whole months (UTC) of the last year, the running one included, whatever range is selected.",
        Query("statement"),
        [
            Column("month", "Month"),
            columns.CUSTOMER,
            columns.SPEND,
            columns.CALLS,
            Column("tokens_in", "Tokens in", COUNT),
            Column("tokens_out", "Tokens out", COUNT),
            columns.UNKNOWN,
        ],
    )
