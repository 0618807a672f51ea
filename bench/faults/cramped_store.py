"""Merges of the embedded store on a disk that is full again and again: `python -m bench.faults.cramped_store FOLDER`.

Run on a small file system (`bench.faults.space`). Every row must be readable each time there is space again.
"""

from __future__ import annotations

import os
import random
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry

from bench.faults.traffic import requests
from spanledger.booking import Ledger
from spanledger_core.clock import SystemClock
from spanledger_core.errors import StoreError
from spanledger_core.metrics import Metrics
from spanledger_core.otlp import parse_traces
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.batches import token_of
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import Store, open_store
from spanledger_processor.assembly.assembler import Assembler
from spanledger_processor.normalise.normaliser import Normaliser
from spanledger_processor.normalise.settings import NormaliserSettings
from spanledger_processor.pricing.book import load_book

_READ_ALL: Final = "SELECT count(), countIf(ignore(*)) FROM calls"
_TRIES: Final = 4


class HastyClock(SystemClock):
    """Time between two looks at it passes quickly, so that the store need not be waited for before it mends itself."""

    def __init__(self) -> None:
        self._looks = 0

    def monotonic_s(self) -> float:
        """Twenty seconds later than the last time."""
        self._looks += 1
        return self._looks * 20.0


def fill(ballast: Path, but_bytes: int) -> None:
    """Use up all space but `but_bytes`."""
    with ballast.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    os.truncate(ballast, max(0, ballast.stat().st_size - but_bytes))


def read_all(store: Store) -> int:
    """Calls, every column of them read. Raises `StoreError` if that does not work for good."""
    for _ in range(_TRIES - 1):
        try:
            return int(store.query(_READ_ALL)[0][0])
        except StoreError:
            continue
    return int(store.query(_READ_ALL)[0][0])


def run(folder: Path, rounds: int) -> None:
    """Book, fill the disk, have the store merge, give the space back, read everything."""
    chance, clock = random.Random(rounds), SystemClock()
    normaliser = Normaliser(NormaliserSettings(), clock)
    ledger = Ledger(Assembler(), load_book(), clock, Metrics(CollectorRegistry()), horizon_s=3600)
    source, ballast, calls = requests(10, clock.now_ns), folder / "ballast", set[tuple[str, str]]()
    with open_store(StoreAddress.parse(f"chdb://{folder}/store", folder), StoreSettings(), HastyClock()) as store:
        store.migrate()
        for _ in range(rounds):
            ballast.unlink(missing_ok=True)
            facts = [fact for _ in range(10) for fact in normaliser.batch(parse_traces(next(source))).facts]
            rows, tombstones, _ = ledger.book(facts)
            store.book(rows, tombstones, token_of(rows, tombstones))
            calls |= {(row[3], row[4]) for row in rows}
            fill(ballast, chance.randrange(1, 400) * 4096)
            with suppress(StoreError):  # no space: what this is about
                store.query("OPTIMIZE TABLE llm_costs FINAL")
            ballast.unlink()
            read = read_all(store)
            assert read == len(calls), f"{read} of {len(calls)} calls"
        broken = store.query("SELECT count() FROM system.detached_parts")[0][0]
    print(f"{rounds} full disks, {broken} parts set aside, all {len(calls)} calls there")


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]))
