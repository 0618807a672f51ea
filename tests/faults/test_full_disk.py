"""The embedded store on a disk that fills up during merges: whatever the engine leaves behind, all calls come back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.faults.space import namespace

ROOT = Path(__file__).resolve().parents[2]


def test_no_call_is_lost_when_merges_run_out_of_space(tmp_path: Path) -> None:
    place = namespace()
    if place is None:
        pytest.skip("no small file system can be mounted here: neither root nor user namespaces")
    script = f"mount -t tmpfs -o size=60m tmpfs {tmp_path} && exec {sys.executable} -m bench.faults.cramped_store"
    done = subprocess.run(
        [*place, "sh", "-c", f"{script} {tmp_path} 12"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    assert "12 full disks" in done.stdout
