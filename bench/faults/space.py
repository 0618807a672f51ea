"""No space left: under the spool, under the store."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.faults.books import Verdict, not_done, replayed_books, settled_books, verdict
from bench.faults.process import SPANLEDGER, Victim
from bench.faults.traffic import Sender, requests

_BALLAST: Final = "ballast"
_SIZE: Final = "64m"
_PATIENCE_S: Final = 30.0


def namespace() -> list[str] | None:
    """A command that runs another where a file system can be mounted; None where that is not allowed."""
    for command in (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"]):
        mount = [*command, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
        try:
            if subprocess.run(mount, capture_output=True, check=False).returncode == 0:
                return command
        except OSError:
            return None
    return None


class Cramped(Victim):
    """A collector with one folder of its data on a small file system of its own."""

    def __init__(self, folder: Path, place: list[str], part: str) -> None:
        serve = " ".join(SPANLEDGER)
        script = f"mount -t tmpfs -o size={_SIZE} tmpfs spanledger-data/{part} && exec {serve} serve"
        super().__init__(folder, [*place, "sh", "-c", script])
        self.part = self.data_dir / part
        self.part.mkdir(parents=True)

    @property
    def _ballast(self) -> Path:
        return Path(f"/proc/{self.pid}/root", *self.part.absolute().parts[1:], _BALLAST)

    def fill(self) -> None:
        """Leave no space, however much is given free meanwhile."""
        with self._ballast.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 12))
            except OSError:
                return

    def empty(self) -> None:
        """Give the space back."""
        os.unlink(self._ballast)


def _cramped(
    folder: Path, rounds: int, part: str, fault: str, complaints: Callable[[Victim, Sender], float]
) -> Verdict:
    place = namespace()
    if place is None:
        return not_done(fault, "no small file system can be mounted here (neither root nor user namespaces)")
    victim = Cramped(folder / "victim", place, part)
    sender = Sender(victim.grpc, requests(6, time.time_ns))
    bad: list[str] = []

    def becomes(what: str, condition: Callable[[], bool], meanwhile: Callable[[], None] = lambda: None) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not condition():
            meanwhile()
            if time.monotonic() > deadline:
                bad.append(f"not {what}")
                return
            time.sleep(0.1)

    try:
        victim.start()
        sender.start()
        for _ in range(rounds):
            time.sleep(1.0)
            before = max(0.0, complaints(victim, sender))
            victim.fill()
            becomes("noticed", lambda: complaints(victim, sender) > before, victim.fill)  # noqa: B023
            time.sleep(1.0)
            victim.empty()
            taken = len(sender.acknowledged)
            becomes("taken again", lambda: len(sender.acknowledged) > taken + 20)  # noqa: B023
        sender.stop()
        wanted = replayed_books(sender.acknowledged, folder / "clerk")
        found = settled_books(victim, wanted)
    finally:
        victim.close()
    return verdict(fault, rounds, wanted, found, bad)


def spool_full(folder: Path, rounds: int) -> Verdict:
    """Senders are told to come back, and are taken again once there is space."""
    return _cramped(folder, rounds, "spool", "disk full under the spool", lambda _, sender: sender.told_to_come_back)


def store_full(folder: Path, rounds: int) -> Verdict:
    """Senders notice nothing: the spool keeps what the store cannot take."""

    def failures(victim: Victim, _: Sender) -> float:
        return victim.metric('spanledger_insert_failures_total{kind="unavailable"}')

    return _cramped(folder, rounds, "store", "disk full under the store", failures)
