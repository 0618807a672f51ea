"""Requests from files: what is read, what is skipped and why, how far it is."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanledger_core.otlp import count_spans
from spanledger_receiver import files
from spanledger_receiver.files import FileRequest, SkippedFile, expand, read_requests, total_bytes

MakeRequest = Callable[..., ExportTraceServiceRequest]
METRICS = b'{"resourceMetrics": []}\n'


def as_json(spans: int, indent: int | None = None) -> bytes:
    request = {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "01" * 16, "spanId": "02" * 8}] * spans}]}]}
    return json.dumps(request, indent=indent).encode()


def counts(path: Path) -> list[int]:
    """Spans of each request; fails on anything skipped."""
    found = list(read_requests([path]))
    assert all(isinstance(item, FileRequest) for item in found), found
    return [count_spans(item.request) for item in found if isinstance(item, FileRequest)]


def skipped(path: Path) -> SkippedFile:
    (item,) = read_requests([path])
    assert isinstance(item, SkippedFile)
    return item


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_every_kind_is_read_plain_and_packed(tmp_path: Path, make_request: MakeRequest, suffix: str) -> None:
    pack = gzip.compress if suffix else bytes
    for name, content, expected in (
        ("a.pb", make_request(3).SerializeToString(), [3]),
        ("a.json", as_json(2), [2]),
        ("pretty.json", as_json(2, indent=2), [2]),
        ("lines.json", as_json(1) + b"\n" + as_json(2) + b"\n", [1, 2]),
        ("a.jsonl", as_json(1) + b"\n\n" + as_json(2), [1, 2]),
        ("UPPER.JSON", as_json(4), [4]),
    ):
        path = tmp_path / f"{name}{suffix}"
        path.write_bytes(pack(content))
        assert counts(path) == expected, name


def test_protobuf_and_json_of_one_request_are_equal(tmp_path: Path, make_request: MakeRequest) -> None:
    official = make_request(2)
    document = json_format.MessageToDict(official)
    for span in document["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        number = int(span["name"].split()[1])
        span["traceId"], span["spanId"] = f"{number:032x}", f"{number:016x}"
    (tmp_path / "1.json").write_text(json.dumps(document))
    (tmp_path / "2.pb").write_bytes(official.SerializeToString())
    one, two = read_requests([tmp_path])
    assert isinstance(one, FileRequest)
    assert isinstance(two, FileRequest)
    assert one.request == two.request


def test_directories_are_read_recursively_in_name_order(tmp_path: Path) -> None:
    for name in ("b/2.json", "b/10.json", "a/z.json", "c.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(as_json(1))
    found = [item.path.relative_to(tmp_path).as_posix() for item in read_requests([tmp_path])]
    assert found == ["a/z.json", "b/10.json", "b/2.json", "c.json"]


def test_paths_are_read_in_the_order_given(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_bytes(as_json(1))
    assert expand([tmp_path / "b.json", tmp_path / "a.json"]) == [tmp_path / "b.json", tmp_path / "a.json"]


def test_a_path_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(read_requests([tmp_path / "nothing"]))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("notes.txt", b"hello", "the name ends in none of"),
        ("no-suffix", b"hello", "the name ends in none of"),
        ("meta.json", b'{"libraries": []}', "without resourceSpans"),
        ("calls.jsonl", b'{"agent": null}\n' * 50, "without resourceSpans"),
        ("list.json", b"[1, 2]", "not an object"),
        ("broken.json", b'{"resourceSpans": [', "not JSON"),
        ("empty.json", b"", "not JSON"),
        ("broken.pb", b"\x0a\xff\xff", "not an ExportTraceServiceRequest"),
        ("broken.pb.gz", b"not gzip", "cannot be read"),
        ("cut.pb.gz", gzip.compress(b"x" * 1000, mtime=0)[:-9], "cannot be read"),
        ("metrics.json", METRICS, "1 requests hold metrics, not traces"),
    ],
)
def test_files_that_are_not_otlp_are_named_with_the_reason(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    item = skipped(tmp_path / name)
    assert item.path == tmp_path / name
    assert reason in item.reason


def test_a_broken_line_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(as_json(1) + b'\n{"resourceSpans": 7}\n' + as_json(2) + b"\n")
    one, broken, two = read_requests([path])
    assert isinstance(broken, SkippedFile)
    assert (broken.line, broken.reason) == (2, "resourceSpans is not a list")
    assert isinstance(one, FileRequest)
    assert isinstance(two, FileRequest)
    assert (one.line, two.line) == (1, 3)


def test_lines_of_other_signals_are_told_once(tmp_path: Path) -> None:
    """The Collector's file exporter writes all signals into one file."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(METRICS + as_json(1) + b"\n" + METRICS * 9)
    one, others = read_requests([path])
    assert isinstance(one, FileRequest)
    assert others == SkippedFile(path, 1, "10 requests hold metrics, not traces", path.stat().st_size)


def test_refused_spans_come_with_their_request(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'{"resourceSpans": [{"scopeSpans": [{"spans": [{}, {"traceId": "x"}]}]}]}')
    (item,) = read_requests([path])
    assert isinstance(item, FileRequest)
    assert (count_spans(item.request), item.refusals[0].reason) == (1, "bad_trace_id")


def test_progress_counts_bytes_on_disk_up_to_the_total(tmp_path: Path, make_request: MakeRequest) -> None:
    (tmp_path / "a.pb").write_bytes(make_request(3).SerializeToString())
    (tmp_path / "b.jsonl").write_bytes((as_json(1) + b"\n") * 3)
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(as_json(100)))
    (tmp_path / "d.txt").write_bytes(b"hello")
    done = [item.bytes_done for item in read_requests([tmp_path])]
    assert done == sorted(done)
    total = total_bytes(expand([tmp_path]))
    assert done[0] == (tmp_path / "a.pb").stat().st_size
    assert done[-2] == total - 5
    assert done[-1] <= total


def test_a_request_beyond_the_bound_is_skipped_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_REQUEST_BYTES", 1000)
    (tmp_path / "bomb.json.gz").write_bytes(gzip.compress(b" " * 10_000_000))
    assert "beyond 1000 bytes" in skipped(tmp_path / "bomb.json.gz").reason


def test_the_corpus_is_read_whole() -> None:
    corpus: Any = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "dev"
    if not corpus.is_dir():
        pytest.skip(f"no corpus at {corpus}")
    scenarios = sorted(corpus.iterdir())[::10]
    items = list(read_requests(scenarios))
    requests = [item for item in items if isinstance(item, FileRequest)]
    assert len(requests) == sum(len(list(scenario.glob("*.pb"))) for scenario in scenarios)
    assert {item.path.name for item in items if isinstance(item, SkippedFile)} == {
        "calls.jsonl",
        "meta.json",
        "traces.json",
        "visible.json",
    }
