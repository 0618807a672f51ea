"""Erasing a person from what lies on disk beside the store: spooled facts, and rows that the store refused."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from spanledger.forgotten import Person
from spanledger.spool import database
from spanledger.spool.codec import Reader, UnreadableRecord, encode_batch
from spanledger_core.clock import Clock
from spanledger_core.errors import StoreUnavailable
from spanledger_core.facts import Fact, FactBatch
from spanledger_core.sqlfile import statements

_SQL: Final = statements(Path(__file__).with_name("forget.sql").read_text(encoding="utf-8"))
_TABLES: Final = ("records", "aside")
_RECORDS_AT_ONCE: Final = 200
_EMPTY_TRIES: Final = 50
_WAIT_S: Final = 0.1


class SpoolFacts:
    """The facts in a spool. Its collector may go on using it meanwhile."""

    def __init__(self, directory: Path, person: Person, until_ns: int, clock: Clock) -> None:
        self._directory = directory
        self._person = person
        self._until_ns = until_ns
        self._clock = clock
        self.freed_bytes = 0
        """By which the records (not those set aside) have shrunk."""

    def traces(self) -> set[bytes]:
        """The traces in which some span names the person."""
        return {fact.trace_id for fact in self._naming()}

    def count(self) -> int:
        """Facts that name the person. Raises `StoreUnavailable`, as everything here does."""
        return sum(1 for _ in self._naming())

    def erase(self, traces: set[bytes]) -> int:
        """Take out the facts that name the person, and those of `traces` that name nobody; how many."""
        if not traces or not self._path.exists():
            return 0
        erased = 0
        with self._opened() as opened:
            for table in _TABLES:
                for sequence, size, batch in self._batches(opened, table):
                    kept = tuple(fact for fact in batch.facts if not self._goes(fact, traces))
                    if len(kept) < len(batch.facts):
                        erased += len(batch.facts) - len(kept)
                        with opened:
                            fresh = encode_batch(FactBatch(kept))
                            # a record that its collector dropped meanwhile is not there any more
                            there = opened.execute(_SQL[f"update_{table}"], (len(kept), fresh, sequence)).rowcount
                        self.freed_bytes += there * (size - len(fresh)) if table == "records" else 0
            self._empty_log(opened)
        return erased

    @property
    def _path(self) -> Path:
        return self._directory / database.FILE

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """Raises `StoreUnavailable` where the file cannot be read or written."""
        try:
            with closing(database.opened(self._path, fsync=True)) as opened:
                database.create(opened)
                opened.execute(_SQL["overwrite_what_is_deleted"])
                yield opened
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the spool at {self._path} cannot be used: {error}") from error

    def _naming(self) -> Iterator[Fact]:
        if not self._path.exists():
            return
        reader = Reader()
        with self._opened() as opened:
            for name in self._person.names:
                for (body,) in opened.execute(_SQL["naming_records"], (name.encode(), name.encode())):
                    yield from filter(self._names, _facts(reader, body))

    def _names(self, fact: Fact) -> bool:
        return fact.start_ns <= self._until_ns and self._person.is_behind(fact)

    def _goes(self, fact: Fact, traces: set[bytes]) -> bool:
        """A span without a name of its own would inherit this person's and, without it, be booked as nobody's."""
        own = getattr(fact.who, self._person.column) or getattr(fact.about.resource.who, self._person.column)
        return self._names(fact) or (own is None and fact.start_ns <= self._until_ns and fact.trace_id in traces)

    def _batches(self, opened: sqlite3.Connection, table: str) -> Iterator[tuple[int, int, FactBatch]]:
        """Sequence, bytes and content of every record."""
        reader = Reader()
        sequence = -1
        while found := opened.execute(_SQL[table], (sequence, _RECORDS_AT_ONCE)).fetchall():
            for sequence, body in found:
                yield sequence, len(body), FactBatch(tuple(_facts(reader, body)))

    def _empty_log(self, opened: sqlite3.Connection) -> None:
        """The log keeps what was overwritten until it is emptied, which readers put off."""
        for _ in range(_EMPTY_TRIES):
            if opened.execute(_SQL["empty_log"]).fetchone()[0] == 0:
                return
            self._clock.sleep(_WAIT_S)
        raise StoreUnavailable(f"the log of {self._path} cannot be emptied: somebody reads it all the time; try again")


def _facts(reader: Reader, body: bytes) -> Iterable[Fact]:
    try:
        return reader.decode(body).facts
    except UnreadableRecord:
        return ()  # the spool sets it aside by itself


class DamagedSpools:
    """Files of damaged spools, kept to look at: whom they name cannot be told, so all of them may name the person."""

    def __init__(self, spool: Path) -> None:
        self._spool = spool

    def count(self) -> int:
        """Folders of them."""
        return len(self._folders())

    def erase(self) -> None:
        """Delete all of them."""
        for folder in self._folders():
            shutil.rmtree(folder)

    def _folders(self) -> list[Path]:
        return sorted(self._spool.glob("damaged-*"))


class RefusedRows:
    """The rows that the store refused, a file a batch (`spanledger_exporter.dead_letters`)."""

    def __init__(self, folder: Path, person: Person) -> None:
        self._folder = folder
        self._person = person

    def count(self) -> int:
        """Rows of the person."""
        return sum(self._is_theirs(json.loads(line)) for file in self._files() for line in _lines(file)[1:])

    def erase(self) -> None:
        """Write the files anew without them; one that held nothing else is deleted."""
        for file in list(self._files()):
            head, *changes = _lines(file)
            said = [(line, json.loads(line)) for line in changes]
            theirs = {_span(change) for _, change in said if self._is_theirs(change)}
            kept = [line for line, change in said if _span(change) not in theirs]
            if len(kept) == len(changes):
                continue
            if not kept:
                file.unlink()
                continue
            fresh = file.with_suffix(".tmp")
            with fresh.open("w", encoding="utf-8") as opened:
                opened.writelines(f"{line}\n" for line in (head, *kept))
                opened.flush()
                os.fsync(opened.fileno())
            fresh.chmod(0o600)
            fresh.replace(file)

    def _files(self) -> Iterator[Path]:
        """Those that may name the person."""
        spelled = [json.dumps(name)[1:-1] for name in self._person.names]
        for file in sorted(self._folder.glob("*.jsonl")):
            text = file.read_text(encoding="utf-8")
            if any(name in text for name in spelled):
                yield file

    def _is_theirs(self, change: dict[str, Any]) -> bool:
        row = change.get("put", {})
        if row.get(self._person.column) not in self._person.names:
            return False
        return not self._person.tenants or row.get("tenant_id") in self._person.tenants


def _span(change: dict[str, Any]) -> tuple[Any, Any]:
    row = change.get("put") or change.get("delete") or {}
    return row.get("trace_id"), row.get("span_id")


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()
