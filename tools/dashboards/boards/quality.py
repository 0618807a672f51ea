"""What the figures cannot say, and why: what is unpriced, missing, suspect, sampled or late."""

from __future__ import annotations

from tools.dashboards import columns, filters
from tools.dashboards.boards import common
from tools.dashboards.model import Board, Json, Panel, Prom, Query, Row, prometheus_variable
from tools.dashboards.panels import MOMENT, Column, graph, line_of, stat, table
from tools.dashboards.style import (
    BLUE,
    COUNT,
    CYAN,
    GREEN,
    ORANGE,
    PURPLE,
    REST,
    ROSE,
    SHARE,
    UNKNOWN_STEPS,
    USD,
    YELLOW,
    Step,
)

_FEW: tuple[Step, ...] = ((None, "text"), (0.02, "orange"), (0.1, "red"))
_DIFFERENT: tuple[Step, ...] = ((None, "blue"), (-0.05, "text"), (0.05, "orange"), (0.25, "red"))

_STATUSES = {
    "priced": BLUE, "free": CYAN, "reported": GREEN, "not_billed": REST, "partial": YELLOW, "no_usage": ORANGE,
    "unpriced_model": PURPLE, "suspect_usage": ROSE, "bad_usage": "#882255",
}  # fmt: skip
_SOURCES = {"span": BLUE, "ancestor": CYAN, "twin": GREEN, "rule": PURPLE, "resource": ORANGE, "none": ROSE}


def board() -> Board:
    """From the calls themselves: choose short ranges on large stores."""
    return Board(
        "quality",
        "Data quality",
        "Which calls have no known cost and why, what instrumentation leaves out, and how late rows become final.",
        [
            Row(4, [(4, each) for each in _figures()]),
            Row(9, [(12, _statuses()), (12, _sources())]),
            Row(9, [(24, _unpriced())]),
            Row(10, [(24, _libraries())]),
            Row(8, [(24, _reported())]),
            Row(8, [(24, _sampling())]),
            Row(9, [(12, _late()), (12, _remarks())]),
        ],
        filters.CALLS,
        [prometheus_variable()],
        refresh="5m",
    )


def _figures() -> list[Panel]:
    return [
        common.unknown(),
        stat("Without usage", "Calls whose spans state no tokens, of all calls. Refused calls do not count. Orange "
             "from 0.1 %, red from 1 %.", Query("without_usage"), SHARE, decimals=2, warn=UNKNOWN_STEPS),
        stat("Suspect usage", "Calls whose figures the instrumentation made up, or that cannot be true. Orange from "
             "0.1 %, red from 1 %.", Query("suspect"), SHARE, decimals=2, warn=UNKNOWN_STEPS),
        stat("Without an agent", "Calls for which no span names an agent: the service stands in. Orange from 2 %, red "
             "from 10 %.", Query("without_agent"), SHARE, decimals=1, warn=_FEW),
        stat("Without a customer", "Calls whose spans name no customer.", Query("without_customer"), SHARE,
             decimals=1),
        stat("Sampled", "Calls whose span says that it was sampled: others like it were not sent, and their cost is "
             "missing.", Query("sampled"), SHARE, decimals=1, warn=((None, "text"), (0.0001, "orange"))),
    ]  # fmt: skip


def _colours(named: dict[str, str]) -> list[Json]:
    pattern = {"id": "byRegexp"}
    return [
        {
            "matcher": {**pattern, "options": f"/^{name}$/"},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for name, colour in named.items()
    ]


def _shares(section: str, title: str, text: str, colours: dict[str, str]) -> Panel:
    return graph(
        title,
        text,
        [Query(section, "timeseries")],
        COUNT,
        style="bars",
        stacked="percent",
        display_name="${__field.labels.series}",
        overrides=_colours(colours),
        legend="right",
        calcs=["sum"],
    )


def _statuses() -> Panel:
    text = (
        "Share of calls by cost status. unpriced_model: no price is known; no_usage: the span states none; "
        "suspect_usage, bad_usage: its figures are made up or impossible; partial: a lower bound; not_billed: the "
        "provider refused."
    )
    return _shares("statuses", "How costs came about", text, _STATUSES)


def _sources() -> Panel:
    text = (
        "Share of calls by what named the agent: the call's span, a span above it, another report of the same call, a "
        "rule; resource: the service stands in; none: nobody."
    )
    return _shares("sources", "Who named the agent", text, _SOURCES)


def _unpriced() -> Panel:
    return table(
        "Cost unknown or incomplete, by model",
        "Add a price (prices.files) for unpriced_model and partial; the library table below says where usage is "
        "missing. Then `spanledger reprice` makes history good.",
        Query("unpriced"),
        [
            Column("vendor", "Provider"),
            Column("name", "Model"),
            Column("why", "Status"),
            columns.CALLS,
            Column("tokens_in", "Tokens in", COUNT, total=True),
            Column("tokens_out", "Tokens out", COUNT, total=True),
            Column("agents", "Agents", COUNT),
            Column("first_seen", "First seen", MOMENT, width=168),
            Column("last_seen", "Last seen", MOMENT, width=168),
        ],
        nothing="every call in this range has a cost",
    )


def _libraries() -> Panel:
    return table(
        "What each instrumentation sends",
        "By the scope that reported the call. Convention: whether cached tokens stood inside the input (inclusive) or "
        "beside it. Merged: calls that several spans reported and that were booked once.",
        Query("libraries"),
        [
            Column("library", "Instrumentation"),
            Column("release", "Version", width=80),
            Column("family", "Dialect", width=110),
            Column("convention", "Convention", width=104),
            columns.CALLS,
            Column("without_usage", "No usage", SHARE, 1, warn=UNKNOWN_STEPS),
            Column("suspect", "Suspect", SHARE, 1, warn=UNKNOWN_STEPS),
            Column("unpriced", "Unpriced", SHARE, 1, warn=UNKNOWN_STEPS),
            Column("without_agent", "No agent", SHARE, 0, warn=_FEW),
            Column("merged", "Merged", SHARE, 0),
            Column("last_seen", "Last seen", MOMENT, width=168),
        ],
    )


def _reported() -> Panel:
    return table(
        "Reported by the sender, computed here",
        "Calls whose span states a cost, beside what the price book makes of their tokens. Apart counts those that "
        "differ by more than 5 %: another price list, a discount, or a wrong count on one side.",
        Query("reported"),
        [
            Column("family", "Dialect"),
            Column("vendor", "Provider"),
            Column("name", "Model"),
            columns.CALLS,
            Column("reported", "Reported", USD, 4),
            Column("computed", "Computed", USD, 4),
            Column("difference", "Difference", SHARE, 1, warn=_DIFFERENT),
            Column("apart", "Apart", COUNT, warn=columns.ONE_UNKNOWN),
        ],
        nothing="no span in this range states a cost",
    )


def _sampling() -> Panel:
    return table(
        "Sampling",
        "Rows of sampled spans keep their own cost. Estimate divides it by the probability: what all calls would "
        "come to if those kept are like those dropped. Nothing else on these boards does so.",
        Query("sampling"),
        [
            Column("service", "Service"),
            Column("library", "Instrumentation"),
            columns.CALLS,
            Column("probability", "Probability", SHARE, 1),
            Column("stands_for", "Stands for calls", COUNT, 0),
            columns.SPEND,
            Column("estimate", "Estimate", USD, 2),
        ],
        nothing="no span in this range says that it was sampled",
    )


def _late() -> Panel:
    return graph(
        "Rows that came or changed late",
        "Calls whose row was written long after they ended: spans came late, or a later span (often the agent's) "
        "corrected the row. By the time of the call.",
        [Query("late", "timeseries")],
        COUNT,
        style="bars",
        stacked="normal",
        overrides=[
            line_of("minutes", "1 to 10 minutes", CYAN),
            line_of("up_to_an_hour", "up to an hour", ORANGE),
            line_of("hours", "more than an hour", ROSE),
        ],
    )


def _remarks() -> Panel:
    return graph(
        "Remarks on spans",
        "What the collector noticed while reading: attributes_dropped (the SDK's limit cut the span), "
        "convention_contradicted (figures contradict what the library declares), stream_without_usage and more. "
        "From the collector's metrics; needs a Prometheus that scrapes it.",
        [Prom("sum by (kind) (increase(spanledger_span_quality_total[$__rate_interval]))", "{{kind}}")],
        COUNT,
        nothing="no remarks, or no Prometheus chosen",
        interval="1m",
    )
