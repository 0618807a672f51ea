"""Who spends what, on which model, when."""

from __future__ import annotations

from tools.dashboards import columns, filters
from tools.dashboards.boards import common
from tools.dashboards.model import Board, Panel, Query, Row
from tools.dashboards.panels import Column, bar_gauge, stat, table
from tools.dashboards.style import SHARE, USD, model_link


def board() -> Board:
    """The board people land on."""
    return Board(
        "overview",
        "Overview",
        "Who spends what, on which model, when, and how much of it nobody can know.",
        [
            Row(4, [(4, each) for each in _figures()]),
            Row(10, [(16, common.by_agent()), (8, _models())]),
            Row(12, [(24, _agents())]),
        ],
        filters.CALLS,
        annotations=[common.FIRST_USES],
    )


def _figures() -> list[Panel]:
    last_hour = stat(
        "Last hour", "The last 60 minutes of the range, to the second.", Query("last_hour"), USD, decimals=2
    )
    projected = stat(
        "Projected month",
        "Month to date (UTC) plus the pace of the last seven days, or of all there is, for the rest of the month.",
        Query("projected_month"),
        USD,
        decimals=0,
    )
    return [common.spend(), common.change(), last_hour, projected, common.per_success(), common.unknown()]


def _models() -> Panel:
    return bar_gauge(
        "Spend by model",
        f"The twelve dearest models of the range. {common.KNOWN_ONLY}",
        Query("by_model"),
        USD,
        links=[model_link("${__data.fields.name:percentencode}")],
    )


def _agents() -> Panel:
    return table(
        "Agents",
        "Change compares the complete hours of the range with as many hours just before. Cost unknown counts calls "
        "that may have been billed and are missing from the spend. Top model is the dearest, not the most called.",
        Query("agents"),
        [
            columns.AGENT,
            columns.SPEND,
            columns.SHARE_OF_ALL,
            columns.CHANGE,
            Column("calls", "Calls", "short", total=True),
            columns.FAILED,
            columns.UNKNOWN,
            columns.PER_SUCCESS,
            Column("cache_share", "Cached input", SHARE, 0),
            Column("top_model", "Top model", links=[model_link()]),
        ],
    )
