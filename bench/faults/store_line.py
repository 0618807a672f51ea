"""The line between the collector and its store goes bad for a while, again and again.

`spanledger serve` reaches the engine over HTTP (`bench.faults.engine_over_http`), through a line that can be made bad
(`bench.faults.lines`). The books behind the door must say in the end what was acknowledged.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from bench.faults.books import Verdict, replayed_books, settled_books, verdict
from bench.faults.doors import DoorProcess
from bench.faults.lines import BadLine, Trouble
from bench.faults.process import Victim
from bench.faults.traffic import Sender, requests

_LONG_S: Final = 12.0
"""Longer than the booking lease is held without renewal."""
_PATIENCE_S: Final = 60.0
_EVERY: Final = 5
"""Of so many spells one is long."""


def cut(folder: Path, rounds: int) -> Verdict:
    """Connections end anywhere in requests and answers, or are refused."""

    def spell(chance: random.Random, number: int) -> Trouble:
        return Trouble(refuses=True) if number % _EVERY == _EVERY - 1 else Trouble(cuts=chance.uniform(0.05, 0.4))

    return _bad_line(folder, rounds, "store's connection cut", spell, ("cut",))


def slow(folder: Path, rounds: int) -> Verdict:
    """Answers are late, or nothing passes for a while."""

    def spell(chance: random.Random, number: int) -> Trouble:
        return Trouble(stalls=True) if number % 2 else Trouble(delay_s=chance.uniform(0.05, 1.0))

    return _bad_line(folder, rounds, "store's connection slow", spell, ("delayed",))


def corrupt(folder: Path, rounds: int) -> Verdict:
    """Bytes of requests and answers become others."""

    def spell(chance: random.Random, _: int) -> Trouble:
        return Trouble(corrupts=chance.uniform(0.05, 0.3))

    return _bad_line(folder, rounds, "store's connection corrupts", spell, ("corrupted",))


def _bad_line(
    folder: Path, rounds: int, fault: str, spell: Callable[[random.Random, int], Trouble], must: tuple[str, ...]
) -> Verdict:
    """`must` is what has to have been done to the line, or nothing was shown."""
    chance = random.Random(rounds)
    with DoorProcess(folder / "engine", "tester", "a:b@c/d") as door, BadLine(door.port, rounds) as line:
        victim = Victim(folder / "victim", environment={"SPANLEDGER_STORE": door.dsn(port=line.port)})

        def ill() -> None:
            for number in range(rounds):
                line.trouble(spell(chance, number))
                time.sleep(_LONG_S if number % _EVERY == _EVERY - 1 else chance.uniform(1.0, 3.0))
                if number == rounds - 1:
                    _await_done(line, must)
                line.heal()
                time.sleep(chance.uniform(0.3, 2.0))

        found = _under_load(_Place(folder, victim, door), rounds, fault, ill)
        done = ", ".join(f"{many} {what}" for what, many in sorted(line.done.items()))
        idle = [what for what in must if not line.done[what]]
    remark = "; ".join(part for part in (found.remark, done, f"nothing {idle[0]}" if idle else "") if part)
    return found._replace(remark=remark, failed=found.failed or bool(idle))


def _await_done(line: BadLine, must: tuple[str, ...]) -> None:
    """What passes by is left to chance: on a busy machine little does."""
    deadline = time.monotonic() + _PATIENCE_S
    while any(not line.done[what] for what in must) and time.monotonic() < deadline:
        time.sleep(0.1)


def killed(folder: Path, rounds: int) -> Verdict:
    """The store itself is killed at any moment, and comes back."""
    chance = random.Random(rounds)
    with DoorProcess(folder / "engine") as door:
        victim = Victim(folder / "victim", environment={"SPANLEDGER_STORE": door.dsn()})

        def ill() -> None:
            for number in range(rounds):
                time.sleep(chance.uniform(0.3, 2.0))
                door.kill()
                time.sleep(_LONG_S if number % _EVERY == _EVERY - 1 else chance.uniform(0.0, 2.0))
                door.start()

        return _under_load(_Place(folder, victim, door), rounds, "store killed under load", ill)


class _Place(NamedTuple):
    folder: Path
    victim: Victim
    door: DoorProcess


def _under_load(place: _Place, rounds: int, fault: str, ill: Callable[[], None]) -> Verdict:
    folder, victim, door = place
    sender = Sender(victim.grpc, requests(12, time.time_ns))
    bad: list[str] = []
    try:
        victim.start()
        sender.start()
        time.sleep(0.5)
        ill()
        sender.stop()
        if sender.failures:
            bad.append(f"senders were not taken: {dict(sender.failures)}")
        wanted = replayed_books(sender.acknowledged, folder / "clerk")
        found = settled_books(victim, wanted, door)
        letters = list((victim.data_dir / "dead-letters").glob("*.jsonl"))
        if letters:
            bad.append(f"{len(letters)} batches set aside: {letters[0].read_text()[:300]}")
    finally:
        victim.close()
    return verdict(fault, rounds, wanted, found, bad)
