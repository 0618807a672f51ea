"""The Go driver that Grafana's plugin uses, built from go/ where a Go toolchain is present."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from spanledger.sqlport.server import SqlServer

HERE = Path(__file__).parent
BUILD_S = 420
NOT_OUR_FAULT = ("dial tcp", "proxyconnect", "no such host", "requires go >=", "i/o timeout", "toolchain not available")
# A cold build takes minutes on a small machine, so a test may.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(BUILD_S + 120)]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    go = shutil.which("go")
    if go is None:
        pytest.skip("no Go toolchain is installed: clickhouse-go is not tried")
    binary = tmp_path_factory.mktemp("go") / "sqlport"
    command = [go, "build", "-o", str(binary), "."]
    environment = {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    try:
        built = subprocess.run(
            command, cwd=HERE / "go", env=environment, capture_output=True, text=True, timeout=BUILD_S, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"building with clickhouse-go took more than {BUILD_S} s")
    if built.returncode and any(sign in built.stderr for sign in NOT_OUR_FAULT):
        pytest.skip(f"clickhouse-go cannot be built here: {built.stderr[-300:]}")
    assert built.returncode == 0, built.stderr
    return binary


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate", "lz4", "zstd"])
def test_clickhouse_go_is_served(program: Path, server: SqlServer, compression: str) -> None:
    if compression in ("lz4", "zstd") and importlib.util.find_spec("clickhouse_cityhash") is None:
        pytest.skip("the driver sends compress=1 for lz4 and zstd, which needs the package clickhouse-cityhash")
    command = [str(program), f"127.0.0.1:{server.port}", compression]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "ok a large result" in ran.stdout
