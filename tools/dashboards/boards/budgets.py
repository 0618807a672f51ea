"""Budgets: what is used, whether it is used too fast, and who has none."""

from __future__ import annotations

from tools.dashboards import columns, filters
from tools.dashboards.boards import common
from tools.dashboards.model import Board, Json, Panel, Query, Row
from tools.dashboards.panels import DASHED, MOMENT, Column, graph, line_of, stat, table
from tools.dashboards.style import BLUE, COUNT, ORANGE, PURPLE, SHARE, SPENT_STEPS, USD, agent_link, prop

_NONE = "no budgets are configured"
_PACE = ((None, "text"), (1.25, "orange"), (2.0, "red"))
_ANY = ((None, "text"), (1.0, "red"))
_SPENT_CELL: Json = {"type": "gauge", "mode": "basic", "valueDisplayMode": "color"}


def board() -> Board:
    """Budgets in force at the end of the range."""
    return Board(
        "budgets",
        "Budgets and pace",
        "What is used of each budget, whether at the end of its period it will have been enough, and who has none.",
        [
            Row(4, [(6, each) for each in _figures()]),
            Row(11, [(24, _budgets())]),
            Row(10, [(14, _burn()), (10, _alerts())]),
            Row(9, [(24, _unbudgeted())]),
        ],
        extra_variables=[filters.one_of("budget", "Budget", "budgets", "choices")],
        start="now/M",
        refresh="5m",
    )


def _figures() -> list[Panel]:
    return [
        stat("Budgets in force", "Budgets whose amount is not zero at the end of the range.", Query("in_force"), COUNT,
             nothing="none"),
        stat("Used up", "Budgets of which 100 % or more is used. Red from one.", Query("used_up"), COUNT, warn=_ANY,
             nothing="no budgets"),
        stat("Ahead of pace", "Budgets used more than 1.25 times as fast as even spending would.", Query("ahead"),
             COUNT, warn=((None, "text"), (1.0, "orange")), nothing="no budgets"),
        stat("Used in total", "Of the total budget with the longest period. Yellow from half, orange from 80 %, red "
             "from all of it.", Query("total_used"), SHARE, decimals=0, warn=SPENT_STEPS, nothing="no total budget"),
    ]  # fmt: skip


def _budgets() -> Panel:
    return table(
        "Budgets",
        "As of the end of the range, in the period that runs then (UTC; weeks begin on Monday). Pace is the used part "
        "over the elapsed part: 1 is even spending. Projected goes on at the pace so far. Calls of unknown cost are "
        "missing from Spent.",
        Query("budgets"),
        [
            Column("scope", "Budget of"),
            Column("owner", "Name"),
            Column("tenant", "Tenant"),
            Column("period", "Each"),
            Column("amount", "Budget", USD, 2),
            Column("spent", "Spent", USD, 2),
            Column("used", "Used", SHARE, 0, warn=SPENT_STEPS, properties=[
                prop("custom.cellOptions", _SPENT_CELL), prop("min", 0), prop("max", 1)]),
            Column("pace", "Pace", "none", 2, warn=_PACE),
            Column("projected", "Projected", USD, 2),
            Column("remaining", "Left", USD, 2),
        ],
        nothing=_NONE,
    )  # fmt: skip


def _burn() -> Panel:
    return graph(
        "The chosen budget, so far",
        "Spend of the running period of the budget chosen above, added up hour by hour, beside even spending and the "
        "whole amount. Choose a range that holds the period.",
        [Query("burn", "timeseries")],
        USD,
        overrides=[
            line_of("spent", "Spent", BLUE, prop("custom.fillOpacity", 20)),
            line_of("even_pace", "Even pace", PURPLE, *DASHED),
            line_of("amount", "Budget", ORANGE, prop("custom.lineWidth", 1)),
        ],
        nothing="no budget is chosen",
    )


def _alerts() -> Panel:
    options = {
        "viewMode": "list",
        "groupMode": "default",
        "groupBy": [],
        "maxItems": 20,
        "sortOrder": 3,
        "dashboardAlerts": False,
        "alertName": "",
        "alertInstanceLabelFilter": '{team="finops"}',
        "stateFilter": {"firing": True, "pending": True, "noData": False, "normal": False, "error": True},
    }
    text = "Rules of the folder LLM cost that fire or are about to. Empty where the rules are not provisioned."
    return Panel("alertlist", "Alerts", text, options=options)


def _unbudgeted() -> Panel:
    return table(
        "Agents without a budget",
        f"Agents that spent in the range and have no budget of their own. {common.WHOLE_HOURS}",
        Query("unbudgeted"),
        [
            Column("agent", "Agent", links=[agent_link(kept=())]),
            columns.SPEND,
            columns.CALLS,
            Column("dearest_hour", "Dearest hour", USD, 2),
            Column("first_hour", "First hour", MOMENT, width=168),
        ],
        nothing="every agent that spent has a budget",
    )
