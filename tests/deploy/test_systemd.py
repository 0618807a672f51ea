"""The unit, judged by systemd's own tools where they are."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spanledger.serve import _BOOKING_GRACE_S, _GRACE_S

_MOST_EXPOSED = 20  # tenths: a unit without any hardening has 96


@pytest.fixture
def unit(deploy: Path, tmp_path: Path) -> Path:
    """The unit with the collector of these tests, since the one it names is not installed."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: the unit is not verified")
    text = (deploy / "systemd/spanledger.service").read_text()
    copy = tmp_path / "spanledger.service"
    copy.write_text(text.replace("/opt/spanledger/bin/spanledger", str(Path(sys.executable).with_name("spanledger"))))
    return copy


def test_systemd_finds_nothing_wrong(unit: Path) -> None:
    """`verify` only prints unknown keys: any output is a fault."""
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    about_us = [line for line in done.stdout.splitlines() if "spanledger" in line]
    assert (done.returncode, about_us) == (0, [])


def test_unit_is_hardened(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=yes", f"--threshold={_MOST_EXPOSED}", str(unit)]
    assert subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode == 0


def test_everybody_waits_longer_than_stopping_may_take(deploy: Path) -> None:
    """systemd, compose and Kubernetes kill later than the collector gives up by itself."""
    patience_s = 90
    assert patience_s > _BOOKING_GRACE_S + 2 * _GRACE_S
    for file, line in (
        ("systemd/spanledger.service", f"TimeoutStopSec={patience_s}"),
        ("compose/compose.yaml", f"stop_grace_period: {patience_s}s"),
        ("kubernetes/spanledger/values.yaml", f"terminationGracePeriodSeconds: {patience_s}"),
    ):
        assert line in (deploy / file).read_text(), file
