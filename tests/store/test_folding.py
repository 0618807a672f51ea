"""Old days are folded into one partition: the same sums before, during and after, wherever it is interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from spanledger_core.calls import CallKey
from spanledger_core.clock import ManualClock
from spanledger_core.errors import StoreRefused, StoreUnavailable
from spanledger_core.rows import CALL_COLUMNS, CallRow
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import Store, open_store
from spanledger_exporter.upkeep import Upkeep

Row = Callable[..., CallRow]
DAY_US = 86_400_000_000
DAY = date(2026, 9, 21)
DAY_START_US = 20_717 * DAY_US
STEPS = [
    "copying noted",
    "copying shown",
    "labelled",
    "copied",
    "dropping noted",
    "dropping shown",
    "dropped",
    "folded noted",
    "folded shown",
]
SUMS = "SELECT toDate(timestamp) AS day, count(), sum(cost_usd), sum(input_tokens) FROM calls GROUP BY day ORDER BY day"
LABELS = "SELECT uniqExact(agent_partition), any(agent_partition) FROM llm_costs WHERE toDate(timestamp) = {day:Date}"


class Killed(BaseException):
    """The process ends here."""


def key_of(row: CallRow) -> CallKey:
    values = dict(zip(CALL_COLUMNS, row, strict=True))
    ids = bytes.fromhex(values["trace_id"]), bytes.fromhex(values["span_id"])
    return CallKey(*ids, values["timestamp"] * 1000, values["agent_id"], values["tenant_id"])


@pytest.fixture
def rows(row: Row) -> list[CallRow]:
    """Three days, the middle one to be folded, five agents."""
    return [
        row(number, timestamp=DAY_START_US + (number % 3 - 1) * DAY_US + number, agent_id=f"a{number % 5}")
        for number in range(90)
    ]


@pytest.fixture
def filled(store: Store, rows: list[CallRow]) -> Store:
    store.book(rows, [], "1")
    store.book([], [(key_of(row), row[-1] + 1) for row in rows[:20]], "2")
    return store


def test_a_day_is_folded_and_the_sums_are_the_same_at_every_step(filled: Store) -> None:
    before = filled.query(SUMS)
    steps = []

    def look(step: str) -> None:
        steps.append(step)
        assert filled.query(SUMS) == before, step

    filled.fold(DAY, look)
    assert steps == STEPS
    assert filled.query(SUMS) == before
    assert filled.query(LABELS, {"day": DAY}) == [(1, "")]
    assert filled.query(LABELS, {"day": DAY + timedelta(days=1)})[0][0] > 1


def test_tombstones_come_along(filled: Store, rows: list[CallRow]) -> None:
    """Every span sent again after the fold: what was withdrawn stays withdrawn."""
    before = filled.query(SUMS)
    filled.fold(DAY)
    filled.book(rows, [], "everything again")
    assert filled.query(SUMS) == before
    assert filled.query(LABELS, {"day": DAY}) == [(1, "")]


@pytest.mark.parametrize("step", STEPS)
def test_a_fold_that_was_killed_is_taken_up(
    filled: Store, open_here: Callable[..., Store], rows: list[CallRow], step: str
) -> None:
    before = filled.query(SUMS)

    def die(done: str) -> None:
        if done == step:
            raise Killed

    with pytest.raises(Killed):
        filled.fold(DAY, die)
    assert filled.query(SUMS) == before
    again = open_here()
    assert again.query(SUMS) == before
    assert again.query(LABELS, {"day": DAY}) == [(1, "")]
    again.book(rows, [], "everything again")
    assert again.query(SUMS) == before


def test_late_rows_of_a_folded_day_join_it(filled: Store, row: Row) -> None:
    filled.fold(DAY)
    filled.book([row(1000, timestamp=DAY_START_US, agent_id="newcomer")], [], "late")
    assert filled.query(LABELS, {"day": DAY}) == [(1, "")]
    assert filled.query("SELECT agent_id FROM calls WHERE span_id = '00000000000003e8'") == [("newcomer",)]


def test_nothing_is_dropped_that_has_no_copy(filled: Store) -> None:
    before = filled.query(SUMS)

    def lose_the_copies(step: str) -> None:
        if step == "copied":
            lost = "SELECT DISTINCT _partition_id FROM llm_costs WHERE agent_partition = ''"
            with filled.lease() as client:
                (partition,) = client.query(lost).result_rows[0]
                client.command("ALTER TABLE llm_costs DROP PARTITION ID {partition:String}", {"partition": partition})

    with pytest.raises(StoreRefused, match="the fold of 2026-09-21 was stopped: 30 rows have no copy"):
        filled.fold(DAY, lose_the_copies)
    assert filled.query(SUMS) == before


def test_folding_a_folded_day_changes_nothing(filled: Store) -> None:
    filled.fold(DAY)
    before = filled.query(SUMS)
    steps: list[str] = []
    filled.fold(DAY, steps.append)
    assert steps == []
    assert filled.query(SUMS) == before


def test_a_fold_that_was_stopped_is_finished_before_the_next(filled: Store) -> None:
    before = filled.query(SUMS)

    def die(step: str) -> None:
        if step == "copied":
            raise Killed

    with pytest.raises(Killed):
        filled.fold(DAY, die)
    other = DAY + timedelta(days=1)
    filled.fold(other, lambda step: check(filled.query(SUMS) == before, step))
    assert filled.query(SUMS) == before
    assert [filled.query(LABELS, {"day": day}) for day in (DAY, other)] == [[(1, "")]] * 2


def check(holds: bool, what: str) -> None:
    assert holds, what


def test_the_lookup_finds_each_row_once_during_a_fold(filled: Store, rows: list[CallRow]) -> None:
    kept = [key_of(row) for row in rows[20:]]
    spans = [(key.trace_id, key.span_id) for key in kept]

    def look(step: str) -> None:
        found = filled.find_booked(spans).by_span
        assert len(found) == len(spans), step
        assert all(len(booked) == 1 for booked in found.values()), step

    filled.fold(DAY, look)


def open_at(address: StoreAddress, day: date, **settings: Any) -> Store:
    now = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return open_store(address, StoreSettings(**settings), ManualClock(int(now.timestamp()) * 10**9))


def test_upkeep_folds_what_is_old_and_drops_what_is_expired(address: StoreAddress, rows: list[CallRow]) -> None:
    with open_at(address, DAY) as store:
        store.migrate()
        store.book(rows, [], "1")
        before = store.query(SUMS)
        assert store.maintain() == []
    with open_at(address, DAY + timedelta(days=32)) as store:
        assert store.maintain() == [DAY - timedelta(days=1), DAY]
        assert store.query(SUMS) == before
        assert store.maintain() == []
    with open_at(address, DAY + timedelta(days=400)) as store:
        store.maintain()
        assert store.query(SUMS) == before[1:]
        assert store.query("SELECT min(toDate(timestamp)) FROM llm_costs") == [(DAY,)]


def test_upkeep_runs_by_itself_and_outlives_failures() -> None:
    class Flaky:
        runs = 0
        done = threading.Event()

        def maintain(self) -> list[date]:
            self.runs += 1
            if self.runs == 1:
                raise StoreUnavailable("down")
            self.done.set()
            return [DAY]

    store = Flaky()
    upkeep = Upkeep(store, every_s=0.01, first_s=0.0)
    upkeep.start()
    assert store.done.wait(10)
    upkeep.close()
    Upkeep(store).close()
