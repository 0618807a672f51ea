"""The spool's files are damaged while the collector is down."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

from bench.faults.books import Verdict, replayed_books, settled_books, verdict
from bench.faults.process import Victim
from bench.faults.traffic import Sender, requests


def damage(folder: Path, rounds: int) -> Verdict:
    """Killed, its spool flipped, cut or overwritten, started again; in the end the senders send all once more.

    What damage took cannot be booked; whatever is sent again must make the books complete, and nothing double.
    """
    chance = random.Random(rounds)
    victim = Victim(folder / "victim")
    sender = Sender(victim.grpc, requests(5, time.time_ns))
    bad: list[str] = []
    try:
        victim.start()
        sender.start()
        for _ in range(rounds):
            time.sleep(chance.uniform(0.5, 1.5))
            victim.end(signal.SIGKILL)
            _damage(chance, victim.data_dir / "spool")
            victim.start()
        sender.stop()
        repaired = victim.log.read_text().count("the spool was damaged")
        if not repaired:
            bad.append("no damage was noticed")
        repeat = Sender(victim.grpc, iter(sender.acknowledged), pause_s=0.0)
        repeat.start()
        repeat.drain()
        wanted = replayed_books(sender.acknowledged, folder / "clerk")
        found = settled_books(victim, wanted)
    finally:
        victim.close()
    return verdict("spool damaged, then sent again", rounds, wanted, found, bad)


def _damage(chance: random.Random, spool: Path) -> None:
    path = chance.choice([path for path in spool.iterdir() if path.name in ("spool.db", "spool.db-wal")])
    size = path.stat().st_size
    with path.open("r+b") as file:
        match chance.randrange(3):
            case 0:
                for _ in range(20):
                    file.seek(chance.randrange(max(1, size)))
                    file.write(chance.randbytes(8))
            case 1:
                file.truncate(size // 2)
            case _:
                file.write(chance.randbytes(4096))
