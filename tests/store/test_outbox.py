"""A batch is on disk with its tokens before it is inserted, and an end in the middle is mended from there."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import rmtree
from threading import Event

import pytest

from spanledger_core.clock import SystemClock
from spanledger_core.errors import StoreRefused, StoreUnavailable
from spanledger_core.rows import CallRow
from spanledger_exporter.batches import DAY_US, Tombstone
from spanledger_exporter.blocks import Block
from spanledger_exporter.booking import Stale
from spanledger_exporter.dead_letters import DeadLetters
from spanledger_exporter.delivery import Delivery
from spanledger_exporter.outbox import Outbox, complete
from spanledger_exporter.store import Store

Row = Callable[..., CallRow]
STANDING = "SELECT count(), uniqExact(trace_id), sum(version) FROM llm_costs"
CALLS = "SELECT count(), uniqExact(trace_id), sum(version) FROM calls"


class Observed:
    """A real store; what is in the outbox when a block comes, and errors before and after it is written."""

    def __init__(self, store: Store, outbox: Path) -> None:
        self.store = store
        self.outbox = outbox
        self.seen: list[dict[str, bytes]] = []
        self.tokens: list[str] = []
        self.prepared = 0
        self.before: list[Exception] = []
        self.after: list[Exception] = []

    def prepare(self, rows: Sequence[CallRow], tombstones: Sequence[Tombstone], token: str) -> Sequence[Block]:
        self.prepared += 1
        return self.store.prepare(rows, tombstones, token)

    def insert(self, block: Block) -> None:
        self.seen.append({path.name: path.read_bytes() for path in self.outbox.iterdir()})
        self.tokens.append(block.token)
        if self.before:
            raise self.before.pop(0)
        self.store.insert(block)
        if self.after:
            raise self.after.pop(0)


@pytest.fixture
def line(store: Store, tmp_path: Path) -> Observed:
    return Observed(store, tmp_path / "outbox")


@pytest.fixture
def delivery(line: Observed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Delivery:
    monkeypatch.setattr(Event, "wait", lambda self, timeout=None: self.is_set())
    letters = DeadLetters(tmp_path / "dead", 1 << 20)
    return Delivery(line, Outbox(line.outbox), letters, SystemClock(), giving_up=Event(), metrics=None)


def many_days(row: Row) -> list[CallRow]:
    """More partitions than one insert takes."""
    return [
        row(number, agent_id=f"a{number % 20}", timestamp=row()[0] + number // 20 * DAY_US) for number in range(200)
    ]


def test_what_is_inserted_is_on_disk_before_and_the_same_however_often_it_is_tried(
    row: Row, line: Observed, delivery: Delivery
) -> None:
    line.before = [StoreUnavailable("connection refused")]
    line.after = [StoreUnavailable("connection reset by peer")]
    delivery.deliver([row(number) for number in range(50)], [], 7)
    assert len(line.seen) == 3
    assert line.seen[0]
    assert line.seen[0] == line.seen[1] == line.seen[2]
    assert line.prepared == 1
    assert len(set(line.tokens)) == 1
    assert line.store.query(STANDING)[0][:2] == (50, 50)
    modes = {path.stat().st_mode & 0o777 for path in (line.outbox, *line.outbox.iterdir())}
    assert modes == {0o700, 0o600} or os.name == "nt"
    delivery.settled()
    assert list(line.outbox.iterdir()) == []


def test_all_parts_of_a_batch_are_on_disk_before_the_first_is_inserted(
    row: Row, line: Observed, delivery: Delivery
) -> None:
    delivery.deliver(many_days(row), [], 7)
    assert len(line.seen) > 1
    assert {len(names) for names in line.seen} == {len(line.seen)}
    assert line.store.query(STANDING)[0][:2] == (200, 200)


@pytest.mark.parametrize("written", [0, 1])
def test_the_next_process_completes_a_batch_from_the_very_same_bytes(
    store: Store, row: Row, line: Observed, tmp_path: Path, written: int
) -> None:
    blocks = store.prepare(many_days(row), [], "a1b2")
    fixed = Outbox(tmp_path / "outbox").fix(7, blocks)
    for block in fixed[:written]:
        store.insert(block)
    line.outbox = tmp_path / "outbox"
    after = Outbox(tmp_path / "outbox")
    assert complete(after, line.insert, 0) == 7
    assert len(line.tokens) == len(blocks)
    standing = store.query(CALLS)
    assert standing[0][:2] == (200, 200)
    assert complete(after, line.insert, 0) == 7
    assert store.query(CALLS) == standing
    after.clear()
    assert complete(after, line.insert, 0) == 0


def test_a_part_whose_token_was_noted_and_that_never_came_is_written(store: Store, row: Row, tmp_path: Path) -> None:
    """The engine notes the token first; a kill between the two must not cost what is in the part."""
    rows = [row(number, agent_id="a") for number in range(9)]
    (block,) = Outbox(tmp_path).fix(7, store.prepare(rows, [], "a1b2"))
    store.insert(block)
    parts = "SELECT path FROM system.parts WHERE database = currentDatabase() AND table = 'llm_costs' AND active"
    ((part,),) = store.query(parts)
    if not Path(part).is_dir():
        pytest.skip("the parts of this store are not in reach")
    with store.lease() as client:
        client.command("DETACH TABLE llm_costs")
        rmtree(part)
        client.command("ATTACH TABLE llm_costs")
    store.insert(block)
    assert store.query(CALLS)[0][0] == 0
    assert complete(Outbox(tmp_path), store.insert, 0) == 7
    assert store.query(CALLS)[0][0] == 9


def test_a_set_that_is_not_whole_was_not_inserted_from(store: Store, row: Row, tmp_path: Path) -> None:
    blocks = store.prepare(many_days(row), [], "a1b2")
    fixed = Outbox(tmp_path).fix(7, blocks)
    assert isinstance(fixed[0].body, Path)
    fixed[0].body.rename(fixed[0].body.with_suffix(".tmp"))
    outbox = Outbox(tmp_path)
    assert outbox.left() is None
    assert complete(outbox, store.insert, 0) == 0
    outbox.clear()
    assert list(tmp_path.iterdir()) == []
    assert store.query("SELECT count() FROM llm_costs") == [(0,)]


@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "unreadable"])
def test_a_damaged_file_is_not_inserted(store: Store, row: Row, line: Observed, tmp_path: Path, damage: str) -> None:
    outbox = tmp_path / "outbox"
    first, *_ = Outbox(outbox).fix(7, store.prepare(many_days(row), [], "a1b2"))
    assert isinstance(first.body, Path)
    whole = first.body.read_bytes()
    if damage == "unreadable":
        first.body.unlink()
        first.body.mkdir()
    else:
        first.body.write_bytes({"cut": whole[:-40], "empty": b"", "changed": whole[:-40] + b"\xff" * 40}[damage])
    assert complete(Outbox(outbox), line.insert, 0) == 0
    assert line.seen == []


def test_a_batch_for_another_store_is_not_inserted_into_this_one(
    store: Store, row: Row, line: Observed, tmp_path: Path
) -> None:
    """Its agents own partitions there."""
    outbox = tmp_path / "outbox"
    Outbox(outbox, "another").fix(7, store.prepare([row()], [], "a1b2"))
    assert complete(Outbox(outbox, store.identity), line.insert, 0) == 0
    assert line.seen == []
    Outbox(outbox, store.identity).fix(7, store.prepare([row()], [], "a1b2"))
    assert complete(Outbox(outbox, store.identity), line.insert, 0) == 7


def test_every_store_has_an_identity_of_its_own(store: Store) -> None:
    before = store.identity
    assert store.identity == before
    with store.lease() as client:
        client.command("CREATE TABLE other AS llm_costs")
        client.command("EXCHANGE TABLES other AND llm_costs")
    assert store.identity != before


@pytest.mark.parametrize("error", [StoreUnavailable("connection refused"), StoreRefused("no such column", 16)])
def test_what_cannot_be_completed_is_left_to_the_spool(
    store: Store, row: Row, line: Observed, tmp_path: Path, error: Exception
) -> None:
    Outbox(tmp_path / "outbox").fix(7, store.prepare([row()], [], "a1b2"))
    line.before = [error]
    assert complete(Outbox(tmp_path / "outbox"), line.insert, 0) == 0


def test_days_that_may_have_been_folded_meanwhile_are_made_anew(store: Store, row: Row, tmp_path: Path) -> None:
    Outbox(tmp_path).fix(7, store.prepare([row()], [], "a1b2"))
    day = row()[0] // DAY_US
    assert complete(Outbox(tmp_path), store.insert, day + 1) == 0
    assert complete(Outbox(tmp_path), store.insert, day) == 7


def test_a_block_made_before_partitions_could_change_is_made_anew(
    store: Store, row: Row, line: Observed, delivery: Delivery
) -> None:
    (block,) = store.prepare([row()], [], "a1b2")
    with store.paused():
        pass
    with pytest.raises(Stale):
        store.insert(block)

    class Folding(Observed):
        def insert(self, block: Block) -> None:
            if not self.seen:
                with self.store.paused():
                    pass
            super().insert(block)

    line.__class__ = Folding
    delivery.deliver([row()], [], 7)
    assert line.prepared == 2
    assert store.query("SELECT count() FROM llm_costs") == [(1,)]


def test_a_batch_whose_file_somebody_deleted_is_made_anew(row: Row, line: Observed, delivery: Delivery) -> None:
    class Deleting(Observed):
        def insert(self, block: Block) -> None:
            if not self.seen:
                for path in self.outbox.iterdir():
                    path.unlink()
            super().insert(block)

    line.__class__ = Deleting
    delivery.deliver(many_days(row), [], 7)
    assert line.prepared == 2
    assert line.store.query(STANDING)[0][:2] == (200, 200)


def test_a_disk_that_takes_no_batch_does_not_keep_it_from_the_store(
    row: Row, line: Observed, delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is booking that makes room where the spool has filled the disk."""

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    line.before = [StoreUnavailable("connection refused")]
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        delivery.deliver(many_days(row), [], 7)
    assert line.store.query(STANDING)[0][:2] == (200, 200)
    assert line.prepared == 1
    assert not any(line.seen)
    delivery.settled()
    assert list(line.outbox.iterdir()) == []


def test_a_file_that_cannot_be_deleted_stops_nothing(
    row: Row, line: Observed, delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    delivery.deliver([row(1)], [], 7)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)
        delivery.settled()
        delivery.deliver([row(2)], [], 8)
        delivery.settled()
        with pytest.raises(OSError, match="Read-only"):
            Outbox(line.outbox).clear()
    assert line.store.query(STANDING)[0][:2] == (2, 2)
    delivery.settled()
    assert list(line.outbox.iterdir()) == []


def test_an_outbox_that_cannot_be_read_is_made_anew(
    store: Store, row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path, pattern: str) -> None:
        raise OSError(errno.EIO, "Input/output error")

    Outbox(tmp_path).fix(7, store.prepare([row()], [], "a1b2"))
    monkeypatch.setattr(Path, "glob", broken)
    assert complete(Outbox(tmp_path), store.insert, 0) == 0
