"""Every query of every dashboard runs on the store, whatever is picked, and hostile names change nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from spanledger_exporter.store import Store
from tools.dashboards.asking import Answer, Grafana, Target, named, picked, targets
from tools.dashboards.expand import ALL, expand
from tools.dashboards.fleet import AWKWARD, NOW, PLACES, TWIN

TARGETS = targets()
UNIQUE = list({target.sql: target for target in reversed(TARGETS)}.values())
PICKING = [target for target in UNIQUE if "$__conditionalAll" in target.sql]
COLUMN_OF = {variable: column for column, variable in PLACES.items()}


def ids(found: Sequence[Target]) -> list[str]:
    return [f"{target.board} {target.name}" for target in found]


def is_number(kind: str) -> bool:
    return re.sub(r"^(LowCardinality|Nullable)\((.*)\)$", r"\2", kind).startswith(("Float", "UInt", "Int", "Decimal"))


def same(left: Any, right: Any) -> bool:
    """Equal, floats but for the order in which they were added up."""
    if isinstance(left, float) and isinstance(right, float):
        return left == pytest.approx(right, rel=1e-9, abs=1e-12, nan_ok=True)
    if isinstance(left, Decimal) and isinstance(right, Decimal):
        # quantiles of decimals are interpolated in floats
        return abs(left - right) <= Decimal("1e-11")
    return bool(left == right)


def assert_same(left: Answer, right: Answer) -> None:
    assert len(left.rows) == len(right.rows)
    for one, other in zip(left.rows, right.rows, strict=True):
        assert all(same(a, b) for a, b in zip(one, other, strict=True)), (one, other)


@pytest.mark.parametrize("target", UNIQUE, ids=ids(UNIQUE))
def test_a_query_answers_in_the_shape_grafana_expects(grafana: Grafana, target: Target) -> None:
    answer = grafana.ask(target.sql, picked(hours=21 * 24))
    assert answer.rows
    assert any(value is not None for row in answer.rows for value in row)
    kinds = dict(zip(answer.names, answer.types, strict=True))
    if target.shape == "timeseries":
        assert kinds.pop("time").startswith("DateTime")
        numbers = [name for name, kind in kinds.items() if is_number(kind)]
        labels = [name for name, kind in kinds.items() if not is_number(kind)]
        assert numbers
        assert all("String" in kinds[name] for name in labels)
        times = [row[answer.names.index("time")] for row in answer.rows]
        assert times == sorted(times), "Grafana refuses a long series whose rows are not in time order"
        cells = [(row[0], *(row[answer.names.index(name)] for name in labels)) for row in answer.rows]
        assert len(cells) == len(set(cells)), "one value a time and series"
    elif target.shape == "annotation":
        assert set(kinds) >= {"time", "text"}
    elif target.shape == "variable":
        assert len(kinds) == 1
        values = [value for (value,) in answer.rows]
        assert "" not in values, "Grafana takes an empty value for All"
        assert len(values) == len(set(values))


@pytest.mark.parametrize("target", UNIQUE, ids=ids(UNIQUE))
def test_a_range_without_calls_is_no_error(grafana: Grafana, target: Target) -> None:
    nothing = picked(agent=["no such agent"], customer=["nobody"], what_if="no such model")
    answer = grafana.ask(target.sql, nothing)
    if "$__conditionalAll" in target.sql:
        shown = [value for row in answer.dicts() for name, value in row.items() if name != "of_day"]
        assert all(value in (None, 0) for value in shown), answer.rows


@pytest.mark.parametrize("target", PICKING, ids=ids(PICKING))
def test_picking_every_value_shows_what_all_shows(grafana: Grafana, target: Target) -> None:
    """An alias that shadows a filtered column passes with All and loses money with a list."""
    everything = {
        variable: [value for (value,) in grafana.ask(named_variable(target, variable).sql, picked(31 * 24)).rows]
        for variable in target.variables & set(COLUMN_OF)
    }
    assert_same(grafana.ask(target.sql, picked(**everything)), grafana.ask(target.sql, picked()))


def named_variable(target: Target, variable: str) -> Target:
    return named(target.board, f"variable {variable}")


@pytest.mark.parametrize("target", PICKING, ids=ids(PICKING))
def test_several_values_are_their_parts_together(grafana: Grafana, target: Target) -> None:
    """Two agents picked show no more and no less rows' worth than both: told by a sum where there is one."""
    column = next((name for name in ("spend", "made", "calls") if re.search(rf"\bAS {name}\b", target.sql)), None)
    if column is None or target.shape == "annotation" or "OVER (" in target.sql:
        return
    both, one, other = (
        total(grafana.ask(target.sql, picked(agent=agents)), column)
        for agents in (["planner", "writer"], ["planner"], ["writer"])
    )
    if "LIMIT 50" not in target.sql:
        assert same(both, one + other)


def total(answer: Answer, column: str) -> Any:
    if column not in answer.names:
        return 0
    values = [row[answer.names.index(column)] for row in answer.rows]
    return sum(value for value in values if value is not None)


def awkward_picks() -> dict[str, list[tuple[str, str]]]:
    """Query -> what to pick in it: every name in every variable once somewhere, and at least three for each query."""
    picks: dict[str, list[tuple[str, str]]] = {target.sql: [] for target in PICKING}
    having = {variable: [each.sql for each in PICKING if variable in each.variables] for variable in COLUMN_OF}
    for variable, sqls in having.items():
        for name in AWKWARD:
            picks[min(sqls, key=lambda sql: len(picks[sql]))].append((variable, name))
    for place, target in enumerate(PICKING):
        for number in range(place, place + 3 - len(picks[target.sql])):
            variables = sorted(target.variables & set(COLUMN_OF))
            picks[target.sql].append((variables[number % len(variables)], AWKWARD[number % len(AWKWARD)]))
    return picks


PICKS = awkward_picks()


@pytest.mark.parametrize("target", PICKING, ids=ids(PICKING))
def test_an_awkward_name_is_shown_like_its_plain_twin(grafana: Grafana, target: Target) -> None:
    twins: dict[str, Answer] = {}
    for variable, name in PICKS[target.sql]:
        if variable not in twins:
            twins[variable] = plain(grafana.ask(target.sql, picked(hours=40, **{variable: [TWIN]})), TWIN)
        found = grafana.ask(target.sql, picked(hours=40, **{variable: [name]}))
        assert_same(plain(found, name), twins[variable])


def test_every_awkward_name_was_picked_in_every_variable() -> None:
    met = {pair for pairs in PICKS.values() for pair in pairs}
    assert met == {(variable, name) for variable in COLUMN_OF for name in AWKWARD}


def plain(answer: Answer, name: str) -> Answer:
    """With the name, and the numbers of traces, replaced."""

    def cell(value: Any) -> Any:
        if value == name:
            return TWIN
        return re.sub(r"^twin (\w+) \d\d$", r"\1", value) if isinstance(value, str) else value

    return answer._replace(rows=[tuple(map(cell, row)) for row in answer.rows])


def test_a_name_with_a_macro_in_it_finds_nothing_else(grafana: Grafana) -> None:
    """The plugin replaces macros inside strings, too: such a name cannot be picked, and shows nobody else's calls."""
    answer = grafana.ask(named("overview", "Agents A").sql, picked(agent=["x $__fromTime"]))
    assert answer.rows == []


def test_the_one_value_of_what_if_is_decoded_like_the_others(grafana: Grafana) -> None:
    target = named("model", "What if all ran on the chosen model A")
    by_twin = grafana.ask(target.sql, picked(what_if=TWIN, hours=40))
    assert by_twin.rows
    for name in AWKWARD:
        assert_same(grafana.ask(target.sql, picked(what_if=name, hours=40)), by_twin)


@pytest.mark.parametrize("target", UNIQUE, ids=ids(UNIQUE))
def test_the_servers_time_zone_changes_nothing(store: Store, grafana: Grafana, target: Target) -> None:
    """Hours and days are UTC on a server in India, whose hours begin at half past."""
    context = picked(hours=50)
    with store.lease() as client:
        abroad = client.query(expand(target.sql, context), settings={"session_timezone": "Asia/Kolkata"})
    rows = [*map(tuple, abroad.result_rows)]
    assert_same(Answer(abroad.column_names, [], rows), grafana.ask(target.sql, context))


def test_all_is_the_absence_of_a_condition() -> None:
    sql = expand(named("overview", "Spend A").sql, picked())
    assert "decodeURLComponent" not in sql
    assert f"toDateTime({int(NOW.timestamp())})" in sql
    assert ALL not in sql
