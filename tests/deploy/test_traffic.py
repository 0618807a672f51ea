"""The demo's traffic: whole runs, at the pace of the fleet, in the collector's own past."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from spanledger_core.clock import SystemClock

_NOW_NS = 1_760_000_000 * 10**9


@pytest.fixture(scope="module")
def traffic(deploy: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("traffic", deploy / "compose/demo/traffic.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def two_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shorter history of the same fleet."""
    monkeypatch.setattr("spanledger.demo._HOURS", 2)


class Enough(Exception):
    """The clock has been asked to wait often enough."""


class Hurried(SystemClock):
    """A clock on which twenty minutes pass at once."""

    def __init__(self) -> None:
        self.slept = 0

    def now_ns(self) -> int:
        return _NOW_NS + self.slept * 10**9

    def sleep(self, seconds: float) -> None:
        self.slept += int(seconds)
        if self.slept > 1200:
            raise Enough


class Taking(SpanExporter):
    """Counts what it is sent, and refuses from the given batch on."""

    def __init__(self, refuses_from: int) -> None:
        self.refuses_from = refuses_from
        self.batches = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        assert len(spans) <= 512
        self.batches += 1
        return SpanExportResult.FAILURE if self.batches > self.refuses_from else SpanExportResult.SUCCESS


def test_what_is_sent_is_whole_runs_that_are_over(traffic: ModuleType) -> None:
    spans = [span for seed in range(3) for span in traffic.recent(_NOW_NS, seed)]
    roots = {span.context.trace_id for span in spans if span.parent is None}
    assert roots
    assert {span.context.trace_id for span in spans} == roots
    assert all(span.end_time < _NOW_NS for span in spans)


def test_no_call_is_sent_twice(traffic: ModuleType) -> None:
    ids = [{span.attributes.get("gen_ai.response.id") for span in traffic.recent(_NOW_NS, seed)} for seed in range(2)]
    assert ids[0] & ids[1] <= {None}


def test_a_collector_that_goes_away_later_does_not_end_it(
    traffic: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    history = sum(-(-len(hour) // 512) for hour in traffic.history(_NOW_NS))
    with pytest.raises(Enough):
        traffic.run(Taking(refuses_from=history), Hurried())
    said = capsys.readouterr().err.splitlines()
    assert len(said) > 1  # minutes without a run cost nothing
    assert set(said) == {"a minute of traffic was not taken"}


def test_a_history_that_is_refused_is_said(traffic: ModuleType) -> None:
    with pytest.raises(SystemExit, match="did not take the history"):
        traffic.run(Taking(refuses_from=1), Hurried())
