"""`spanledger reprice`: run here, or handed to the collector that has the store open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from spanledger import wiring
from spanledger.cli.stores import open_configured
from spanledger.config.model import Config
from spanledger.configured_prices import price_book
from spanledger.handing import collector_folder, hand_over
from spanledger.prices_in_force import PricesInForce
from spanledger.reprice.books import OwnBooks, SharedBooks
from spanledger.reprice.changes import Changes
from spanledger.reprice.run import Asked, Outcome, Reprice, Step
from spanledger_core.clock import Clock
from spanledger_exporter.outbox import Outbox
from spanledger_exporter.store import Store

Tell = Callable[[Step], None]


class Result(NamedTuple):
    """What a command ends with."""

    outcome: Outcome
    book: str
    by: str
    """Who did it, where that was not this process."""


def run(config: Config, asked: Asked, prices: Sequence[Path], clock: Clock, console: Console) -> Result:
    """Reprice in the collector that has the store open, or here."""
    folder = collector_folder(config)
    with _bar(console) as tell:
        if folder is None:
            return _here(config, asked, prices, clock, tell)
        files = [str(path.absolute()) for path in prices]
        told = hand_over(folder, "reprice", lambda said: tell(Step(*said["step"])), asked=list(asked), prices=files)
    outcome = Outcome(Changes.of_json(told["changes"]), told["resumed_us"])
    return Result(outcome, told["book"], "the running collector")


def _here(config: Config, asked: Asked, prices: Sequence[Path], clock: Clock, tell: Tell) -> Result:
    book = price_book(config, prices)
    with open_configured(config) as store:
        store.migrate()
        books = OwnBooks(store, lambda: _note_move(config, clock))
        return Result(Reprice(store, book, books, clock).run(asked, tell), book.version, "")


def _note_move(config: Config, clock: Clock) -> None:
    """For the next collector on this data directory, if there is one."""
    if config.data_dir.is_dir():
        in_force(config, clock).history_moved()
        # what was under way when the last one ended has old prices; it is booked from the spool, with those of then
        Outbox(wiring.outbox_dir(config)).clear()


def in_force(config: Config, clock: Clock) -> PricesInForce:
    """Which book prices in this data directory."""
    horizon_s = config.assembly.horizon.total_seconds()
    return PricesInForce(config.data_dir / "price-book.json", horizon_s, clock)


class RepriceJob:
    """The collector's side of a reprice that was handed over."""

    def __init__(self, config: Config, store: Store, books: SharedBooks, clock: Clock) -> None:
        self._config = config
        self._store = store
        self._books = books
        self._clock = clock

    def __call__(self, asked: Mapping[str, Any], tell: Callable[[Mapping[str, Any]], None]) -> Mapping[str, Any]:
        """`asked` is (first, last, dry); `prices` are files on top of the configured ones."""
        book = price_book(self._config, [Path(file) for file in asked["prices"]])
        reprice = Reprice(self._store, book, self._books, self._clock)
        outcome = reprice.run(Asked(*asked["asked"]), lambda step: tell({"step": list(step)}))
        return {"changes": outcome.changes.as_json(), "resumed_us": outcome.resumed_us, "book": book.version}


@contextmanager
def _bar(console: Console) -> Iterator[Tell]:
    """A progress bar on a terminal, nothing elsewhere."""
    columns = (TextColumn("reprice"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("reprice", total=None)
        yield lambda step: progress.update(task, completed=step.done, total=step.total)
