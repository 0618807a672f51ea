"""Panels that stand on several boards. Each reads the section of the same name in the board's own file."""

from __future__ import annotations

from typing import Final

from tools.dashboards.model import Annotation, Panel, Query
from tools.dashboards.panels import MAX_BARS, SERIES_VALUE, graph, stat
from tools.dashboards.style import (
    CHANGE_STEPS,
    COUNT,
    FAILED_STEPS,
    KEPT,
    SHARE,
    UNKNOWN_STEPS,
    USD,
    agent_link,
    model_link,
)

WHOLE_HOURS: Final = "Hours are counted whole (UTC): the first hour of the range counts in full."
KNOWN_ONLY: Final = "Calls of unknown cost add nothing; how many there are is told beside."
WIDER: Final = f"A bar is an hour; beyond {MAX_BARS} hours bars get wider."

FIRST_USES: Final = Annotation("First use of a model", "first_uses")


def spend() -> Panel:
    """What the range cost."""
    return stat(
        "Spend",
        f"Sum of the known cost of all calls picked. {WHOLE_HOURS} {KNOWN_ONLY}",
        Query("spend"),
        USD,
        decimals=2,
    )


def change() -> Panel:
    """Against the time before."""
    text = (
        "The complete hours of the range against as many hours just before. Blue: half or less; orange: half as much "
        "again; red: double."
    )
    return stat("Change", text, Query("change"), SHARE, decimals=0, warn=CHANGE_STEPS, nothing="no earlier spend")


def calls() -> Panel:
    """How many."""
    return stat("Calls", f"Model calls, failed ones included. {WHOLE_HOURS}", Query("calls"), COUNT)


def failed() -> Panel:
    """Share of failed calls."""
    text = "Calls that ended in an error, of all calls. Orange from 5 %, red from 20 %."
    return stat("Failed calls", text, Query("failed"), SHARE, decimals=1, warn=FAILED_STEPS)


def per_success() -> Panel:
    """What a call that worked costs, failures paid for."""
    text = "Spend over the calls that succeeded: what failed calls cost is in it."
    return stat("Per successful call", text, Query("per_success"), USD, decimals=4)


def unknown() -> Panel:
    """How much is missing from every sum."""
    text = (
        "Calls that may have been billed and whose cost is not known (no price, no usage, suspect usage): they are "
        "missing from every sum here. Orange from 0.1 %, red from 1 %. The board Data quality says which and why."
    )
    return stat("Cost unknown", text, Query("unknown"), SHARE, decimals=2, warn=UNKNOWN_STEPS)


def by_agent(title: str = "Hourly spend by agent", *, legend_right: bool = True) -> Panel:
    """Stacked bars, an agent a colour."""
    return graph(
        title,
        f"The seven dearest agents of the range in order, the rest as one. {WIDER} {KNOWN_ONLY}",
        [Query("by_agent", "timeseries")],
        USD,
        style="bars",
        stacked="normal",
        ranked=True,
        links=[agent_link(SERIES_VALUE)],
        legend="right" if legend_right else "bottom",
        calcs=["sum"],
    )


def by_model(title: str = "Hourly spend by model", *, legend_right: bool = True) -> Panel:
    """Stacked bars, a model a colour."""
    return graph(
        title,
        f"The seven dearest models of the range in order, the rest as one. {WIDER} {KNOWN_ONLY}",
        [Query("by_model", "timeseries")],
        USD,
        style="bars",
        stacked="normal",
        ranked=True,
        links=[model_link(SERIES_VALUE, KEPT)],
        legend="right" if legend_right else "bottom",
        calcs=["sum"],
    )
