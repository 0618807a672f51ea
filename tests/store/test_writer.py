"""The background writer: batches by rows or seconds, nothing lost on the way, nothing waits without bound."""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from spanledger_core.calls import CallKey
from spanledger_core.clock import SystemClock
from spanledger_core.errors import Busy, StoreRefused, StoreUnavailable
from spanledger_core.metrics import Metrics
from spanledger_core.rows import CALL_COLUMNS, CallRow
from spanledger_exporter.batches import Tombstone
from spanledger_exporter.blocks import Block
from spanledger_exporter.dead_letters import DeadLetter, DeadLetters
from spanledger_exporter.store import Store
from spanledger_exporter.writer import BatchWriter, WriterSettings

Row = Callable[..., CallRow]
START_US = 1_790_000_000_000_000


class Unreliable:
    """A real store behind a line that fails as told: an error for the next bookings, or a gate to wait at."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.errors: list[Exception] = []
        self.lose_reply: list[Exception] = []
        self.unreadable: list[Exception] = []
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = threading.Event()
        self.batch = (0, 0, "")
        self.booked: list[tuple[int, int, str]] = []

    def prepare(self, rows: Sequence[CallRow], tombstones: Sequence[Tombstone], token: str) -> Sequence[Block]:
        self.waiting.set()
        self.gate.wait(30)
        self.batch = len(rows), len(tombstones), token
        return self.store.prepare(rows, tombstones, token)

    def insert(self, block: Block) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.store.insert(block)
        self.booked.append(self.batch)
        if self.lose_reply:
            raise self.lose_reply.pop(0)

    def rebuild_rollups(self, hours: Collection[int]) -> None:
        self.store.rebuild_rollups(hours)

    def sweep(self, hours: Collection[int]) -> set[int]:
        return self.store.sweep(hours)

    def unrolled_hours(self) -> Collection[int]:
        if self.unreadable:
            raise self.unreadable.pop(0)
        return self.store.unrolled_hours()


@pytest.fixture
def line(store: Store) -> Unreliable:
    return Unreliable(store)


class Flushed(list[int]):
    def __call__(self, sequence: int) -> None:
        self.append(sequence)


@pytest.fixture
def flushed() -> Flushed:
    return Flushed()


@pytest.fixture
def start(line: Unreliable, tmp_path: Path, flushed: Flushed) -> Iterator[Callable[..., BatchWriter]]:
    started: list[BatchWriter] = []

    def start_it(**values: Any) -> BatchWriter:
        settings = WriterSettings(
            **{"dead_letter_dir": tmp_path / "dead", "flush_interval_s": 30.0, "rollup_delay_s": 0.01} | values
        )
        writer = BatchWriter(line, settings, SystemClock(), Metrics(CollectorRegistry()), on_flushed=flushed)
        writer.start()
        started.append(writer)
        return writer

    yield start_it
    line.gate.set()
    for writer in started:
        writer.close()


def key_of(row: CallRow) -> CallKey:
    values = dict(zip(CALL_COLUMNS, row, strict=True))
    ids = bytes.fromhex(values["trace_id"]), bytes.fromhex(values["span_id"])
    return CallKey(*ids, values["timestamp"] * 1000, values["agent_id"], values["tenant_id"])


def wait_for(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.01)


def calls(store: Store) -> int:
    return int(store.query("SELECT count() FROM calls")[0][0])


def test_a_batch_leaves_when_it_has_enough_rows(
    start: Any, line: Unreliable, store: Store, row: Row, flushed: Flushed
) -> None:
    writer = start(flush_rows=10)
    for number in range(12):
        writer.submit([row(number)], [], number + 1)
    wait_for(lambda: flushed == [10])
    assert [rows for rows, *_ in line.booked] == [10]
    writer.close()
    assert flushed == [10, 12]
    assert calls(store) == 12


def test_a_batch_leaves_when_it_is_old_enough(start: Any, store: Store, row: Row, flushed: Flushed) -> None:
    start(flush_interval_s=0.1).submit([row()], [], 5)
    wait_for(lambda: flushed == [5])
    assert calls(store) == 1


def test_rollups_follow_by_themselves(start: Any, store: Store, row: Row) -> None:
    start(flush_interval_s=0.05).submit([row()], [], 1)
    wait_for(lambda: store.query("SELECT sum(calls) FROM hourly") == [(1,)], timeout_s=3 + 12)


def test_flush_writes_now_and_waits_for_the_rollups(start: Any, store: Store, row: Row, flushed: Flushed) -> None:
    writer = start()
    writer.submit([row(1), row(2)], [], 1)
    assert writer.flush(20)
    assert flushed == [1]
    assert (
        store.query("SELECT sum(calls) FROM hourly") == store.query("SELECT sum(calls) FROM hourly_customer") == [(2,)]
    )
    assert writer.flush(1)


def test_flush_waits_for_what_was_there_however_much_comes(
    start: Any, store: Store, row: Row, flushed: Flushed
) -> None:
    writer = start()
    enough = threading.Event()

    def submit() -> None:
        for number in count(2):
            writer.submit([row(number)], [], number)
            if enough.wait(0.005):
                return

    writer.submit([row(1)], [], 1)
    others = threading.Thread(target=submit)
    others.start()
    try:
        assert writer.write_out(20)
        assert flushed
        assert writer.write_out(20)
    finally:
        enough.set()
        others.join()


def test_records_without_rows_are_confirmed_in_order(start: Any, line: Unreliable, row: Row, flushed: Flushed) -> None:
    writer = start()
    writer.submit([], [], 1)
    writer.submit([row()], [], 2)
    writer.submit([], [], 3)
    writer.close()
    assert flushed[-1] == 3
    assert [rows for rows, *_ in line.booked] == [1]


def test_the_last_change_of_a_key_wins(start: Any, line: Unreliable, store: Store, row: Row) -> None:
    writer = start()
    first, second = row(1, version=10, cost_usd=1), row(1, version=12, cost_usd=2)
    writer.submit([first], [], 1)
    writer.submit([second], [(key_of(first), 11)], 2)
    writer.submit([row(2, version=10)], [(key_of(row(2)), 10)], 3)
    assert writer.flush(20)
    assert line.booked[0][:2] == (1, 1)
    assert store.query("SELECT toString(cost_usd) FROM calls") == [("0.000000000002",)]


def test_an_outage_is_waited_out(start: Any, line: Unreliable, store: Store, row: Row, flushed: Flushed) -> None:
    line.errors = [StoreUnavailable("down", 210)] * 3
    writer = start()
    writer.submit([row()], [], 1)
    assert writer.flush(30)
    assert (flushed, calls(store), writer.trouble) == ([1], 1, "")


def test_a_lost_reply_books_once(start: Any, line: Unreliable, store: Store, row: Row) -> None:
    line.lose_reply = [StoreUnavailable("reset", 210)]
    writer = start()
    writer.submit([row(number) for number in range(5)], [], 1)
    assert writer.flush(30)
    assert len(line.booked) == 2
    assert line.booked[0] == line.booked[1]
    assert store.query("SELECT count() FROM llm_costs") == [(5,)]


def test_busy_when_full_and_room_again_after(start: Any, line: Unreliable, store: Store, row: Row) -> None:
    writer = start(flush_rows=1, max_pending_rows=3, submit_wait_s=0.05)
    line.gate.clear()
    line.waiting.clear()
    writer.submit([row(0)], [], 1)
    assert line.waiting.wait(10)
    for number in (1, 2, 3):
        writer.submit([row(number)], [], number + 1)
    with pytest.raises(Busy) as caught:
        writer.submit([row(4)], [], 5)
    assert caught.value.retry_after_s > 0
    assert writer.pending_rows == 3
    line.gate.set()
    assert writer.flush(20)
    writer.submit([row(4)], [], 5)
    assert writer.flush(20)
    assert calls(store) == 5


def test_more_rows_than_fit_are_taken_alone(start: Any, store: Store, row: Row) -> None:
    writer = start(max_pending_rows=3)
    writer.submit([row(number) for number in range(10)], [], 1)
    assert writer.flush(20)
    assert calls(store) == 10


def test_a_refused_batch_is_set_aside_with_its_reason(
    start: Any, line: Unreliable, row: Row, flushed: Flushed, tmp_path: Path
) -> None:
    line.errors = [StoreRefused("no such thing", 36)] * 3
    writer = start()
    gone = row(2, units={"pages": 1})
    writer.submit([row(1)], [(key_of(gone), 7)], 1)
    assert writer.flush(30)
    assert flushed == [1]
    (path,) = (tmp_path / "dead").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    letter = DeadLetters.read(path)
    assert (letter.reason, letter.code) == ("no such thing", 36)
    assert (letter.rows, letter.tombstones) == ([row(1)], [(key_of(gone), 7)])
    writer.submit(letter.rows, letter.tombstones, 2)
    assert writer.flush(30)
    assert calls(line.store) == 1


def test_a_batch_damaged_on_the_way_is_sent_again(start: Any, line: Unreliable, store: Store, row: Row) -> None:
    line.errors = [StoreRefused("not what was sent", 117), StoreUnavailable("cut", 210), StoreRefused("nor this", 33)]
    writer = start()
    writer.submit([row(1)], [], 1)
    assert writer.flush(30)
    assert calls(store) == 1


def test_an_unfit_row_does_not_hold_up_the_others(
    start: Any, store: Store, row: Row, flushed: Flushed, tmp_path: Path
) -> None:
    writer = start()
    writer.submit([row(1), row(2, input_tokens=-5), row(3, timestamp=None), row(4)], [], 1)
    assert writer.flush(30)
    assert (flushed, calls(store)) == ([1], 2)
    reasons = [json.loads(path.read_text().splitlines()[0])["reason"] for path in (tmp_path / "dead").iterdir()]
    assert sorted(reason.partition(":")[0] for reason in reasons) == ["input_tokens", "timestamp"]


def test_a_fault_of_ours_neither_stops_the_stream_nor_loses_the_batch(
    start: Any, line: Unreliable, row: Row, flushed: Flushed, tmp_path: Path
) -> None:
    line.errors = [ZeroDivisionError("a bug")]
    writer = start()
    writer.submit([row(1)], [], 1)
    assert writer.flush(30)
    writer.submit([row(2)], [], 2)
    assert writer.flush(30)
    assert (flushed, calls(line.store)) == ([1, 2], 1)
    assert len(list((tmp_path / "dead").iterdir())) == 1


def test_rows_of_a_wrong_shape_are_set_aside_whole(
    start: Any, store: Store, row: Row, flushed: Flushed, tmp_path: Path
) -> None:
    writer = start()
    writer.submit([row(1), ()], [], 1)
    assert writer.flush(30)
    writer.submit([row(2)], [], 2)
    assert writer.flush(30)
    assert (flushed, calls(store)) == ([1, 2], 1)
    assert len(list((tmp_path / "dead").iterdir())) == 1


def test_a_full_dead_letter_folder_throws_nothing_away(
    start: Any, line: Unreliable, row: Row, flushed: Flushed, tmp_path: Path
) -> None:
    line.errors = [StoreRefused("no", 36)] * 1000
    writer = start(max_dead_letter_bytes=0, close_timeout_s=0.3)
    writer.submit([row(1)], [], 1)
    assert not writer.flush(0.3)
    wait_for(lambda: "full" in writer.trouble)
    writer.close()
    assert flushed == []


def test_closing_during_an_outage_confirms_nothing(start: Any, line: Unreliable, row: Row, flushed: Flushed) -> None:
    line.errors = [StoreUnavailable("down")] * 10_000
    writer = start(close_timeout_s=0.2)
    writer.submit([row(1)], [], 1)
    writer.submit([row(2)], [], 2)
    writer.close()
    assert flushed == []
    with pytest.raises(Busy):
        writer.submit([], [], 3)


def test_a_failing_confirmation_does_not_stop_the_writer(
    line: Unreliable, store: Store, row: Row, tmp_path: Path
) -> None:
    seen: list[int] = []

    def confirm(sequence: int) -> None:
        seen.append(sequence)
        if sequence == 1:
            raise OSError("disk")

    settings = WriterSettings(tmp_path, flush_interval_s=30.0, rollup_delay_s=0.01)
    writer = BatchWriter(line, settings, SystemClock(), on_flushed=confirm)
    writer.start()
    writer.submit([row(1)], [], 1)
    assert writer.flush(20)
    writer.submit([row(2)], [], 2)
    writer.close()
    assert (seen, calls(store)) == ([1, 2], 2)


def test_hours_left_behind_by_a_crash_are_rebuilt_on_start(start: Any, store: Store, row: Row) -> None:
    store.book([row()], [], "before the crash")
    start()
    wait_for(lambda: store.query("SELECT sum(calls) FROM hourly") == [(1,)])


def test_what_was_booked_twice_is_settled_by_itself(start: Any, store: Store, row: Row) -> None:
    store.book([row(1, agent_id="shop", agent_source="resource")], [], "another collector")
    writer = start(sweep_delay_s=0.01, flush_interval_s=0.01)
    writer.submit([row(1, agent_id="planner", agent_source="ancestor")], [], 1)
    wait_for(lambda: store.query("SELECT agent_id FROM calls") == [("planner",)])
    wait_for(lambda: store.query("SELECT agent_id, calls FROM hourly") == [("planner", 1)])


def test_a_store_that_is_down_at_the_start_is_waited_for(start: Any, line: Unreliable, store: Store, row: Row) -> None:
    store.book([row(1)], [], "before")
    line.unreadable = [StoreUnavailable("down")]
    start()
    wait_for(lambda: store.query("SELECT sum(calls) FROM hourly") == [(1,)])


def test_many_threads_may_submit(start: Any, store: Store, row: Row) -> None:
    writer = start(flush_rows=50)

    def submit_some(base: int) -> None:
        for number in range(20):
            writer.submit([row(base + number)], [], base + number)

    threads = [threading.Thread(target=submit_some, args=(base * 100,)) for base in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    assert calls(store) == 80


def test_a_writer_that_never_started_closes(line: Unreliable, tmp_path: Path) -> None:
    BatchWriter(line, WriterSettings(tmp_path), SystemClock()).close()


def test_a_dead_letter_keeps_what_json_cannot_say(tmp_path: Path, row: Row) -> None:
    odd = row(1, user_id="\ud800", input_tokens=2**70, units={"pages": object()})
    letter = DeadLetter("odd", None, [odd[:-1]], [])
    path = DeadLetters(tmp_path, 1 << 20).write(letter)
    assert "\\ud800" in path.read_text()
    assert str(2**70) in path.read_text()


def test_a_dead_letter_outlasts_a_power_cut_under_its_name(
    tmp_path: Path, row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The spool forgets its rows next: a rename that is not on disk would lose them."""
    synced: list[tuple[bool, list[str]]] = []

    def sync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        synced.append((is_folder, [path.suffix for path in tmp_path.iterdir()]))

    monkeypatch.setattr(os, "fsync", sync)
    DeadLetters(tmp_path, 1 << 20).write(DeadLetter("refused", 469, [row()], []))
    assert synced == [(False, [".tmp"]), (True, [".jsonl"])]


def test_what_was_set_aside_is_booked_by_the_next_start_once_its_cause_is_gone(
    start: Any, line: Unreliable, store: Store, row: Row, tmp_path: Path
) -> None:
    """With the rollups; what is refused again stays, and so does what nobody can read."""
    refusal = [StoreRefused("Constraint `no_such_agent` is violated", 469)] * 3
    line.errors = [*refusal]
    first = start(flush_rows=1)
    first.submit([row(1)], [(key_of(row(2)), START_US + 1)], 1)
    letters = DeadLetters(tmp_path / "dead", 1 << 20)
    wait_for(lambda: len(letters.paths()) == 1)
    first.close()
    (tmp_path / "dead" / "edited.jsonl").write_text("not a letter")

    line.errors = refusal[:1]
    start().close()
    assert len(letters.paths()) == 2
    assert calls(store) == 0

    start().close()
    assert [path.name for path in letters.paths()] == ["edited.jsonl"]
    assert store.query("SELECT agent_id FROM calls") == [("planner",)]
    assert store.query("SELECT sum(calls) FROM hourly") == [(1,)]
