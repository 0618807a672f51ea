"""A damaged spool: what stands whole goes into a new file, the damaged one is put aside, and the collector starts.

A damage that made the collector stop would stop it again at every start, and nothing would be received meanwhile.
"""

from __future__ import annotations

import mmap
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from spanledger.spool import carving, database
from spanledger.spool.codec import Reader, UnreadableRecord
from spanledger_core.durable import sync_folder

_log = structlog.get_logger(__name__)
_KEPT_ASIDE: Final = 3
"""Damaged files that are kept to look at; older ones are deleted."""
_ASIDE: Final = "damaged-"
_NEW: Final = "repaired.db"
_SURROUNDINGS: Final = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)
"""What says nothing about the file itself. Of all else the file is the cause, whatever SQLite calls it."""
_YEAR_3000_MS: Final = 32_503_680_000_000


class Salvaged(NamedTuple):
    """What could be read of a damaged spool."""

    records: int
    to_book: int
    """How many of them were not booked yet, or are not known to be."""


def repair(directory: Path, *, fsync: bool, horizon_s: float, now_ms: int) -> None:
    """Leave a spool in `directory` that SQLite can read, if one was there.

    Raises `OSError` or `sqlite3.Error` where that is not possible: no rights, no space.
    """
    path, new = directory / database.FILE, directory / _NEW
    if not path.exists() and new.exists():
        new.rename(path)  # an earlier repair got as far as putting the damaged file aside
    _remove(new)
    why = damage(path)
    if why is None:
        return
    salvaged = salvage(path, new, fsync=fsync, oldest_ms=now_ms - int(horizon_s * 1000))
    aside = _put_aside(path, now_ms)
    new.rename(path)
    sync_folder(directory)
    _log.error(
        "the spool was damaged: what could be read goes on, the damaged file was put aside",
        damage=why,
        records_read=salvaged.records,
        records_to_book=salvaged.to_book,
        aside=str(aside),
        remedy="check the disk; what senders still have can be sent again, nothing is booked twice",
    )


def damage(path: Path) -> str | None:
    """What is wrong with the file at `path`; None where nothing is. Raises `sqlite3.Error` if that cannot be told."""
    if not path.exists():
        return None
    wal = _wal(path)
    logged = wal.read_bytes() if wal.exists() else b""
    if not path.stat().st_size and carving.frames(logged, carving.page_bytes(b"", logged)):
        return "the file is empty, though its write-ahead log is not"
    why = _damage(path, logged)
    if why is not None and logged:
        wal.write_bytes(logged)  # SQLite has dropped it on closing
    return why


def _damage(path: Path, logged: bytes) -> str | None:
    try:
        with closing(sqlite3.connect(path, timeout=10)) as asked:
            result = asked.execute(database.SQL["check"]).fetchone()
            if result != ("ok",):
                return str(result)
            if not database.is_consistent(asked):
                return "it contradicts itself"
            _, taken, _ = asked.execute(database.SQL["apply_log"]).fetchone()
            size = asked.execute(database.SQL["page_size"]).fetchone()[0]
            if any(frame.is_commit for frame in carving.frames(logged, size)[max(0, taken) :]):
                return "the write-ahead log is damaged before its end"
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _SURROUNDINGS:
            raise
        return str(error)
    return None


def salvage(path: Path, new: Path, *, fsync: bool, oldest_ms: int) -> Salvaged:
    """Write the whole records of a damaged spool to `new`, without those booked that arrived before `oldest_ms`."""
    reader = Reader()
    confirmed = last = 0
    with _mapped(path) as main, _mapped(_wal(path)) as wal, closing(database.opened(new, fsync=fsync)) as fresh:
        database.create(fresh)
        with fresh:
            for row in carving.rows(main, wal):
                match row.values:
                    case (None, int(arrived_ms), int(), bytes(body)) if 0 < arrived_ms < _YEAR_3000_MS:
                        facts = _facts(reader, body)
                        if row.rowid > 0 and facts is not None:
                            fresh.execute(database.SQL["salvaged"], (row.rowid, arrived_ms, facts, body))
                            last = max(last, row.rowid)
                    case (None, int(version), int(sequence)) if 0 < version <= database.SCHEMA_VERSION:
                        confirmed = max(confirmed, sequence)
            if confirmed > last:
                # it, or the records up to it, are gone; to book again what was booked changes nothing
                confirmed = 0
            fresh.execute(database.SQL["confirm"], (confirmed,))
            fresh.execute(database.SQL["delete_before"], (confirmed, oldest_ms))
            return Salvaged(*fresh.execute(database.SQL["counts"], (confirmed,)).fetchone())


def _facts(reader: Reader, body: bytes) -> int | None:
    """How many facts; None where the record is not whole."""
    try:
        return len(reader.decode(body).facts)
    except UnreadableRecord:
        return None


@contextmanager
def _mapped(path: Path) -> Iterator[carving.Image]:
    if not path.exists() or not path.stat().st_size:
        yield b""
        return
    with path.open("rb") as file:
        # not closed by hand: views of it may still be around, and go with it
        yield mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _put_aside(path: Path, now_ms: int) -> Path:
    for old in sorted(path.parent.glob(f"{_ASIDE}*"))[: -_KEPT_ASIDE + 1]:
        shutil.rmtree(old)
    aside = path.parent / f"{_ASIDE}{now_ms}"
    aside.mkdir(mode=0o700)
    for part in _parts(path):
        if part.exists():
            part.rename(aside / part.name)
    return aside


def _parts(path: Path) -> tuple[Path, ...]:
    """The files of a database, itself last: as long as it is there, a repair can begin again."""
    return _wal(path), path.with_name(f"{path.name}-shm"), path


def _wal(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _remove(path: Path) -> None:
    for part in _parts(path):
        part.unlink(missing_ok=True)
