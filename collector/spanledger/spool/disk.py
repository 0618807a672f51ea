"""The spool on disk: SQLite in WAL mode, one fsync for all that arrived while the last one ran.

A record is committed before its request is acknowledged, read once by booking, confirmed when its rows are in the
store, and kept until the attribution horizon has passed: after a restart assembly is fed the kept records again, so
that an ancestor that arrives later still finds the calls beneath it (DESIGN.md 3, State).
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from threading import Condition, Event
from typing import Final

import structlog

from spanledger.spool import database
from spanledger.spool.codec import Reader, UnreadableRecord, encode_batch
from spanledger.spool.database import SQL
from spanledger.spool.repair import repair
from spanledger.spool.waiting import Waiting
from spanledger_core.clock import Clock
from spanledger_core.errors import Busy, SpanledgerError
from spanledger_core.facts import FactBatch
from spanledger_core.ratelimit import OncePerKind
from spanledger_core.stages import SpoolRecord

_log = structlog.get_logger(__name__)
_DELETE_AT_ONCE: Final = 500
"""Old records that any commit drops at most; one that confirms more drops twice as many as it confirms."""
_COMMIT_S: Final = 10.0
_PROGRAM: Final = version("spanledger")


class SpoolUnusable(SpanledgerError):
    """No spool can be opened here: no rights, no space."""


@dataclass(frozen=True)
class SpoolSettings:
    """Bounds of the spool."""

    max_bytes: int = 4 << 30
    """Size of unconfirmed records beyond which requests are refused; also of what is kept after confirmation."""
    horizon_s: float = 3600.0
    """How long confirmed records are kept."""
    memory_facts: int = 200_000
    """Facts handed to booking from memory; what waits beyond that is read back from disk."""
    retry_after_s: float = 2.0
    fsync: bool = True
    """Off: a commit survives the process, not the machine."""


class _Append:
    """One append until the commit that holds it, which its own thread may have to make."""

    __slots__ = ("batch", "body", "error", "is_done", "sequence", "turn")

    def __init__(self, batch: FactBatch, body: bytes) -> None:
        self.batch = batch
        self.body = body
        self.turn = Event()
        """Set when this is done, or when its thread is the one to commit."""
        self.is_done = False
        self.sequence = 0
        self.error: Exception | None = None


class DiskSpool:
    """A `Spool` that survives the process and the machine. One directory belongs to one process."""

    def __init__(self, directory: Path, settings: SpoolSettings, clock: Clock) -> None:
        """Raises `SpoolUnusable`, or `ConfigError` for a later version's spool; a damaged one is repaired."""
        self._settings = settings
        self._clock = clock
        self._ahead_ns = clock.now_ns() - int(clock.monotonic_s() * 1e9)
        self._path = directory / database.FILE
        self._reader = Reader()
        self._once = OncePerKind(clock)
        self._changed = Condition()
        self._pending: list[_Append] = []
        self._hot: deque[tuple[int, FactBatch]] = deque()
        """Unread records that are in memory, in order; what is not here is read from disk when its turn comes."""
        self._hot_facts = 0
        self._closed = False
        self._trouble = ""
        self._committing = False
        """Some thread is: those that come meanwhile wait together for the next commit."""
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            repair(directory, fsync=settings.fsync, horizon_s=settings.horizon_s, now_ms=self._now_ms())
            with closing(database.opened(self._path, fsync=settings.fsync)) as opened:
                self._recover(opened)
            self._reading = database.opened(self._path, fsync=settings.fsync)
            self._writing = database.opened(self._path, fsync=settings.fsync)
        except (OSError, sqlite3.Error) as error:
            raise SpoolUnusable(f"the spool in {directory} cannot be used: {error}") from error

    def _recover(self, opened: sqlite3.Connection) -> None:
        database.create(opened)
        with opened:
            opened.execute(SQL["clamp_arrivals"], (self._now_ms(),))
            opened.execute(SQL["try_again"], (_PROGRAM, database.last_sequence(opened)))
            opened.execute(SQL["tried_again"], (_PROGRAM,))
        self._confirmed: int = opened.execute(SQL["state"]).fetchone()[1]
        self._confirm_to: int = self._confirmed
        self._last = database.last_sequence(opened)
        self._kept_bytes: int = opened.execute(SQL["kept_bytes"]).fetchone()[0]
        while dropped := self._drop_oldest(opened, self._confirmed, self._now_ms(), _DELETE_AT_ONCE):
            opened.commit()
            self._kept_bytes -= dropped
        first, oldest_ms = opened.execute(SQL["oldest_kept"]).fetchone()
        self._read_to: int = self._last if first is None else first - 1
        self._kept_since_ns: int | None = None if oldest_ms is None else oldest_ms * 1_000_000
        self._waiting = Waiting(self._settings.max_bytes)
        self._waiting.recover(opened, self._confirmed, self._last)

    # ---- writing

    def append(self, batch: FactBatch) -> int:
        """Commit a batch. Raises `Busy` when the spool is full, closing, or the disk refuses."""
        one = _Append(batch, encode_batch(batch))
        with self._changed:
            if self._closed:
                raise Busy("the collector is shutting down", self._settings.retry_after_s)
            waiting = self._waiting
            if waiting.bytes and waiting.bytes + len(one.body) > self._settings.max_bytes:
                raise Busy(
                    f"{waiting.facts} spans ({waiting.bytes} bytes) wait to be booked and spool.max_bytes is "
                    f"{self._settings.max_bytes}; the store is slow or away",
                    self._settings.retry_after_s,
                )
            waiting.add(len(batch.facts), len(one.body))
            self._pending.append(one)
            leads = not self._committing
            self._committing = True
        if not leads:
            one.turn.wait()
        if not one.is_done:
            self._commit()
        if one.error is not None:
            raise Busy(f"the spool cannot write to {self._path}: {one.error}", self._settings.retry_after_s)
        return one.sequence

    def _commit(self) -> None:
        """Commit all that waits, in the thread of one of those who wait: handing it to another would cost turns."""
        with self._changed:
            group, self._pending = self._pending, []
            confirm_to = self._confirm_to
        dropped = 0
        error: Exception | None = RuntimeError("the commit was interrupted")
        try:
            dropped, error = self._write(group, confirm_to)
        finally:
            self._committed(group, confirm_to, dropped, error)

    def _write(self, group: list[_Append], confirm_to: int) -> tuple[int, Exception | None]:
        """Bytes of old records that were dropped, and what went wrong."""
        now_ms = self._now_ms()
        first, dropped = self._last + 1, 0
        try:
            with self._writing as writing:
                writing.executemany(
                    SQL["insert_record"],
                    [(first + at, now_ms, len(one.batch.facts), one.body) for at, one in enumerate(group)],
                )
                if confirm_to > self._confirmed or not group:
                    writing.execute(SQL["confirm"], (confirm_to,))
                at_once = max(_DELETE_AT_ONCE, 2 * (confirm_to - self._confirmed))
                dropped = self._drop_oldest(writing, confirm_to, now_ms, at_once)
        except sqlite3.Error as failure:
            quiet = self._once.admit("commit")
            if quiet is not None:
                _log.error("the spool cannot write", path=str(self._path), error=str(failure), suppressed=quiet)
            return 0, failure
        return dropped, None

    def _drop_oldest(self, writing: sqlite3.Connection, confirm_to: int, now_ms: int, at_once: int) -> int:
        """Delete confirmed records that are past the horizon, or beyond the bound in bytes; how many bytes."""
        horizon_ms = now_ms - int(self._settings.horizon_s * 1000)
        last, size = 0, 0
        for sequence, arrived_ms, length in writing.execute(SQL["oldest"], (confirm_to, at_once)):
            if arrived_ms > now_ms:
                writing.execute(SQL["clamp_arrivals"], (now_ms,))
                break
            if arrived_ms >= horizon_ms and self._kept_bytes - size <= self._settings.max_bytes:
                break
            last, size = sequence, size + length
        if last:
            writing.execute(SQL["delete_up_to"], (last,))
        return size

    def _committed(self, group: list[_Append], confirm_to: int, dropped: int, error: Exception | None) -> None:
        """Answer those who waited: their records are on disk, or none of them is. The first of the rest is next."""
        with self._changed:
            self._kept_bytes -= dropped
            self._trouble = str(error) if error is not None else ""
            for one in group:
                one.error = error
                one.is_done = True
                if error is None:
                    self._last += 1
                    one.sequence = self._last
                    self._line_up(one)
                else:
                    self._waiting.remove(len(one.batch.facts), len(one.body))
            if error is None:
                self._confirmed = confirm_to
            if self._pending:
                self._pending[0].turn.set()
            else:
                self._committing = False
            self._changed.notify_all()
        for one in group:
            one.turn.set()

    def _line_up(self, one: _Append) -> None:
        facts = len(one.batch.facts)
        self._kept_bytes += len(one.body)
        self._waiting.committed(one.sequence, facts, len(one.body), self._now_ms())
        if self._hot_facts + facts <= self._settings.memory_facts:
            self._hot.append((one.sequence, one.batch))
            self._hot_facts += facts

    # ---- reading

    def read(self, limit: int, timeout_s: float) -> Sequence[SpoolRecord]:
        """The next records in order; after a restart first those already booked, marked so."""
        with self._changed:
            is_idle = not self._changed.wait_for(lambda: self._read_to < self._last or self._closed, timeout_s)
            hot = self._take_hot(limit)
            first = self._read_to + 1
            last = self._hot[0][0] - 1 if self._hot else self._last
            confirmed = self._confirmed
        if is_idle:
            self._look_after()
        records = hot or (self._from_disk(first, last, limit) if first <= last else [])
        if not hot:
            with self._changed:
                self._read_to = records[-1][0] if len(records) == limit else last
        return [SpoolRecord(sequence, batch, sequence <= confirmed) for sequence, batch in records]

    def _look_after(self) -> None:
        """While nothing comes to commit: drop what is due, and see whether the disk takes writes again."""
        if not self._trouble and not self._is_due():
            return
        with self._changed:
            if self._committing:
                return
            self._committing = True
        self._commit()

    def _is_due(self) -> bool:
        oldest = self._reading.execute(SQL["oldest"], (self._confirmed, 1)).fetchone()
        if oldest is None:
            return False
        too_old = oldest[1] < self._now_ms() - int(self._settings.horizon_s * 1000)
        return too_old or self._kept_bytes > self._settings.max_bytes

    def _take_hot(self, limit: int) -> list[tuple[int, FactBatch]]:
        taken: list[tuple[int, FactBatch]] = []
        while self._hot and self._hot[0][0] == self._read_to + 1 and len(taken) < limit:
            taken.append(self._hot.popleft())
            self._read_to += 1
            self._hot_facts -= len(taken[-1][1].facts)
        return taken

    def _from_disk(self, first: int, last: int, limit: int) -> list[tuple[int, FactBatch]]:
        records = []
        for sequence, body in self._reading.execute(SQL["bodies"], (first, last, limit)).fetchall():
            try:
                batch = self._reader.decode(body)
            except UnreadableRecord as error:
                batch = FactBatch(())
                self.set_aside(sequence, str(error))
            records.append((sequence, batch))
        return records

    def accuse(self, sequence: int, reason: str) -> None:
        """Booking failed with this record. Once may be bad luck; the second time, after a restart, it is set aside."""
        with self._reading as writing:
            known = writing.execute(SQL["is_suspect"], (sequence,)).fetchone() is not None
            writing.execute(SQL["suspect"], (sequence,))
        if known:
            self.set_aside(sequence, reason)

    def set_aside(self, sequence: int, reason: str) -> None:
        """Take a record out of the way that cannot be read or booked; the next version of the program tries again."""
        with self._reading as writing:
            writing.execute(SQL["set_aside"], (sequence, reason, _PROGRAM))
            freed = sum(size for (size,) in writing.execute(SQL["record_bytes"], (sequence,)))
            writing.execute(SQL["drop_record"], (sequence,))
        self.shrank(freed)
        _log.error(
            "spool record set aside",
            sequence=sequence,
            reason=reason,
            remedy="report this with the log; the record waits in the spool's table `aside` for the next version",
        )

    def shrank(self, freed_bytes: int) -> None:
        """Records lost so many bytes otherwise than by ageing: they count no longer towards what is kept."""
        with self._changed:
            self._kept_bytes -= freed_bytes

    def confirm(self, sequence: int) -> None:
        """Everything up to `sequence` is in the store. Not written if the disk refuses: repeating work is harmless."""
        with self._changed:
            sequence = min(sequence, self._last)  # of an outbox whose spool was set aside
            self._waiting.confirm(sequence)
            self._confirm_to = max(self._confirm_to, sequence)
            if not self._may_commit():
                return
        self._commit()

    def _may_commit(self) -> bool:
        """Wait for commits under way; then it is the caller who commits, unless one of them confirmed all there is."""
        self._changed.wait_for(lambda: not self._committing or self._confirmed >= self._confirm_to, _COMMIT_S)
        if self._committing or self._confirmed >= self._confirm_to:
            return False
        self._committing = True
        return True

    def book_again(self) -> None:
        """Treat every record as not booked: the store is new. For before the first `read`."""
        with self._changed, closing(database.opened(self._path, fsync=self._settings.fsync)) as writing:
            with writing:
                writing.execute(SQL["confirm"], (0,))
            self._confirmed = self._confirm_to = 0
            self._waiting.recover(writing, 0, self._last)

    # ---- asking and ending

    @property
    def kept_since_ns(self) -> int | None:
        """When the oldest record came that was kept when the spool was opened; None if none was."""
        return self._kept_since_ns

    @property
    def confirmed(self) -> int:
        """The last sequence whose rows are in the store."""
        return self._confirm_to

    @property
    def waiting_facts(self) -> int:
        """Facts taken and not yet confirmed."""
        return self._waiting.facts

    @property
    def waiting_bytes(self) -> int:
        """Bytes of records not yet confirmed."""
        return self._waiting.bytes

    @property
    def waiting_s(self) -> float:
        """How long the oldest of what waits has waited; 0 if nothing does."""
        since_ms = self._waiting.since_ms
        return 0.0 if since_ms is None else max(0, self._now_ms() - since_ms) / 1000

    @property
    def kept_bytes(self) -> int:
        """Bytes of all records on disk, confirmed ones within the horizon included."""
        return self._kept_bytes

    @property
    def trouble(self) -> str:
        """Why the last commit failed; empty if it did not."""
        return self._trouble

    @property
    def drained(self) -> bool:
        """True once closed and everything was handed to booking."""
        return self._closed and not self._pending and not self._committing and self._read_to >= self._last

    def close(self) -> None:
        """Refuse further appends; records can still be read and confirmed until `release`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def release(self) -> None:
        """Write the last confirmation and let go of the file."""
        self.close()
        with self._changed:
            may_commit = self._may_commit()
        if may_commit:
            self._commit()
        self._writing.close()
        self._reading.close()

    def _now_ms(self) -> int:
        """The time when it was opened, and what has passed since: records do not age when the clock is set."""
        return (self._ahead_ns + int(self._clock.monotonic_s() * 1e9)) // 1_000_000
