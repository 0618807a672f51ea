"""The process dies, or is told to end, while requests come in."""

from __future__ import annotations

import random
import shutil
import signal
import time
from pathlib import Path
from typing import Final

from bench.faults.books import Verdict, replayed_books, settled_books, stored_books, verdict
from bench.faults.process import Victim
from bench.faults.traffic import Sender, requests

_PARTITIONS_MAX: Final = 24
"""Of one day, whatever the fleet."""


def kill(folder: Path, rounds: int) -> Verdict:
    """SIGKILL at random moments: under load, and while it still starts."""
    chance = random.Random(rounds)
    victim = Victim(folder / "victim")
    sender = Sender(victim.grpc, requests(1, time.time_ns))
    try:
        victim.start()
        sender.start()
        for _ in range(rounds):
            time.sleep(chance.uniform(0.05, 2.0))
            victim.end(signal.SIGKILL)
            victim.launch()
            if chance.random() < 0.2:
                time.sleep(chance.uniform(0.2, 3.0))
                victim.end(signal.SIGKILL)
                victim.launch()
            victim.await_ready()
        sender.stop()
        wanted = replayed_books(sender.acknowledged, folder / "clerk")
        found = settled_books(victim, wanted)
    finally:
        victim.close()
    return verdict("kill -9 under load", rounds, wanted, found)


def terminate(folder: Path, rounds: int) -> Verdict:
    """SIGTERM under load: what was acknowledged until the end is in the store when the process is gone."""
    victim = Victim(folder / "victim")
    sender = Sender(victim.grpc, requests(2, time.time_ns))
    bad: list[str] = []
    try:
        victim.start()
        sender.start()
        for number in range(rounds):
            time.sleep(1.5)
            status = victim.end(signal.SIGTERM)
            if status:
                bad.append(f"round {number}: exit status {status}")
            if number < rounds - 1:
                victim.start()
        acknowledged = list(sender.acknowledged)
        stored = stored_books(victim)
        wanted = replayed_books(acknowledged, folder / "clerk before")
        missing = {row[:2] for row in wanted.calls} - {row[:2] for row in stored.calls}
        if missing:
            bad.append(f"{len(missing)} calls were not in the store when it had ended")
        victim.start()
        sender.stop()
        wanted = replayed_books(sender.acknowledged, folder / "clerk")
        found = settled_books(victim, wanted)
    finally:
        victim.close()
    return verdict("SIGTERM under load", rounds, wanted, found, bad)


def again(folder: Path, rounds: int) -> Verdict:
    """Everything sent again and again, shuffled, with a restart between."""
    victim = Victim(folder / "victim")
    first = Sender(victim.grpc, requests(3, time.time_ns))
    try:
        victim.start()
        first.start()
        time.sleep(2.0)
        first.stop()
        for number in range(rounds):
            shuffled = list(first.acknowledged)
            random.Random(number).shuffle(shuffled)
            source = iter([*shuffled, *shuffled[: len(shuffled) // 2]])
            repeat = Sender(victim.grpc, source, pause_s=0.0)
            repeat.start()
            repeat.drain()
            if number % 2 == 0:
                victim.end(signal.SIGTERM)
                victim.start()
        wanted = replayed_books(first.acknowledged, folder / "clerk")
        found = settled_books(victim, wanted)
    finally:
        victim.close()
    return verdict("sent again, shuffled", rounds, wanted, found)


def own_agents(folder: Path, rounds: int) -> Verdict:
    """Every run of an agent has a name of its own: partitions stay bounded, also over kills."""
    victim = Victim(folder / "victim")
    sender = Sender(victim.grpc, requests(9, time.time_ns, agents=1 << 40))
    bad: list[str] = []
    try:
        victim.start()
        sender.start()
        for _ in range(rounds):
            time.sleep(2.0)
            victim.end(signal.SIGKILL)
            victim.start()
        sender.stop()
        wanted = replayed_books(sender.acknowledged, folder / "clerk")
        found = settled_books(victim, wanted)
        most = victim.query(
            "SELECT max(n) AS n FROM (SELECT toDate(timestamp) AS day, uniqExact(agent_partition) AS n "
            "FROM llm_costs GROUP BY day)"
        )
        if int(most[0]["n"]) > _PARTITIONS_MAX:
            bad.append(f"{most[0]['n']} partitions of one day")
    finally:
        victim.close()
    return verdict("a new agent for every run", rounds, wanted, found, bad)


def store_gone(folder: Path, rounds: int) -> Verdict:
    """The store's folder is deleted: what the spool still keeps is booked again."""
    victim = Victim(folder / "victim")
    sender = Sender(victim.grpc, requests(4, time.time_ns))
    try:
        victim.start()
        sender.start()
        for _ in range(rounds):
            time.sleep(2.0)
            victim.end(signal.SIGTERM)
            shutil.rmtree(victim.data_dir / "store")
            victim.start()
        sender.stop()
        wanted = replayed_books(sender.acknowledged, folder / "clerk")
        found = settled_books(victim, wanted)
    finally:
        victim.close()
    return verdict("store deleted, spool kept", rounds, wanted, found)
