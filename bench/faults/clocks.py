"""The clock is set back and forth, and the collector restarted in between."""

from __future__ import annotations

import random
import signal
import sys
import time
from pathlib import Path
from typing import Final

from bench.faults.books import Verdict, replayed_books, settled_books, verdict
from bench.faults.process import Victim
from bench.faults.traffic import Sender, requests

_JUMPS_S: Final = (0, -3000, 400, -1800, -60, -2400)
"""All within one hour: that much spans may be ahead of the collector, and so long the spool keeps what was booked."""


def jump(folder: Path, rounds: int) -> Verdict:
    """A correction booked by a clock that was set back must still win against the row that it corrects."""
    chance = random.Random(rounds)
    folder.mkdir(parents=True, exist_ok=True)
    skew = folder / "skew"
    skew.write_text("0")
    victim = Victim(folder / "victim", [sys.executable, "-m", "bench.faults.skewed", str(skew.absolute())])
    victim.environment["PYTHONPATH"] = ":".join(filter(None, sys.path))
    sender = Sender(victim.grpc, requests(7, time.time_ns))
    try:
        victim.start()
        sender.start()
        for number in range(rounds):
            time.sleep(chance.uniform(0.5, 1.5))
            _set(skew, _JUMPS_S[(number + 1) % len(_JUMPS_S)])
            time.sleep(chance.uniform(0.2, 1.0))
            victim.end(chance.choice([signal.SIGKILL, signal.SIGTERM]))
            victim.start()
        sender.stop()
        wanted = replayed_books(sender.acknowledged, folder / "clerk")
        found = settled_books(victim, wanted)
    finally:
        victim.close()
    bad = [f"{sender.refused_spans} spans refused"] if sender.refused_spans else []
    return verdict("clock set back and forth", rounds, wanted, found, bad)


def _set(file: Path, seconds: float) -> None:
    """At once, never half written."""
    new = file.with_suffix(".new")
    new.write_text(str(seconds))
    new.replace(file)
