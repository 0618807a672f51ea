"""Do the damage and print what it cost: `python -m bench.faults [FAULT...] [--rounds N] [--short] [--soak SECONDS]`.

Whatever was lost or booked twice makes the exit status 1. Needs nothing but this checkout; without the right to mount a
small file system the faults of full disks are named as not done.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.faults import clocks, crashes, files, soak, space, store_line
from bench.faults.books import Verdict

Fault = Callable[[Path, int], Verdict]

FAULTS: dict[str, tuple[Fault, int, int]] = {
    "kill": (crashes.kill, 50, 5),
    "terminate": (crashes.terminate, 5, 1),
    "again": (crashes.again, 4, 0),
    "store-gone": (crashes.store_gone, 2, 0),
    "spool-damaged": (files.damage, 10, 0),
    "spool-full": (space.spool_full, 3, 1),
    "store-full": (space.store_full, 3, 0),
    "store-cut": (store_line.cut, 10, 1),
    "store-slow": (store_line.slow, 10, 0),
    "store-corrupt": (store_line.corrupt, 10, 0),
    "store-killed": (store_line.killed, 5, 0),
    "clock": (clocks.jump, 12, 0),
    "own-agents": (crashes.own_agents, 3, 0),
}
"""Name -> (what it does, rounds in the long suite, rounds in the short one)."""


def line(verdict: Verdict) -> str:
    """One line of the table."""
    return (
        f"{verdict.fault:34} {verdict.rounds:6} {verdict.acknowledged:12} {verdict.booked:8} "
        f"{verdict.lost:6} {verdict.twice:6}  {verdict.dollars:f}" + (f"  ({verdict.remark})" if verdict.remark else "")
    )


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("faults", nargs="*", choices=[[], *FAULTS], help="all of them if none is named")
    parser.add_argument("--rounds", type=int, help="how often each is done")
    parser.add_argument("--short", action="store_true", help="what runs with every change: about a minute")
    parser.add_argument("--soak", type=int, metavar="SECONDS", help="steady load instead of faults")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave stores and logs there")
    return parser.parse_args()


def plan(chosen: argparse.Namespace) -> list[tuple[str, Fault, int]]:
    """Name, deed and rounds."""
    if chosen.soak:
        return [("soak", soak.soak, chosen.soak)]
    rounds = {name: chosen.rounds or (short if chosen.short else long) for name, (_, long, short) in FAULTS.items()}
    return [(name, FAULTS[name][0], rounds[name]) for name in chosen.faults or FAULTS if rounds[name]]


def main() -> int:
    """Exit status 1 if anything was lost or booked twice."""
    chosen = arguments()
    print(
        f"{'fault':34} {'rounds':>6} {'acknowledged':>12} {'booked':>8} {'lost':>6} {'twice':>6}  dollars", flush=True
    )
    good = True
    for name, do, rounds in plan(chosen):
        with tempfile.TemporaryDirectory(prefix=f"spanledger-{name}-") as temporary:
            verdict = do(chosen.keep / name if chosen.keep else Path(temporary), rounds)
        print(line(verdict), flush=True)
        good = good and verdict.good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
