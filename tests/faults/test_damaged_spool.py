"""Damage to the spool's files: the collector starts, what is whole is booked, nothing is read that was not written."""

from __future__ import annotations

import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanledger.spool.carving import PAGE_BYTES
from spanledger.spool.disk import DiskSpool
from spanledger_core.facts import FactBatch
from spanledger_core.stages import SpoolRecord

Batch = Callable[..., FactBatch]
Open = Callable[..., DiskSpool]
RECORDS = 60
PAGE = PAGE_BYTES


@pytest.fixture
def folder(crashed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(crashed, tmp_path / "spool"))


def everything(spool: DiskSpool) -> list[SpoolRecord]:
    records: list[SpoolRecord] = []
    while more := spool.read(100, 0):
        records.extend(more)
    return records


def facts_of(number: int) -> int:
    return 1 + number * 7 % 90


def read_back(folder: Path, open_spool: Open, batch: Batch) -> dict[int, bool]:
    """Sequence -> booked, of the records read; each is what was written, and the spool works."""
    spool = open_spool(folder)
    try:
        records = [record for record in everything(spool) if record.batch.facts]
        for sequence, found, _ in records:
            assert found == batch(sequence, facts=facts_of(sequence))
        last = max((record.sequence for record in records), default=0)
        assert spool.append(batch(99)) > last
        assert [record.batch for record in spool.read(1, 0)] == [batch(99)]
    finally:
        spool.release()
    return {record.sequence: record.booked for record in records}


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def put_aside(folder: Path) -> list[Path]:
    return sorted(folder.glob("damaged-*"))


def test_without_damage_everything_is_there_and_nothing_is_put_aside(
    folder: Path, open_spool: Open, batch: Batch
) -> None:
    assert read_back(folder, open_spool, batch) == {number: number <= 20 for number in range(1, RECORDS + 1)}
    assert not put_aside(folder)


@pytest.mark.parametrize("size", [16, 100, PAGE])
def test_a_destroyed_header_loses_nothing(folder: Path, open_spool: Open, batch: Batch, size: int) -> None:
    open_spool(folder).release()  # empties the log, which would heal the first page
    overwrite(folder / "spool.db", 0, random.Random(size).randbytes(size))
    with structlog.testing.capture_logs() as logs:
        found = read_back(folder, open_spool, batch)
    assert found == {number: number <= 20 for number in range(1, RECORDS + 1)}
    told = [entry for entry in logs if "was damaged" in entry["event"]]
    assert len(told) == 1
    assert told[0]["aside"] == str(put_aside(folder)[0])
    assert told[0]["records_read"] == RECORDS


def test_a_destroyed_root_of_the_records_hides_none_of_them(folder: Path, open_spool: Open, batch: Batch) -> None:
    with sqlite3.connect(folder / "spool.db") as asked:
        root = asked.execute("SELECT rootpage FROM sqlite_master WHERE name = 'records'").fetchone()[0]
    asked.close()
    overwrite(folder / "spool.db", (root - 1) * PAGE, bytes(PAGE))
    assert set(read_back(folder, open_spool, batch)) == set(range(1, RECORDS + 1))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_keeps_what_is_in_the_rest(folder: Path, open_spool: Open, batch: Batch, share: float) -> None:
    path = folder / "spool.db"
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * share))
    found = read_back(folder, open_spool, batch)
    assert len(found) >= 20 + (40 * share - 8)  # those in the log, and about this share of the others
    assert put_aside(folder) or len(found) == RECORDS


def test_damage_in_the_middle_of_the_log_does_not_take_what_is_behind_it(
    folder: Path, open_spool: Open, batch: Batch
) -> None:
    wal = folder / "spool.db-wal"
    overwrite(wal, wal.stat().st_size // 2, b"\xff" * 64)
    found = read_back(folder, open_spool, batch)
    assert len(found) >= RECORDS - 3
    assert RECORDS in found
    assert (put_aside(folder)[0] / "spool.db-wal").stat().st_size > PAGE


def test_a_log_without_its_header_is_still_read(folder: Path, open_spool: Open, batch: Batch) -> None:
    overwrite(folder / "spool.db-wal", 0, bytes(32))
    assert set(read_back(folder, open_spool, batch)) == set(range(1, RECORDS + 1))


@pytest.mark.parametrize("content", [b"not a database at all\n" * 1000, bytes(100_000), b"SQLite format 3\0"])
def test_a_file_that_is_something_else_is_put_aside(
    tmp_path: Path, open_spool: Open, batch: Batch, content: bytes
) -> None:
    (tmp_path / "spool.db").write_bytes(content)
    assert read_back(tmp_path, open_spool, batch) == {}
    assert (put_aside(tmp_path)[0] / "spool.db").read_bytes() == content


def test_at_most_three_damaged_files_are_kept(tmp_path: Path, batch: Batch) -> None:
    from spanledger.spool.disk import SpoolSettings
    from spanledger_core.clock import ManualClock

    clock = ManualClock()
    for _ in range(6):
        (tmp_path / "spool.db").write_bytes(b"x" * 5000)
        clock.advance(1)
        DiskSpool(tmp_path, SpoolSettings(), clock).release()
    assert len(put_aside(tmp_path)) == 3


def test_a_repair_that_was_interrupted_is_finished(folder: Path, open_spool: Open, batch: Batch) -> None:
    spool = open_spool(folder)
    spool.release()
    (folder / "spool.db").rename(folder / "repaired.db")
    assert len(read_back(folder, open_spool, batch)) == RECORDS


def test_a_repair_that_was_interrupted_early_begins_again(folder: Path, open_spool: Open, batch: Batch) -> None:
    overwrite(folder / "spool.db", 0, bytes(100))
    (folder / "repaired.db").write_bytes(b"half")
    assert len(read_back(folder, open_spool, batch)) == RECORDS


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_stops_the_collector_or_changes_a_record(
    crashed: Path, open_spool: Open, batch: Batch, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(shutil.copytree(crashed, Path(temporary) / "spool"))
        for _ in range(data.draw(st.integers(1, 4))):
            path = folder / data.draw(st.sampled_from(["spool.db", "spool.db-wal"]))
            size = path.stat().st_size
            at = data.draw(st.integers(0, max(0, size - 1)))
            overwrite(path, at, data.draw(st.binary(min_size=1, max_size=300)))
            if data.draw(st.booleans()):
                with path.open("r+b") as file:
                    file.truncate(data.draw(st.integers(0, size)))
        read_back(folder, open_spool, batch)


@pytest.mark.parametrize("statement", ["UPDATE spool SET confirmed = 1 << 40", "UPDATE spool SET version = 7"])
def test_a_file_that_contradicts_itself_is_repaired(
    folder: Path, open_spool: Open, batch: Batch, statement: str
) -> None:
    open_spool(folder).release()
    with sqlite3.connect(folder / "spool.db") as database:
        database.execute(statement)
    database.close()
    # to book again what was booked changes nothing; not to book what was not would lose it
    assert read_back(folder, open_spool, batch) == dict.fromkeys(range(1, RECORDS + 1), False)
    assert put_aside(folder)


def records_in(folder: Path) -> Iterator[Any]:
    with sqlite3.connect(folder / "spool.db") as asked:
        yield from asked.execute("SELECT sequence FROM records")
    asked.close()


def test_records_that_were_dropped_do_not_come_back_with_a_repair(tmp_path: Path, batch: Batch) -> None:
    from spanledger.spool.disk import SpoolSettings
    from spanledger_core.clock import ManualClock

    clock = ManualClock()
    spool = DiskSpool(tmp_path, SpoolSettings(horizon_s=10), clock)
    for number in range(1, 31):
        spool.append(batch(number, facts=20))
    spool.confirm(30)
    clock.advance(60)
    spool.append(batch(31))
    spool.confirm(31)
    spool.release()
    assert list(records_in(tmp_path)) == [(31,)]
    overwrite(tmp_path / "spool.db", 0, bytes(100))
    again = DiskSpool(tmp_path, SpoolSettings(horizon_s=10), clock)
    assert [(record.sequence, record.booked) for record in everything(again)] == [(31, True)]
    again.release()
