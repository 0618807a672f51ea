"""What panels look like: units, colours, thresholds, links. One place, so that nine boards are of one piece.

Colours are told apart by people who see red and green alike (a test simulates it), on light and dark ground.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from tools.dashboards.model import Json, uid

USD: Final = "currencyUSD"
SHARE: Final = "percentunit"
COUNT: Final = "short"
SECONDS: Final = "s"

RANKS: Final = ("#4477AA", "#117733", "#88CCEE", "#882255", "#E69F00", "#EE3377", "#D55E00")
"""Of the seven dearest, in order; what is left is grey. Of Paul Tol's and Okabe and Ito's schemes those seven, in that
order, which stay furthest apart for every kind of sight."""
REST: Final = "#999999"
BLUE, GREEN, CYAN, PURPLE, YELLOW, ROSE, ORANGE = RANKS

Step: TypeAlias = tuple[float | None, str]
SPENT_STEPS: Final[Sequence[Step]] = ((None, "text"), (0.5, "#CCBB44"), (0.8, "orange"), (1.0, "red"))
"""Part of a budget: half, 80 %, all of it."""
CHANGE_STEPS: Final[Sequence[Step]] = ((None, "blue"), (-0.5, "text"), (0.5, "orange"), (1.0, "red"))
"""Against an earlier time: half or less, usual, half as much again, double."""
UNKNOWN_STEPS: Final[Sequence[Step]] = ((None, "text"), (0.001, "orange"), (0.01, "red"))
"""Part of the calls whose cost nobody knows: one in a thousand, one in a hundred."""
FAILED_STEPS: Final[Sequence[Step]] = ((None, "text"), (0.05, "orange"), (0.2, "red"))
SIGMA_STEPS: Final[Sequence[Step]] = ((None, "blue"), (-3, "text"), (3, "red"))


_LEAST: Final = -1e9


def steps(wanted: Sequence[Step]) -> Json:
    """Thresholds; the first step has no value and is where everything begins.

    Before negative steps it gets one: Grafana compares null like 0, and would never look at what follows.
    """
    (_, color), *later = wanted
    first = _LEAST if any(value is not None and value < 0 for value, _ in later) else None
    return {
        "mode": "absolute",
        "steps": [{"value": value, "color": shade} for value, shade in [(first, color), *later]],
    }


def prop(name: str, value: Any) -> Json:
    """One property of an override."""
    return {"id": name, "value": value}


def override(field: str, *properties: Json) -> Json:
    """Properties of the field of this name."""
    return {"matcher": {"id": "byName", "options": field}, "properties": list(properties)}


def fixed(color: str) -> Json:
    """One colour whatever the value."""
    return {"mode": "fixed", "fixedColor": color}


def rank_colors() -> list[Json]:
    """Overrides that colour series named `1 ...` to `7 ...` and `+ others` by their place."""
    named = [(rf"/^{place} /", color) for place, color in enumerate(RANKS, 1)]
    return [
        {"matcher": {"id": "byRegexp", "options": pattern}, "properties": [prop("color", fixed(color))]}
        for pattern, color in [*named, (r"/^\+ /", REST)]
    ]


KEPT: Final = ("tenant", "environment")
"""Variables whose choice every link takes along, on boards that have them."""


def link(board: str, variable: str, value: str, title: str, kept: Sequence[str] = KEPT) -> Json:
    """A link to another board for one value of one variable, with time range, data source and `kept` choices."""
    carried = "".join(f"&${{{name}:queryparam}}" for name in kept)
    url = f"/d/{uid(board)}?${{datasource:queryparam}}&var-{variable}={value}{carried}&${{__url_time_range}}"
    return {"title": title, "url": url, "targetBlank": False}


def agent_link(value: str = "${__value.raw:percentencode}", kept: Sequence[str] = KEPT) -> Json:
    """To the agent's own board."""
    return link("agent", "agent", value, "Agent", kept)


def model_link(value: str = "${__value.raw:percentencode}", kept: Sequence[str] = KEPT) -> Json:
    """To the model's own board."""
    return link("model", "model", value, "Model", kept)


def customer_link(value: str = "${__value.raw:percentencode}", kept: Sequence[str] = ("tenant",)) -> Json:
    """To the customer's own board."""
    return link("customer", "customer", value, "Customer", kept)


def trace_link() -> Json:
    """To the user's own trace store, whose address is the variable trace_url."""
    return {"title": "Trace", "url": "${trace_url:raw}${__value.raw:percentencode}", "targetBlank": True}
