"""The queries of the dashboards as checked in, asked of a store as Grafana would ask."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from spanledger_exporter.store import Store
from tools.dashboards.expand import ALL, Context, expand
from tools.dashboards.fleet import HOUR, NOW, PLACES

GRAFANA: Final = Path(__file__).resolve().parents[2] / "grafana"


class Answer(NamedTuple):
    """What a query gave."""

    names: Sequence[str]
    types: Sequence[str]
    rows: list[tuple[Any, ...]]

    def dicts(self) -> list[dict[str, Any]]:
        """Rows by column name."""
        return [dict(zip(self.names, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class Grafana:
    """Sends queries as Grafana would."""

    store: Store

    def ask(self, sql: str, context: Context) -> Answer:
        """The answer of the store, columns typed."""
        with self.store.lease() as client:
            got = client.query(expand(sql, context))
            return Answer(got.column_names, [each.name for each in got.column_types], [*map(tuple, got.result_rows)])


def picked(hours: int = 24, interval_s: int = 3600, **variables: str | Sequence[str]) -> Context:
    """The last `hours` full hours and the running one, All but for what is given."""
    start = NOW.replace(minute=0, second=0) - hours * HOUR
    everything = {**dict.fromkeys(PLACES.values(), ALL), "what_if": "small", "budget": "agent researcher each day"}
    return Context(start, NOW, interval_s, {**everything, **variables})


class Target(NamedTuple):
    """A query of a dashboard with what Grafana knows about it."""

    board: str
    name: str
    sql: str
    shape: str
    variables: frozenset[str]


@cache
def targets() -> Sequence[Target]:
    """Every ClickHouse query of every dashboard as checked in: panels, variables, annotations."""
    found = []
    for path in sorted((GRAFANA / "dashboards").glob("*.json")):
        board = json.loads(path.read_text())
        names = frozenset(each["name"] for each in board["templating"]["list"])

        def target(name: str, query: Mapping[str, Any], shape: str, board: Any = board, names: Any = names) -> Target:
            return Target(board["uid"].removeprefix("spanledger-"), name, query["rawSql"], shape, names)

        for panel in board["panels"]:
            for query in panel.get("targets", []):
                if "rawSql" in query:
                    found.append(target(f"{panel['title']} {query['refId']}", query, query["queryType"]))
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                found.append(target(f"variable {variable['name']}", variable["query"], "variable"))
        for annotation in board["annotations"]["list"]:
            if "rawSql" in annotation.get("target", {}):
                found.append(target(f"annotation {annotation['name']}", annotation["target"], "annotation"))
    return found


def named(board: str, name: str) -> Target:
    """One of them."""
    (found,) = [each for each in targets() if (each.board, each.name) == (board, name)]
    return found
