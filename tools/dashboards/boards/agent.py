"""One agent, or those picked: what it costs, why that changed, and where inside it the money goes."""

from __future__ import annotations

from tools.dashboards import columns, filters
from tools.dashboards.boards import common
from tools.dashboards.model import Board, Panel, Query, Row
from tools.dashboards.panels import DASHED, MOMENT, Column, graph, line_of, stat, table
from tools.dashboards.style import BLUE, CYAN, GREEN, ORANGE, PURPLE, REST, SECONDS, SHARE, USD


def board() -> Board:
    """The board behind every agent's name."""
    return Board(
        "agent",
        "Agent",
        "What an agent costs, why that changed, and which of its steps, traces and failures the money went to.",
        [
            Row(4, [(4, each) for each in _figures()]),
            Row(9, [(12, _hourly()), (12, common.by_model(legend_right=False))]),
            Row(8, [(24, _why())]),
            Row(8, [(8, _parts()), (8, _per_call()), (8, _per_success())]),
            Row(9, [(24, _steps())]),
            Row(10, [(24, _traces())]),
            Row(8, [(24, _failures())]),
        ],
        filters.CALLS,
        [filters.TRACE_URL],
        [common.FIRST_USES],
    )


def _figures() -> list[Panel]:
    cached = stat(
        "Cached input", "Input tokens read from a cache, of all input tokens.", Query("cache_share"), SHARE, decimals=0
    )
    return [
        common.spend(),
        common.change(),
        common.calls(),
        common.failed(),
        common.per_success(),
        cached,
    ]


def _hourly() -> Panel:
    return graph(
        "Hourly spend, and a week before",
        f"Bars: this range. Dashed: the same hours one week earlier. {common.WIDER} {common.KNOWN_ONLY}",
        [Query("hourly", "timeseries"), Query("week_before", "timeseries")],
        USD,
        style="bars",
        overrides=[line_of("spend", "Spend", BLUE), line_of("week_before", "A week before", ORANGE, *DASHED)],
        calcs=["sum"],
    )


def _why() -> Panel:
    return table(
        "Why the spend changed",
        "The complete hours of the range against as many hours just before, model by model. Volume: all models "
        "called more or less often alike. Mix: this model took another part of the calls. Cost per call: its calls "
        "became dearer or cheaper (price, or tokens). The three add up to the change.",
        Query("why"),
        [
            Column("model", "Model", links=columns.MODEL.links),
            Column("was", "Before", USD, 2, total=True),
            Column("now", "Now", USD, 2, total=True),
            Column("change", "Change", USD, 2, total=True),
            Column("from_volume", "Volume", USD, 2, total=True),
            Column("from_mix", "Mix", USD, 2, total=True),
            Column("from_cost_per_call", "Cost per call", USD, 2, total=True),
            Column("calls_before", "Calls before", "short", total=True),
            Column("calls_now", "Calls now", "short", total=True),
        ],
        nothing="no complete hour in this range",
    )


def _parts() -> Panel:
    colours = {"input": BLUE, "output": ORANGE, "cache_read": CYAN, "cache_write": PURPLE, "other": REST}
    return graph(
        "What the money is for",
        "Spend by kind of token. Other: images, audio, searches, requests.",
        [Query("parts", "timeseries")],
        USD,
        style="bars",
        stacked="normal",
        overrides=[line_of(name, name.replace("_", " ").capitalize(), colour) for name, colour in colours.items()],
        calcs=["sum"],
    )


def _per_call() -> Panel:
    return graph(
        "Cost of a call",
        "Half of the calls cost less than p50, 95 % less than p95. Calls of unknown cost are left out.",
        [Query("per_call", "timeseries")],
        USD,
        overrides=[
            line_of("p50", "p50", BLUE),
            line_of("p95", "p95", ORANGE),
            line_of("dearest", "dearest", PURPLE),
        ],
    )


def _per_success() -> Panel:
    return graph(
        "Cost per successful call",
        "Spend of the bar's hours over its calls without an error.",
        [Query("success_over_time", "timeseries")],
        USD,
        overrides=[line_of("cost", "per successful call", GREEN)],
    )


def _steps() -> Panel:
    return table(
        "Where inside the agent",
        "By what the spans say of workflow, feature, step and operation; (none) where they say nothing.",
        Query("steps"),
        [
            Column("flow", "Workflow"),
            Column("part", "Feature"),
            Column("stage", "Step"),
            Column("kind", "Operation"),
            columns.SPEND,
            columns.SHARE_OF_ALL,
            columns.CALLS,
            Column("p95_cost", "p95 a call", USD, 4),
            Column("p95_seconds", "p95 duration", SECONDS, 1),
        ],
    )


def _traces() -> Panel:
    return table(
        "Dearest traces",
        "All calls of one trace that are picked. Set the variable Trace store URL, and the id opens the trace there.",
        Query("traces"),
        [
            Column("started", "Started", MOMENT, width=168),
            columns.TRACE,
            columns.AGENT,
            columns.CALLS,
            columns.SPEND_FINE,
            Column("seconds", "Took", SECONDS),
            columns.CUSTOMER,
            Column("models", "Models"),
        ],
    )


def _failures() -> Panel:
    return table(
        "Failures",
        "Calls that ended in an error. Spend is what they cost all the same; Cost unknown counts those that may have "
        "been billed, for example streams that broke.",
        Query("failures"),
        [
            Column("error", "Error"),
            columns.MODEL,
            columns.CALLS,
            Column("spend", "Spend", USD, 4),
            columns.UNKNOWN,
            Column("last_seen", "Last seen", MOMENT, width=168),
        ],
        nothing="no failed call in this range",
    )
