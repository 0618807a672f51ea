"""What only the spool on disk promises: restarts, damage, retention, the format."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanledger.spool.codec import FORMAT, Reader, UnreadableRecord, encode_batch
from spanledger.spool.disk import DiskSpool, SpoolSettings
from spanledger.spool.waiting import Waiting
from spanledger_core.clock import ManualClock, SystemClock
from spanledger_core.errors import Busy, ConfigError
from spanledger_core.facts import NOBODY, About, Details, Fact, FactBatch, Resource, SpanClass, Usage, Who

RESOURCE = Resource("process", "shop", "prod", Who(tenant_id="t"), (("region", "eu"),))
ABOUT = About(
    span_class=SpanClass.LLM,
    resource=RESOURCE,
    scope_name="scope",
    scope_version="1",
    dialect="semconv",
    reporter="scope",
    rank=1,
    level=0,
    helper=False,
    operation="chat",
    provider="openai",
    request_model="gpt-4o",
    response_model="gpt-4o-2024-08-06",
    model_key="gpt-4o",
    agent_name="planner",
    agent_placeholder=None,
    agent_path=None,
    agent_rule=False,
    is_error=False,
    error_type="",
    refused=False,
    is_streaming=True,
    finish_reason="stop",
    service_tier="flex",
    price_context=(("batch", "true"),),
)


def fact(number: int = 1, about: About = ABOUT) -> Fact:
    return Fact(
        bytes(15) + b"\1",
        number.to_bytes(8, "big"),
        b"",
        1,
        2,
        about,
        NOBODY,
        Usage(10, 5, units=(("images", 2),)),
        "chatcmpl-12345678",
        Details(attributes=(("app.x", "y"),), reported_cost=10**12, sampling_probability=0.25),
    )


def open_spool(folder: Path, clock: SystemClock | ManualClock | None = None, horizon_s: float = 3600.0) -> DiskSpool:
    return DiskSpool(folder, SpoolSettings(horizon_s=horizon_s), clock or SystemClock())


def test_a_record_reads_back_equal_and_shares_what_repeats() -> None:
    batch = FactBatch(tuple(fact(number, ABOUT._replace()) for number in range(1, 4)))
    reader = Reader()
    once, again = reader.decode(encode_batch(batch)), reader.decode(encode_batch(batch))
    assert once == batch
    assert once.facts[0].about is again.facts[2].about
    assert once.facts[0].who is NOBODY


@given(st.binary(max_size=200))
def test_damaged_bytes_are_refused_by_name_and_never_crash(body: bytes) -> None:
    with pytest.raises(UnreadableRecord):
        Reader().decode(body)


@given(st.data())
def test_a_flipped_byte_never_crashes(data: st.DataObject) -> None:
    body = bytearray(encode_batch(FactBatch((fact(),))))
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(UnreadableRecord):
        Reader().decode(bytes(body))


def test_what_was_committed_is_read_again_after_a_restart_and_what_was_confirmed_says_so(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    for number in range(1, 4):
        spool.append(FactBatch((fact(number),)))
    spool.confirm(2)
    spool.release()
    again = open_spool(tmp_path)
    assert [(record.sequence, record.booked) for record in again.read(10, 0)] == [(1, True), (2, True), (3, False)]
    assert again.waiting_facts == 1
    assert again.append(FactBatch((fact(9),))) == 4
    again.release()


def test_sequences_are_never_given_twice_even_when_all_records_are_gone(tmp_path: Path) -> None:
    clock = ManualClock()
    spool = open_spool(tmp_path, clock, horizon_s=10)
    last = [spool.append(FactBatch((fact(number),))) for number in range(1, 4)][-1]
    clock.advance(100)
    spool.confirm(last)
    spool.append(FactBatch((fact(7),)))
    spool.confirm(4)
    spool.release()
    again = open_spool(tmp_path, clock)
    assert [record.sequence for record in again.read(10, 0)][-1:] in ([], [4])
    assert again.append(FactBatch((fact(8),))) == 5
    again.release()


def test_confirmed_records_leave_after_the_horizon(tmp_path: Path) -> None:
    clock = ManualClock()
    spool = open_spool(tmp_path, clock, horizon_s=10)
    spool.append(FactBatch((fact(1),)))
    clock.advance(11)
    spool.append(FactBatch((fact(2),)))
    spool.confirm(2)
    spool.release()
    again = open_spool(tmp_path, clock)
    assert [record.sequence for record in again.read(10, 0)] == [2]
    again.release()


def test_a_kill_between_commits_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[2])\n"
        "from test_disk_spool import open_spool, fact; from spanledger_core.facts import FactBatch\n"
        "spool = open_spool(pathlib.Path(sys.argv[1]))\n"
        "for n in range(1, 10_000):\n    print(spool.append(FactBatch((fact(n),))), flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), os.path.dirname(__file__)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    acknowledged = 0
    while acknowledged < 30:
        acknowledged = int(process.stdout.readline())
    process.kill()
    rest, _ = process.communicate()
    acknowledged = max([acknowledged, *(int(line) for line in rest.split())])
    again = open_spool(tmp_path)
    sequences = [record.sequence for record in again.read(20_000, 0)]
    again.release()
    assert sequences[:acknowledged] == list(range(1, acknowledged + 1))


def test_a_damaged_record_is_set_aside_and_the_rest_is_read(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    for number in range(1, 4):
        spool.append(FactBatch((fact(number),)))
    spool.release()
    with sqlite3.connect(tmp_path / "spool.db") as database:
        database.execute("UPDATE records SET body = ? WHERE sequence = 2", (bytes([FORMAT]) + b"garbage",))
    database.close()
    again = open_spool(tmp_path)
    assert [len(record.batch.facts) for record in again.read(10, 0)] == [1, 0, 1]
    again.release()


def test_a_spool_of_a_later_format_is_refused_with_the_remedy(tmp_path: Path) -> None:
    open_spool(tmp_path).release()
    with sqlite3.connect(tmp_path / "spool.db") as database:
        database.execute("UPDATE spool SET version = 99")
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(ConfigError, match="upgrade spanledger"):
        open_spool(tmp_path)


def test_a_spool_of_the_first_format_is_brought_up_to_date_and_read(tmp_path: Path) -> None:
    batch = FactBatch((fact(1),))
    with sqlite3.connect(tmp_path / "spool.db") as database:
        database.executescript(
            "PRAGMA journal_mode = WAL;"
            "CREATE TABLE spool (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL,"
            " confirmed INTEGER NOT NULL);"
            "INSERT INTO spool VALUES (1, 1, 1);"
            "CREATE TABLE records (sequence INTEGER PRIMARY KEY AUTOINCREMENT, arrived_ms INTEGER NOT NULL,"
            " facts INTEGER NOT NULL, body BLOB NOT NULL);"
        )
        now_ms = SystemClock().now_ns() // 1_000_000
        without_checksum = bytes([1]) + encode_batch(batch)[5:]
        for _ in range(2):
            database.execute(
                "INSERT INTO records (arrived_ms, facts, body) VALUES (?, 1, ?)", (now_ms, without_checksum)
            )
    database.close()
    for _ in range(2):
        spool = open_spool(tmp_path)
        assert [(one.sequence, one.batch, one.booked) for one in spool.read(9, 0)] == [
            (1, batch, True),
            (2, batch, False),
        ]
        spool.release()
    assert not list(tmp_path.glob("damaged-*"))


def test_a_record_that_fails_twice_is_set_aside_until_another_version_of_the_program_tries_it(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    for number in (1, 2):
        spool.append(FactBatch((fact(number),)))
    spool.accuse(1, "a fault of ours")
    spool.release()
    spool = open_spool(tmp_path)
    assert [record.sequence for record in spool.read(9, 0)] == [1, 2]
    spool.accuse(1, "a fault of ours")
    spool.release()
    again = open_spool(tmp_path)
    assert [record.sequence for record in again.read(9, 0)] == [2]
    again.release()
    with sqlite3.connect(tmp_path / "spool.db") as database:
        assert database.execute("SELECT sequence, reason FROM aside").fetchall() == [(1, "a fault of ours")]
        database.execute("UPDATE aside SET program = 'an earlier one'")
    database.close()
    later = open_spool(tmp_path)
    assert [(one.sequence, one.batch.facts) for one in later.read(9, 0)] == [(2, (fact(2),)), (3, (fact(1),))]
    later.release()


def test_records_of_a_time_the_clock_has_left_leave_one_horizon_later(tmp_path: Path) -> None:
    clock = ManualClock()
    clock.advance(10 * 365 * 86400)
    spool = open_spool(tmp_path, clock, horizon_s=10)
    spool.append(FactBatch((fact(1),)))
    clock.advance(-10 * 365 * 86400)
    spool.confirm(spool.append(FactBatch((fact(2),))))
    spool.append(FactBatch((fact(3),)))
    clock.advance(11)
    spool.confirm(spool.append(FactBatch((fact(4),))))
    spool.release()
    again = open_spool(tmp_path, clock)
    assert [record.sequence for record in again.read(9, 0)] == [4]
    again.release()


def test_what_is_kept_after_booking_has_a_bound_in_bytes(tmp_path: Path) -> None:
    size = len(encode_batch(FactBatch((fact(1),))))
    clock = ManualClock()
    spool = DiskSpool(tmp_path, SpoolSettings(max_bytes=10 * size), clock)
    for number in range(1, 41):
        spool.confirm(spool.append(FactBatch((fact(number),))))
    spool.release()
    again = open_spool(tmp_path, clock)
    assert 10 <= len(again.read(99, 0)) <= 12
    again.release()


def test_booking_again_from_the_start_marks_nothing_as_booked(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    for number in (1, 2, 3):
        spool.append(FactBatch((fact(number),)))
    spool.confirm(3)
    spool.release()
    again = open_spool(tmp_path)
    assert again.waiting_facts == 0
    again.book_again()
    assert again.waiting_facts == 3
    assert [record.booked for record in again.read(9, 0)] == [False, False, False]
    again.confirm(3)
    assert again.waiting_facts == 0
    again.release()


def test_a_long_outage_is_counted_in_blocks(tmp_path: Path) -> None:
    waiting = Waiting(max_bytes=1_000_000)
    for sequence in range(1, 20_001):
        waiting.add(1, 40)
        waiting.committed(sequence, 1, 40, now_ms=sequence)
    assert waiting.blocks < 3000
    assert waiting.since_ms == 1
    assert (waiting.facts, waiting.bytes) == (20_000, 800_000)
    waiting.confirm(10_000)
    assert 10_000 <= waiting.facts <= 10_030  # a block counts until its last record is confirmed
    assert waiting.since_ms is not None
    assert 9_900 < waiting.since_ms <= 10_001
    waiting.confirm(20_000)
    assert (waiting.facts, waiting.bytes, waiting.since_ms) == (0, 0, None)


def test_how_long_the_oldest_waits_is_known_over_restarts(tmp_path: Path) -> None:
    clock = ManualClock()
    spool = DiskSpool(tmp_path, SpoolSettings(), clock)
    assert spool.waiting_s == 0
    spool.append(FactBatch((fact(1),)))
    clock.advance(5)
    spool.append(FactBatch((fact(2),)))
    clock.advance(2)
    assert spool.waiting_s == 7
    spool.release()
    again = DiskSpool(tmp_path, SpoolSettings(), clock)
    assert again.waiting_s == 7
    again.confirm(1)
    assert again.waiting_s == 2
    again.confirm(2)
    assert again.waiting_s == 0
    again.release()


def aged(spool: DiskSpool, clock: ManualClock, records: int) -> int:
    """So many records, past the horizon; the last sequence."""
    last = [spool.append(FactBatch((fact(number),))) for number in range(1, records + 1)][-1]
    clock.advance(11)
    return last


def test_as_much_leaves_as_was_confirmed_however_much_at_once(tmp_path: Path) -> None:
    clock = ManualClock()
    spool = DiskSpool(tmp_path, SpoolSettings(horizon_s=10, fsync=False), clock)
    spool.confirm(aged(spool, clock, 1300))
    assert spool.kept_bytes == 0
    spool.release()


def test_what_is_past_the_horizon_leaves_while_nothing_comes(tmp_path: Path) -> None:
    clock = ManualClock()
    spool = open_spool(tmp_path, clock, horizon_s=10)
    spool.confirm(spool.append(FactBatch((fact(1),))))
    spool.append(FactBatch((fact(2),)))
    assert len(spool.read(9, 0)) == 2
    clock.advance(11)
    kept = spool.kept_bytes
    assert not spool.read(9, 0)
    assert 0 < spool.kept_bytes < kept, "what waits stays"
    spool.release()
    again = open_spool(tmp_path, clock, horizon_s=10)
    assert [record.sequence for record in again.read(9, 0)] == [2]
    again.release()


def test_what_is_past_the_horizon_leaves_when_the_spool_is_opened(tmp_path: Path) -> None:
    clock = ManualClock()
    spool = DiskSpool(tmp_path, SpoolSettings(fsync=False), clock)
    spool.confirm(aged(spool, clock, 1100))
    spool.release()
    again = open_spool(tmp_path, clock, horizon_s=10)
    assert again.kept_bytes == 0
    assert again.kept_since_ns is None
    assert again.append(FactBatch((fact(1),))) == 1101
    again.release()


def test_every_commit_is_synced_before_it_is_acknowledged(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    assert spool._writing.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert spool._writing.execute("PRAGMA synchronous").fetchone() == (2,)
    spool.release()


def test_a_disk_that_takes_nothing_is_told_until_it_takes_writes_again(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool._writing.execute("PRAGMA query_only = ON")
    with pytest.raises(Busy):
        spool.append(FactBatch((fact(1),)))
    assert "readonly" in spool.trouble
    spool._writing.execute("PRAGMA query_only = OFF")
    assert not spool.read(9, 0)
    assert spool.trouble == ""
    spool.release()
