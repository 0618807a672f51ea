"""What the page needs to draw a board: its JSON, and the answers to its queries."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from tools.dashboards.asking import GRAFANA, Answer, Grafana
from tools.dashboards.expand import ALL, Context
from tools.dashboards.fleet import HOUR, NOW

# Lengths of time that Grafana rounds intervals to, in seconds.
_INTERVALS: Final = (60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800)
_MIN_INTERVAL: Final = {"1h": 3600, "1m": 60, "30s": 30}


def interval_of(panel: Mapping[str, Any], seconds: float) -> int:
    """The panel's interval as Grafana works it out, rounded up to a round one."""
    wanted = max(seconds / panel.get("maxDataPoints", 1000), _MIN_INTERVAL[panel.get("interval", "1m")])
    return next((each for each in _INTERVALS if each >= wanted), _INTERVALS[-1])


def payload(grafana: Grafana, path: Path, start: datetime, picks: Mapping[str, str]) -> dict[str, Any]:
    """Everything of one board. `picks`: the values of variables that are not All."""
    board = json.loads(path.read_text())
    chosen: dict[str, str | Sequence[str]] = {}
    for variable in board["templating"]["list"]:
        pick = picks.get(variable["name"], ALL)
        chosen[variable["name"]] = [pick] if variable.get("multi") and pick != ALL else pick
    answers = {}
    for panel in board["panels"]:
        begun = NOW - int(panel["timeFrom"].removesuffix("h")) * HOUR if "timeFrom" in panel else start
        seconds = interval_of(panel, (NOW - begun).total_seconds())
        context = Context(begun, NOW, seconds, chosen)
        sqls = [target["rawSql"] for target in panel.get("targets", []) if "rawSql" in target]
        answers[panel["id"]] = [_plain(grafana.ask(sql, context)) for sql in sqls]
    return {
        "board": board,
        "answers": answers,
        "picks": {"datasource": "spanledger", "prometheus": "(none)", "trace_url": "", **picks},
        "range": [start.timestamp() * 1000, NOW.timestamp() * 1000],
        "shown": f"{start:%Y-%m-%d %H:%M} to {NOW:%Y-%m-%d %H:%M} UTC",
    }


def _plain(answer: Answer) -> dict[str, Any]:
    columns = [{"name": name, "type": kind} for name, kind in zip(answer.names, answer.types, strict=True)]
    return {
        "columns": columns if answer.rows else [],
        "rows": [[_value(value) for value in row] for row in answer.rows],
    }


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


BOARDS: Final = GRAFANA / "dashboards"
STARTS: Final = {
    "overview": NOW.replace(minute=0, second=0) - 24 * HOUR,
    "agent": NOW.replace(minute=0, second=0) - 48 * HOUR,
    "model": NOW.replace(minute=0, second=0) - 48 * HOUR,
    "hourly": NOW.replace(minute=0, second=0) - 48 * HOUR,
    "customer": NOW.replace(hour=0, minute=0, second=0) - 7 * 24 * HOUR,
    "cache": NOW.replace(hour=0, minute=0, second=0) - 7 * 24 * HOUR,
    "budgets": NOW.replace(day=1, hour=0, minute=0, second=0),
    "quality": NOW.replace(minute=0, second=0) - 24 * HOUR,
    "health": NOW - 6 * HOUR,
}
"""The range a board opens with, or a telling one."""
