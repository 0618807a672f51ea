"""One model, or all: what it costs, who uses it, how it behaves, and what another would cost."""

from __future__ import annotations

from tools.dashboards import columns, filters
from tools.dashboards.boards import common
from tools.dashboards.model import Annotation, Board, Panel, Query, Row
from tools.dashboards.panels import MOMENT, SERIES_VALUE, Column, graph, table
from tools.dashboards.style import COUNT, SECONDS, SHARE, USD, model_link


def board() -> Board:
    """The board behind every model's name."""
    return Board(
        "model",
        "Model",
        "What models cost, who uses them, how often they fail, and what the same tokens would cost on another.",
        [
            Row(10, [(24, common.by_model())]),
            Row(10, [(24, _models())]),
            Row(8, [(8, _over_time("per_million", "Paid per million tokens", _PER_MILLION, USD)),
                    (8, _over_time("failed", "Failed calls", _FAILED, SHARE)),
                    (8, _over_time("latency", "p95 duration", _LATENCY, SECONDS))]),
            Row(10, [(24, _users())]),
            Row(10, [(24, _what_if())]),
            Row(8, [(24, _wasted())]),
        ],
        filters.CALLS,
        [filters.one_of("what_if", "What if all ran on", "model", "what_if_models")],
        [Annotation("New price book", "price_books", "purple")],
    )  # fmt: skip


_PER_MILLION = (
    "Spend over all tokens in and out, cached ones included: falls when more of the input is cached. The seven dearest "
    "models of the range."
)
_FAILED = (
    "Calls that ended in an error, of all calls of the model. The seven models with most of them. A call that failed "
    "before it was answered stands under the name that was asked for, without a date."
)
_LATENCY = "95 % of the model's calls took less. From the calls themselves. The seven dearest models of the range."


def _over_time(section: str, title: str, text: str, unit: str) -> Panel:
    return graph(
        title,
        text,
        [Query(section, "timeseries")],
        unit,
        ranked=True,
        links=[model_link(SERIES_VALUE)],
        maximum=1 if unit == SHARE else None,
    )


def _models() -> Panel:
    return table(
        "Models",
        "Change compares the complete hours of the range with as many hours just before. Per million tokens is the "
        "spend over all tokens in and out, cached ones included.",
        Query("models"),
        [
            columns.MODEL,
            Column("vendor", "Provider"),
            columns.SPEND,
            columns.SHARE_OF_ALL,
            columns.CHANGE,
            columns.CALLS,
            Column("agents", "Agents", COUNT),
            columns.FAILED,
            columns.UNKNOWN,
            Column("per_call", "Per call", USD, 4),
            Column("per_million", "Per million tokens", USD, 2),
        ],
    )


def _users() -> Panel:
    return table(
        "Who uses it",
        "Agents and models that met in the range, dearest first, with the first and last hour of their calls in it.",
        Query("users"),
        [
            columns.AGENT,
            columns.MODEL,
            columns.SPEND,
            columns.CALLS,
            Column("per_call", "Per call", USD, 4),
            Column("first_hour", "First hour", MOMENT, width=168),
            Column("last_hour", "Last hour", MOMENT, width=168),
        ],
    )


def _what_if() -> Panel:
    return table(
        "What if all ran on the chosen model",
        "The same tokens at the rates the model chosen above really cost here in the last 30 days. Says nothing about "
        "how many tokens it would need, or how good its answers are. Hours with a call of unknown cost are left out.",
        Query("what_if"),
        [
            columns.AGENT,
            columns.MODEL,
            columns.CALLS,
            columns.SPEND,
            Column("estimate", "Would cost", USD, 2, total=True),
            Column("difference", "Difference", USD, 2, total=True),
        ],
        nothing="no priced call of the chosen model in the last 30 days",
    )


def _wasted() -> Panel:
    return table(
        "Money spent on failed calls",
        "What calls cost that ended in an error, and its share of all the model's spend.",
        Query("wasted"),
        [
            columns.MODEL,
            Column("failed", "Failed", COUNT, total=True),
            Column("wasted", "Wasted", USD, 4, total=True),
            Column("share", "Share", SHARE, 2),
            columns.UNKNOWN,
        ],
        nothing="no failed call in this range",
    )
