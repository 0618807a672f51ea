"""A dashboard as Grafana reads it (classic JSON, schemaVersion 41: Grafana 11.6 and later), made of few words.

Only what our boards use is here. Everything ends as plain dictionaries, so that what stands in the JSON can be read in
this file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from tools.dashboards.sections import Filter, fill, sections

Json: TypeAlias = dict[str, Any]

CLICKHOUSE: Final = "grafana-clickhouse-datasource"
PLUGIN_VERSION: Final = "4.15.0"
"""The oldest plugin our queries work with; what the editor writes into every query."""
SCHEMA_VERSION: Final = 41
DATA_SOURCE: Final[Json] = {"type": CLICKHOUSE, "uid": "${datasource}"}
PROMETHEUS: Final[Json] = {"type": "prometheus", "uid": "${prometheus}"}

_FORMATS: Final = {"timeseries": 0, "table": 1}
_UID: Final = "spanledger-"
_TAG: Final = "spanledger"


@dataclass(frozen=True)
class Query:
    """A section of the board's .sql file and the shape Grafana makes of its rows."""

    section: str
    shape: Literal["timeseries", "table"] = "table"

    def target(self, ref_id: str, board: Board) -> Json:
        """As a panel's target."""
        return {
            "refId": ref_id,
            "datasource": DATA_SOURCE,
            "editorType": "sql",
            "format": _FORMATS[self.shape],
            "queryType": self.shape,
            "pluginVersion": PLUGIN_VERSION,
            "rawSql": board.sql(self.section),
        }


@dataclass(frozen=True)
class Prom:
    """A PromQL expression over the collector's own metrics."""

    expr: str
    legend: str = ""
    instant: bool = False

    def target(self, ref_id: str, board: Board) -> Json:
        """As a panel's target."""
        kind = {"instant": True, "range": False} if self.instant else {"instant": False, "range": True}
        target = {"refId": ref_id, "datasource": PROMETHEUS, "editorMode": "code", "expr": self.expr, **kind}
        return {**target, "legendFormat": self.legend or "__auto"}


@dataclass(frozen=True)
class Panel:
    """One panel; where it stands is decided by its board."""

    type: str
    title: str
    description: str
    queries: Sequence[Query | Prom] = ()
    defaults: Json = field(default_factory=dict)
    """fieldConfig.defaults"""
    overrides: Sequence[Json] = ()
    options: Json = field(default_factory=dict)
    interval: str | None = None
    """Shortest interval."""
    max_points: int | None = None
    time_from: str | None = None
    """The panel's own range, up to now, whatever the board's."""

    def build(self, number: int, place: Json, board: Board) -> Json:
        """The panel's JSON."""
        panel: Json = {
            "id": number,
            "type": self.type,
            "title": self.title,
            "description": self.description,
            "gridPos": place,
        }
        if self.queries:
            panel["datasource"] = PROMETHEUS if isinstance(self.queries[0], Prom) else DATA_SOURCE
            panel["targets"] = [
                query.target(ref_id, board) for ref_id, query in zip("ABCDEFGH", self.queries, strict=False)
            ]
        panel["fieldConfig"] = {"defaults": self.defaults, "overrides": list(self.overrides)}
        panel["options"] = self.options
        if self.interval:
            panel["interval"] = self.interval
        if self.max_points:
            panel["maxDataPoints"] = self.max_points
        if self.time_from:
            panel["timeFrom"] = self.time_from
        return panel


@dataclass(frozen=True)
class Row:
    """Panels side by side, with their widths: 24 columns are the screen. A title makes a heading above them."""

    height: int
    panels: Sequence[tuple[int, Panel]]
    title: str = ""


@dataclass(frozen=True)
class Annotation:
    """Marks on every graph: a query with columns time and text."""

    name: str
    section: str
    color: str = "orange"


@dataclass(frozen=True)
class Board:
    """A dashboard."""

    name: str
    """Of its .sql file, its JSON file and, behind `spanledger-`, its uid."""
    title: str
    description: str
    rows: Sequence[Row]
    filters: Sequence[Filter] = ()
    extra_variables: Sequence[Json] = ()
    annotations: Sequence[Annotation] = ()
    start: str = "now-24h/h"
    refresh: str = "1m"

    @property
    def uid(self) -> str:
        """Stable: links and bookmarks lead to it."""
        return uid(self.name)

    def sql(self, section: str) -> str:
        """A query of this board, placeholders filled."""
        return fill(sections(self.name)[section], self.filters)

    def build(self) -> Json:
        """The dashboard's JSON."""
        return {
            "uid": self.uid,
            "title": f"LLM cost / {self.title}",
            "description": self.description,
            "tags": [_TAG],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": True,
            "timezone": "utc",
            "time": {"from": self.start, "to": "now"},
            "refresh": self.refresh,
            "graphTooltip": 1,
            "links": [_siblings()],
            "templating": {"list": [_data_source(), *map(_variable, self.filters), *self.extra_variables]},
            "annotations": {"list": [_alerts(), *(self._annotation(each) for each in self.annotations)]},
            "panels": list(self._panels()),
        }

    def _panels(self) -> Sequence[Json]:
        built: list[Json] = []
        top = 0
        for row in self.rows:
            if row.title:
                place = {"x": 0, "y": top, "w": 24, "h": 1}
                heading = {"type": "row", "title": row.title, "collapsed": False, "panels": []}
                built.append({"id": len(built) + 1, **heading, "gridPos": place})
                top += 1
            left = 0
            for width, panel in row.panels:
                place = {"x": left, "y": top, "w": width, "h": row.height}
                built.append(panel.build(len(built) + 1, place, self))
                left += width
            top += row.height
        return built

    def _annotation(self, each: Annotation) -> Json:
        target = Query(each.section).target("Anno", self)
        look = {"enable": True, "iconColor": each.color}
        return {"name": each.name, "datasource": DATA_SOURCE, **look, "target": target}


def uid(board: str) -> str:
    """The uid of a board by name."""
    return _UID + board


def _siblings() -> Json:
    look = {"title": "LLM cost", "type": "dashboards", "tags": [_TAG], "asDropdown": True, "icon": "external link"}
    return {**look, "keepTime": True, "includeVars": True, "targetBlank": False, "tooltip": "", "url": ""}


def _data_source() -> Json:
    look = {"name": "datasource", "label": "Data source", "type": "datasource", "query": CLICKHOUSE}
    return {**look, "regex": "", "multi": False, "includeAll": False, "hide": 0, "refresh": 1}


def prometheus_variable() -> Json:
    """Which Prometheus scrapes the collector."""
    look = {"name": "prometheus", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    return {**look, "regex": "", "multi": False, "includeAll": False, "hide": 0, "refresh": 1}


def _variable(each: Filter) -> Json:
    return {
        "name": each.variable,
        "label": each.label,
        "type": "query",
        "datasource": DATA_SOURCE,
        "query": query_of(each.variable, fill(sections("variables")[each.column])),
        "multi": True,
        "includeAll": True,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "refresh": 2,
        "sort": 0,
        "hide": 0,
    }


def query_of(name: str, sql: str) -> Json:
    """A variable's query. One column: text and value."""
    return {"refId": name, "editorType": "sql", "queryType": "sql", "rawSql": sql}


def _alerts() -> Json:
    look = {"name": "Annotations & Alerts", "type": "dashboard", "builtIn": 1, "enable": True, "hide": True}
    return {**look, "iconColor": "rgba(0, 211, 255, 1)", "datasource": {"type": "grafana", "uid": "-- Grafana --"}}


def panels_of(board: Mapping[str, Any]) -> list[Json]:
    """The panels of a built dashboard, headings left out."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]
