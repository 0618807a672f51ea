"""The kinds of panel our boards are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from tools.dashboards.model import Json, Panel, Prom, Query
from tools.dashboards.style import Step, fixed, override, prop, rank_colors, steps

_GAP_MS: Final = 3 * 3600 * 1000
"""Lines go on over hours without a call, up to three."""
MAX_BARS: Final = 200
"""An hour a bar up to eight days; wider bars beyond."""
_CALC_TITLES: Final = {"sum": "Total", "mean": "Mean"}
SERIES: Final = "${__field.labels.rank} ${__field.labels.series}"
SERIES_VALUE: Final = "${__field.labels.series:percentencode}"


def stat(
    title: str,
    description: str,
    query: Query | Prom,
    unit: str,
    *,
    decimals: int | None = None,
    warn: Sequence[Step] = ((None, "text"),),
    nothing: str = "no calls",
) -> Panel:
    """One number. `nothing` is what stands there when there is none to show."""
    defaults: Json = {"unit": unit, "noValue": nothing, "thresholds": steps(warn), "color": {"mode": "thresholds"}}
    if decimals is not None:
        defaults["decimals"] = decimals
    options = {
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "value",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return Panel("stat", title, description, [query], defaults, options=options)


def graph(
    title: str,
    description: str,
    queries: Sequence[Query | Prom],
    unit: str,
    *,
    style: Literal["bars", "line"] = "line",
    stacked: Literal["none", "normal", "percent"] = "none",
    ranked: bool = False,
    overrides: Sequence[Json] = (),
    links: Sequence[Json] = (),
    legend: Literal["right", "bottom"] = "bottom",
    calcs: Sequence[str] = (),
    interval: str = "1h",
    decimals: int | None = None,
    maximum: float | None = None,
    display_name: str | None = None,
    time_from: str | None = None,
    nothing: str = "no calls in this range",
) -> Panel:
    """Values over time. `ranked`: series are labelled rank and series, and coloured by rank."""
    custom: Json = {
        "drawStyle": style,
        "lineWidth": 0 if style == "bars" else 2,
        "fillOpacity": 85 if style == "bars" else 0,
        "barAlignment": 1,
        "barWidthFactor": 0.92,
        "showPoints": "never" if style == "bars" else "auto",
        "spanNulls": False if style == "bars" else _GAP_MS,
        "stacking": {"mode": stacked, "group": "A"},
        "axisSoftMin": 0,
    }
    defaults: Json = {"unit": unit, "noValue": nothing, "custom": custom, "color": {"mode": "palette-classic"}}
    if ranked or display_name:
        defaults["displayName"] = display_name or SERIES
    if decimals is not None:
        defaults["decimals"] = decimals
    if maximum is not None:
        defaults["max"] = maximum
    if links:
        defaults["links"] = list(links)
    options = {
        "legend": {
            "showLegend": True,
            "displayMode": "table" if legend == "right" else "list",
            "placement": legend,
            "calcs": list(calcs),
            **({"sortBy": _CALC_TITLES[calcs[0]], "sortDesc": True} if legend == "right" and calcs else {}),
        },
        "tooltip": {"mode": "multi", "sort": "desc", "hideZeros": True},
    }
    dressed = [*(rank_colors() if ranked else ()), *overrides]
    return Panel("timeseries", title, description, queries, defaults, dressed, options, interval, MAX_BARS, time_from)


def line_of(field: str, title: str, color: str, *properties: Json) -> Json:
    """An override that names and colours the series of one field."""
    return override(field, prop("displayName", title), prop("color", fixed(color)), *properties)


DASHED: Final = (
    prop("custom.drawStyle", "line"),
    prop("custom.lineWidth", 2),
    prop("custom.fillOpacity", 0),
    prop("custom.lineStyle", {"fill": "dash", "dash": [8, 6]}),
    prop("custom.stacking", {"mode": "none", "group": "B"}),
    prop("custom.showPoints", "never"),
)
"""A line that is there to compare with."""


def bar_gauge(
    title: str,
    description: str,
    query: Query,
    unit: str,
    *,
    links: Sequence[Json] = (),
    color: str = "#4477AA",
    warn: Sequence[Step] | None = None,
    maximum: float | None = None,
    nothing: str = "no calls in this range",
) -> Panel:
    """A bar a row: the first column names it, the second is its length."""
    defaults: Json = {"unit": unit, "noValue": nothing, "min": 0}
    defaults["color"] = {"mode": "thresholds"} if warn else fixed(color)
    if warn:
        defaults["thresholds"] = steps(warn)
    if maximum is not None:
        defaults["max"] = maximum
    if links:
        defaults["links"] = list(links)
    options = {
        "displayMode": "basic",
        "orientation": "horizontal",
        "valueMode": "text",
        "namePlacement": "auto",
        "showUnfilled": True,
        "sizing": "auto",
        "minVizHeight": 16,
        "maxVizHeight": 40,
        "reduceOptions": {"calcs": [], "fields": "", "values": True, "limit": 12},
    }
    unknown = override("spend", prop("noValue", "unknown"))
    return Panel("bargauge", title, description, [query], defaults, [unknown], options)


TEXT_WIDTH: Final = 120
"""Least room for text."""
MOMENT: Final = "dateTimeAsIso"


@dataclass(frozen=True)
class Column:
    """A column of a table panel: the query's name, the heading, and how its values look.

    Without a unit it is text, and takes what room the others leave.
    """

    name: str
    title: str
    unit: str | None = None
    decimals: int | None = None
    width: int | None = None
    warn: Sequence[Step] = ()
    links: Sequence[Json] = ()
    gauge: bool = False
    nothing: str = "-"
    """What stands there for NULL; else the message of the empty table would."""
    total: bool = False
    """The sum of the column stands below it."""
    properties: Sequence[Json] = ()

    def override(self) -> Json:
        """As a field override."""
        wanted: list[tuple[str, Any]] = [("displayName", self.title), ("noValue", self.nothing)]
        # Text without a unit that looks like a number would be shown as one: version 2.10, agent 007.
        wanted.append(("unit", self.unit or "string"))
        if self.decimals is not None:
            wanted.append(("decimals", self.decimals))
        width = self.width or (
            0 if self.unit is None else max(92 if self.total else 76, 24 + 15 * len(self.title) // 2)
        )
        wanted.append(("custom.width", width) if width else ("custom.minWidth", TEXT_WIDTH))
        if self.links:
            wanted.append(("links", list(self.links)))
        if self.warn:
            wanted += [("thresholds", steps(self.warn)), ("custom.cellOptions", {"type": "color-text"})]
        if self.gauge:
            look = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
            wanted += [("min", 0), ("max", 1), ("color", fixed("#4477AA")), ("custom.cellOptions", look)]
        if self.total:
            wanted.append(("custom.footer", {"reducers": ["sum"]}))
        return override(self.name, *(prop(name, value) for name, value in wanted), *self.properties)


def table(
    title: str,
    description: str,
    query: Query,
    columns: Sequence[Column],
    *,
    nothing: str = "no calls in this range",
) -> Panel:
    """Rows and columns in the order of the query."""
    defaults: Json = {
        "noValue": nothing,
        "custom": {"align": "auto", "filterable": False, "minWidth": 60, "cellOptions": {"type": "auto"}},
        "color": {"mode": "thresholds"},
        "thresholds": steps([(None, "text")]),
    }
    # Up to Grafana 12.1 totals are an option of the panel, then of the column.
    totals = [name for each in columns if each.total for name in (each.name, each.title)]
    footer = {"show": bool(totals), "reducer": ["sum"], "countRows": False, "fields": totals}
    options = {"showHeader": True, "cellHeight": "sm", "footer": footer}
    return Panel("table", title, description, [query], defaults, [each.override() for each in columns], options)
