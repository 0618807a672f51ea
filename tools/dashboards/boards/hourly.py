"""What is spent right now and whether that is usual: the board for a runaway."""

from __future__ import annotations

from tools.dashboards import columns, filters
from tools.dashboards.boards import common
from tools.dashboards.model import Board, Panel, Query, Row
from tools.dashboards.panels import DASHED, MOMENT, SERIES_VALUE, Column, graph, line_of, stat, table
from tools.dashboards.sections import WEEKDAYS
from tools.dashboards.style import (
    BLUE,
    CHANGE_STEPS,
    COUNT,
    ORANGE,
    PURPLE,
    SHARE,
    SIGMA_STEPS,
    USD,
    agent_link,
    prop,
    trace_link,
)


def board() -> Board:
    """Hour by hour, minute by minute."""
    return Board(
        "hourly",
        "Hourly and runaway",
        "What is spent right now, whether that is usual for the hour, and which trace or agent ran away.",
        [
            Row(4, [(4, each) for each in _figures()]),
            Row(10, [(24, common.by_agent())]),
            Row(9, [(12, _against()), (12, _minutes())]),
            Row(9, [(24, _unusual())]),
            Row(25, [(14, _loops()), (10, _week())]),
        ],
        filters.CALLS,
        [filters.TRACE_URL],
        [common.FIRST_USES],
        refresh="30s",
    )


def _figures() -> list[Panel]:
    return [
        stat("Burning now, per hour", "The last five minutes of the range, times twelve.", Query("burn"), USD,
             decimals=2, nothing="no call in 5 min"),
        stat("Last full hour", "The last complete hour (UTC).", Query("last_full_hour"), USD, decimals=2,
             nothing="no call in it"),
        stat("Against yesterday", "The last complete hour against the same hour a day earlier. Blue: half or less; "
             "orange: half as much again; red: double.", Query("against_yesterday"), SHARE, decimals=0,
             warn=CHANGE_STEPS, nothing="nothing to compare"),
        stat("Today", "Since 00:00 UTC.", Query("today"), USD, decimals=2),
        stat("Calls a minute", "The last five minutes of the range.", Query("calls_a_minute"), COUNT),
        common.spend(),
    ]  # fmt: skip


def _against() -> Panel:
    return graph(
        "Hourly spend, a day and a week before",
        f"Bars: this range. Lines: the same hours one day and one week earlier. {common.KNOWN_ONLY}",
        [
            Query("hourly", "timeseries"),
            Query("day_before", "timeseries"),
            Query("week_before", "timeseries"),
        ],
        USD,
        style="bars",
        overrides=[
            line_of("spend", "Spend", BLUE),
            line_of("day_before", "A day before", ORANGE, *DASHED),
            line_of("week_before", "A week before", PURPLE, *DASHED),
        ],
    )


def _minutes() -> Panel:
    return graph(
        "Spend a minute, the last three hours",
        "The last three hours up to now, whatever the range: from the calls themselves, the seven dearest agents.",
        [Query("minutes", "timeseries")],
        USD,
        style="bars",
        stacked="normal",
        ranked=True,
        links=[agent_link(SERIES_VALUE)],
        interval="1m",
        time_from="3h",
        nothing="no call in these three hours",
    )


def _unusual() -> Panel:
    return table(
        "Is this usual?",
        "The last complete hour of each agent against its own four weeks: the same hour of the same weekday and the "
        "hours around it. Sigmas counts standard deviations, never taken below a quarter of the mean or a cent; red "
        "from +3, blue from -3; empty for agents younger than two weeks.",
        Query("unusual"),
        [
            columns.AGENT,
            Column("latest", "Last full hour", USD, 4),
            Column("hour_before", "Hour before", USD, 4),
            Column("day_before", "A day before", USD, 4),
            Column("usual", "Usual", USD, 4),
            Column("sigmas", "Sigmas", "none", 1, warn=SIGMA_STEPS),
            Column("made", "Calls", COUNT),
        ],
        nothing="nothing was spent in the last full hour, as usual",
    )


def _loops() -> Panel:
    return table(
        "Loops: traces with the most calls",
        "An agent that calls itself in circles shows as one trace with very many calls. Orange from 50, red from 200.",
        Query("loops"),
        [
            Column("trace", "Trace", links=[trace_link()]),
            columns.AGENT,
            Column("made", "Calls", COUNT, warn=((None, "text"), (50, "orange"), (200, "red"))),
            columns.SPEND_FINE,
            Column("started", "Started", MOMENT, width=168),
            Column("seconds", "Took", "s", 0),
        ],
    )


def _week() -> Panel:
    shade = [
        prop("custom.cellOptions", {"type": "color-background", "mode": "basic", "applyToRow": False}),
        prop("color", {"mode": "continuous-blues"}),
    ]
    days = [Column(name, name, USD, 2, width=64, properties=shade) for name in WEEKDAYS]
    return table(
        "Hours of the week",
        "What the hour costs on average, over the days of the range that have a call (UTC). Choose a range of some "
        "weeks. The bluer, the dearer.",
        Query("week"),
        [Column("of_day", "Hour", "none", 0, width=52), *days],
    )
