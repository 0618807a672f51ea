"""The short form of the faults between the collector and a store that is reached over HTTP."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["store-cut", "store-corrupt"])
def test_a_bad_line_to_the_store_loses_nothing_and_books_nothing_twice(tmp_path: Path, fault: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.faults", fault, "--rounds", "1", "--keep", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    _, acknowledged, booked, lost, twice = map(int, done.stdout.splitlines()[1][35:].split()[:5])
    assert acknowledged == booked > 100
    assert (lost, twice) == (0, 0)
