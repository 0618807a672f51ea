"""Steady load for a while: does memory stay where it is, and do the books still agree?"""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from statistics import median
from typing import Final

from bench.end_to_end import cpu_s, rss_mib
from bench.faults.books import Verdict, replayed_books, settled_books, verdict
from bench.faults.process import Victim
from bench.faults.traffic import Sender, requests

_HORIZON_S: Final = 30
"""Traces are remembered for so long: after twice that, as much leaves memory as comes."""
_OLD_PARTS_S: Final = 480
"""So long the engine keeps parts that were merged into others, and what it knows of them in memory: until then their
number grows, by some tens of MiB."""
_SAMPLE_S: Final = 2.0
_DRIFT_MAX: Final = 0.10


def soak(folder: Path, seconds: int) -> Verdict:
    """Load for `seconds` after a warm-up; resident memory may drift by a tenth from third to third."""
    usual = {"SPANLEDGER_ASSEMBLY__HORIZON": f"{_HORIZON_S}s", "SPANLEDGER_EXPORTERS__CLICKHOUSE__FLUSH_INTERVAL": "3s"}
    victim = Victim(folder / "victim", environment=usual)
    sender = Sender(victim.grpc, requests(8, time.time_ns), pause_s=0.05)
    try:
        victim.start()
        sender.start()
        time.sleep(2 * _HORIZON_S + _OLD_PARTS_S)
        spent, taken = cpu_s(victim.pid), len(sender.acknowledged)
        memory = _samples(victim, seconds)
        spent, taken = cpu_s(victim.pid) - spent, len(sender.acknowledged) - taken
        sender.stop()
        wanted = replayed_books(sender.acknowledged, folder / "clerk")
        found = settled_books(victim, wanted)
    finally:
        victim.close()
    third = max(1, len(memory) // 3)
    # the engine's memory swings with its merges: what tells growth is the middle of many samples, not one of them
    first, last = median(memory[:third]), median(memory[-third:])
    answers = sorted(sender.seconds)
    middle, slow = (answers[int(len(answers) * share)] * 1000 for share in (0.5, 0.99))
    drift = (last - first) / first
    print(
        f"soak of {seconds} s: {taken / seconds:.0f} requests/s, {spent / seconds * 100:.0f} % of a core; resident "
        f"{first:.0f} MiB in its first third, {last:.0f} MiB in its last ({drift:+.1%}), "
        f"from {min(memory):.0f} to {max(memory):.0f}; "
        f"acknowledged p50 {middle:.1f} ms, p99 {slow:.1f} ms"
    )
    bad = [f"memory grew by {drift:.1%}"] if drift > _DRIFT_MAX else []
    return verdict(f"soak of {seconds} s", 1, wanted, found, bad)


def _samples(victim: Victim, seconds: int) -> list[float]:
    """Resident MiB, every now and then."""
    end = time.monotonic() + seconds
    memory = []
    for at in itertools.count(1):
        memory.append(rss_mib(victim.pid))
        if time.monotonic() > end:
            return memory
        time.sleep(max(0.0, end - seconds + at * _SAMPLE_S - time.monotonic()))
    return memory
