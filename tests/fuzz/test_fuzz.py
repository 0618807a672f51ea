"""What the fuzzer found once stays found; and a short search for more."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from spanledger_receiver.envelope import Encoding
from tests.fuzz.target import feed

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FOUND = sorted((HERE / "corpus").glob("*/*"))
CAPTURED = sorted((HERE.parent / "data/corpus").glob("*/request-*.pb"))


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_every_input_found_is_taken_or_refused_by_the_rules(encoding: Encoding) -> None:
    bodies = [path.read_bytes() for path in FOUND if path.parent.name == encoding]
    assert bodies
    assert sum(feed(body, encoding) for body in bodies) > len(bodies) // 10


def test_captured_requests_are_taken_whole() -> None:
    assert all(feed(path.read_bytes(), "protobuf") for path in CAPTURED)


def test_one_encoding_is_not_the_other() -> None:
    assert feed(CAPTURED[0].read_bytes(), "json") == 0
    assert feed(json.dumps({"resourceSpans": []}).encode(), "protobuf") == 0


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_a_short_search_finds_nothing(encoding: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris, which has no wheel for this Python, is not installed")
    searched = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.run", encoding, "--seconds", "10"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert searched.returncode == 0, searched.stderr[-3000:]
    assert "DONE" in searched.stderr
