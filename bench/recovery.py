"""How long a collector takes to remember the facts of its horizon: `python -m bench.recovery [FACTS]`.

A spool is filled with requests as `bench.payload` makes them, all of them confirmed, as a collector leaves it that was
busy for an hour. Measured is what a start does with it: open and check the file, read every record, assemble.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from pathlib import Path

from prometheus_client import CollectorRegistry

from bench import payload
from bench.end_to_end import rss_mib
from spanledger.booking import Ledger
from spanledger.spool.disk import DiskSpool, SpoolSettings
from spanledger_core import otlp
from spanledger_core.clock import SystemClock
from spanledger_core.metrics import Metrics
from spanledger_processor.assembly.assembler import Assembler
from spanledger_processor.normalise.normaliser import Normaliser
from spanledger_processor.normalise.settings import NormaliserSettings
from spanledger_processor.pricing.book import load_book

_SPANS = 512
_CLOCK = SystemClock()


def _fill(folder: Path, facts: int) -> None:
    spool = DiskSpool(folder, SpoolSettings(fsync=False), _CLOCK)
    normaliser = Normaliser(NormaliserSettings(), _CLOCK)
    now_ns = _CLOCK.now_ns()
    sequence = 0
    for seed in range(-(-facts // _SPANS)):
        request = payload.request(_SPANS, seed=seed, now_ns=now_ns)
        sequence = spool.append(normaliser.batch(otlp.parse_traces(request)))
        spool.read(1, 0.0)
    spool.confirm(sequence)
    spool.release()


def _recover(folder: Path) -> int:
    spool = DiskSpool(folder, SpoolSettings(), _CLOCK)
    ledger = Ledger(Assembler(), load_book(), _CLOCK, Metrics(CollectorRegistry()), horizon_s=3600)
    facts = 0
    while records := spool.read(64, 0.0):
        for record in records:
            assert record.booked
            ledger.remember(record.batch.facts)
            facts += len(record.batch.facts)
    spool.release()
    return facts


def main(facts: int) -> None:
    """Fill, recover, print."""
    with tempfile.TemporaryDirectory(prefix="spanledger-bench-") as name:
        folder = Path(name)
        _fill(folder, facts)
        size = sum(file.stat().st_size for file in folder.iterdir())
        gc.collect()
        gc.freeze()
        gc.disable()
        began = time.perf_counter()
        recovered = _recover(folder)
        took = time.perf_counter() - began
    print(
        f"{recovered:,} facts of {size / recovered:.0f} bytes remembered in {took:.1f} s"
        f" ({recovered / took:,.0f} a second), resident {rss_mib('self'):.0f} MiB"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
