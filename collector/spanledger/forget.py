"""`spanledger forget`: a person's rows, tombstones and spooled facts are erased, and looked for again.

In the store rows are written anew without the person's (docs/reprice.md), rollups follow, and the files that held them
leave the disk. Everything can be repeated: a run that was killed is finished by the next one, whomever it forgets.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import date
from typing import Any, Final, NamedTuple, Protocol

from clickhouse_connect.driver.client import Client

from spanledger import wiring
from spanledger.cli.stores import open_configured
from spanledger.config.model import Config
from spanledger.forget_files import DamagedSpools, RefusedRows, SpoolFacts
from spanledger.forgotten import Column, Forgotten, Person
from spanledger.handing import collector_folder, hand_over
from spanledger.ownership import own
from spanledger.reprice.books import OwnBooks
from spanledger.scratch import scratch
from spanledger_core.clock import Clock
from spanledger_core.errors import StoreRefused
from spanledger_exporter.outbox import Outbox
from spanledger_exporter.sql import query_text, render, statements
from spanledger_exporter.store import Store
from spanledger_processor.normalise.identities import as_kept

_ROUNDS: Final = 3
"""A day that is folded meanwhile may bring rows back once."""
_FILES_S: Final = 90.0
_WAIT_S: Final = 0.5
_NOTED_ROWS: Final = 500_000
_TABLES: Final = ("llm_costs", "llm_costs_hourly_customer", "llm_budgets", "forgetting")
_TO_THE_END: Final = {
    "mutations_sync": 2,
    # a replicated table takes what is noted as it stands on the replica, and nothing is noted meanwhile
    "allow_nondeterministic_mutations": 1,
}
TOMBSTONES: Final = "tombstones"
SPOOL: Final = "spooled facts"
DAMAGED: Final = "damaged spools"
REFUSED: Final = "refused rows"
FILES: Final = "files with old versions"

Counts = dict[str, int]
"""Place -> how many rows or facts of the person it holds."""


class Books(Protocol):
    """Who books into the store, and who rebuilds its rollups."""

    def paused(self) -> AbstractContextManager[None]:
        """Nobody books meanwhile, and what was booked before can be read."""

    def rebuild(self, hours: Collection[int]) -> None:
        """The rollups of these hours must follow."""

    def settle(self) -> None:
        """Returns when they have."""


class Proof(NamedTuple):
    """What was found of a person before, and what after."""

    found: Counts
    left: Counts


class StoredRows:
    """A person's rows in the store, as far as they were booked or begun by `until_us` (microseconds since 1970)."""

    def __init__(self, store: Store, person: Person, until_us: int, clock: Clock) -> None:
        self._store = store
        self._person = person
        self._until_us = until_us
        self._clock = clock
        self._erased_s = 0
        self.tombstones = 0, 0
        """Of the rows erased: how many there were, how many are left."""

    def count(self) -> Counts:
        """By table."""
        found = {str(where): int(rows) for where, rows in self._ask("forget_found")}
        return {table: found[table] for table in _TABLES if table in found}

    def traces(self, since_ms: int) -> set[bytes]:
        """Their traces of late, which a spool may hold."""
        return {bytes.fromhex(trace) for (trace,) in self._ask("forget_traces", since=since_ms)}

    def erase(self, books: Books) -> None:
        """Erase them and let the rollups follow. Raises `StoreError`; what was begun is finished by the next try."""
        with self._store.lease() as client, _files_leave_soon(client):
            self._finish(client, books)
            for _ in range(_ROUNDS):
                days = self._ask("forget_days")
                if not days:
                    break
                self._days(client, books, days)
            if self._person.column == "customer_id":
                self._customer(client, books)
            (self._erased_s,) = self._ask("forget_now")[0]
            self._wait_for_files(client)

    def _days(self, client: Client, books: Books, days: Sequence[tuple[date, int]]) -> None:
        """As many days at once as can be noted: every erasure goes through the whole table."""
        noted = 0
        for place, (day, rows) in enumerate(days, 1):
            self._run(client, "forget_note", day=day)
            noted += rows
            if noted >= _NOTED_ROWS or place == len(days):
                self._erase_noted(client)
                self._finish(client, books)
                noted = 0

    def _erase_noted(self, client: Client) -> None:
        found, left = self.tombstones
        found += self._ask("forget_noted")[0][0]
        # a fold would copy rows past the statement
        with self._store.paused():
            self._run(client, "forget_rows")
        self.tombstones = found, left + self._ask("forget_noted")[0][0]

    def _customer(self, client: Client, books: Books) -> None:
        """Rollups and budgets by customer. Calls that the customer made since come back with the rebuild."""
        names = [["name", name] for name in self._person.names]
        client.insert("forgetting", names, column_names=["kind", "name"])
        for name in ("forget_customer", "forget_budgets"):
            self._run(client, name)
        books.rebuild({hour for (hour,) in self._ask("forget_present_hours")})
        self._finish(client, books)

    def _finish(self, client: Client, books: Books) -> None:
        """Rebuild what is noted, then forget the note."""
        books.rebuild({hour for (hour,) in self._ask("forget_left_hours")})
        books.settle()
        client.command(query_text("forget_done"))

    def _wait_for_files(self, client: Client) -> None:
        deadline_s = self._clock.monotonic_s() + _FILES_S
        while self.old_files() and self._clock.monotonic_s() < deadline_s:
            for table in _TABLES:
                # not every user of a server may: the thread wakes up by itself then
                with suppress(StoreRefused):
                    client.command(render(query_text("forget_clean_up"), {"table": table}))
            self._clock.sleep(_WAIT_S)

    def old_files(self) -> int:
        """Parts on disk that newer ones without the person took the place of."""
        return int(self._ask("forget_old_parts", erased=self._erased_s)[0][0])

    def _ask(self, name: str, **more: Any) -> list[tuple[Any, ...]]:
        return self._store.query(self._sql(name), self._parameters(more))

    def _run(self, client: Client, name: str, **more: Any) -> None:
        client.command(self._sql(name), self._parameters(more), settings=_TO_THE_END)

    def _sql(self, name: str) -> str:
        return render(query_text(name), {"column": self._person.column})

    def _parameters(self, more: Mapping[str, Any]) -> dict[str, Any]:
        return {**self._person.parameters, "until": self._until_us, **more}


@contextmanager
def _files_leave_soon(client: Client) -> Iterator[None]:
    for statement in statements(query_text("forget_files_soon")):
        client.command(statement)
    try:
        yield
    finally:
        for statement in statements(query_text("forget_files_later")):
            client.command(statement)


class Eraser:
    """Everywhere a person can be: the store, the spool, what was refused."""

    def __init__(
        self,
        config: Config,
        store: Store,
        books: Books,
        clock: Clock,
        spool_shrank: Callable[[int], None] = lambda freed_bytes: None,
    ) -> None:
        """`spool_shrank` is told by how many bytes, where a collector has the spool open."""
        self._config = config
        self._store = store
        self._books = books
        self._clock = clock
        self._spool_shrank = spool_shrank

    def run(self, person: Person, dry: bool, forget: Callable[[Person, int], None]) -> Proof:
        """Erase, unless it is dry, and look again. `forget` makes booking forget the person as of an instant."""
        with self._books.paused():
            until_ns = self._clock.now_ns()
            if not dry:
                forget(person, until_ns)
        rows = StoredRows(self._store, person, until_ns // 1000, self._clock)
        spool_dir = wiring.spool_dir(self._config)
        spool = SpoolFacts(spool_dir, person, until_ns, self._clock)
        damaged = DamagedSpools(spool_dir)
        refused = RefusedRows(self._config.data_dir / "dead-letters", person)

        def count() -> Counts:
            return {**rows.count(), SPOOL: spool.count(), DAMAGED: damaged.count(), REFUSED: refused.count()}

        found = count()
        if dry:
            return Proof(found, found)
        horizon_ms = int(self._config.assembly.horizon.total_seconds() * 1000)
        traces = spool.traces() | rows.traces(until_ns // 1_000_000 - 2 * horizon_ms)
        # the spool first: a crash after it leaves nothing that would be booked again
        try:
            spool.erase(traces)
        finally:
            self._spool_shrank(spool.freed_bytes)
        damaged.erase()
        refused.erase()
        rows.erase(self._books)
        tombstones, left = rows.tombstones
        return Proof({**found, TOMBSTONES: tombstones}, {**count(), TOMBSTONES: left, FILES: rows.old_files()})


class ForgetJob:
    """The collector's side of a forget that was handed over."""

    def __init__(self, eraser: Eraser, forgotten: Forgotten) -> None:
        self._eraser = eraser
        self._forgotten = forgotten

    def __call__(self, asked: Mapping[str, Any], tell: Callable[[Mapping[str, Any]], None]) -> Mapping[str, Any]:
        """`person` is (column, names, tenants)."""
        return self._eraser.run(Person(*asked["person"]), asked["dry"], self._forgotten.add)._asdict()


def person_of(config: Config, column: Column, name: str, tenant: str | None) -> Person:
    """The person as facts and rows name it: as given, and as a digest where ids are kept so."""
    settings = wiring.normaliser_settings(config)

    def both(identity: str, text: str) -> list[str]:
        return list(dict.fromkeys((as_kept(identity, text, settings), text)))

    return Person(column, both(column, name), [] if tenant is None else both("tenant_id", tenant))


def run(config: Config, person: Person, dry: bool, clock: Clock) -> Proof:
    """Forget a person in the collector that has the store open, or here."""
    folder = collector_folder(config)
    if folder is not None:
        told = hand_over(folder, "forget", lambda said: None, person=list(person), dry=dry)
        return Proof(told["found"], told["left"])
    with ExitStack() as parts:
        if config.data_dir.is_dir():
            parts.enter_context(own(config.data_dir))
            parts.enter_context(scratch(config.data_dir))
        store = parts.enter_context(open_configured(config))
        store.migrate()
        if not dry:
            # what was under way when a collector ended waits in the spool too, and is booked from there
            Outbox(wiring.outbox_dir(config)).clear()
        books = OwnBooks(store, lambda: None)
        return Eraser(config, store, books, clock).run(person, dry, lambda person, until_ns: None)
