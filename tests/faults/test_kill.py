"""The short form of `make faults`: what is acknowledged survives kill -9, to the last digit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_five_kills_under_load_lose_nothing_and_book_nothing_twice(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.faults", "kill", "--rounds", "5", "--keep", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rounds, acknowledged, booked, lost, twice = map(int, done.stdout.splitlines()[1].split()[4:9])
    assert rounds == 5
    assert acknowledged == booked > 100
    assert (lost, twice) == (0, 0)
