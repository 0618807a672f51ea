"""What people and models say never reaches the disk: marks in its place are searched for everywhere."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench.faults.canaries import PREFIX, Canaries, found_in, found_open, found_under
from bench.faults.process import Victim
from bench.faults.traffic import METHOD
from spanledger_core.clock import SystemClock
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import open_store

ROOT = Path(__file__).resolve().parents[2]
CAPTURED = ROOT / "tests" / "data" / "corpus"
WHOLE = ROOT.parent / "shared" / "corpus" / "dev"


def shifted(body: bytes, now_ns: int) -> ExportTraceServiceRequest:
    """The request as if it had just been sent: what is too old would be refused."""
    message = ExportTraceServiceRequest.FromString(body)
    spans = [span for group in message.resource_spans for part in group.scope_spans for span in part.spans]
    latest = max((span.end_time_unix_nano for span in spans), default=now_ns)
    for span in spans:
        span.start_time_unix_nano += now_ns - latest
        span.end_time_unix_nano += now_ns - latest
        for event in span.events:
            event.time_unix_nano += now_ns - latest
    return message


class Watched(Victim):
    """A collector with its temporary files in a folder of its own, and a log that says all it can."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            environment={
                "TMPDIR": str(folder / "temporary"),
                "HOME": str(folder / "home"),
                "SPANLEDGER_LOG__LEVEL": "debug",
                "SPANLEDGER_KEEP_ATTRIBUTES": '["app.*"]',
            },
        )
        (folder / "temporary").mkdir()
        (folder / "home").mkdir()

    def send(self, body: bytes) -> str:
        """The answer's text: a partial success, or the refusal."""
        with grpc.insecure_channel(f"127.0.0.1:{self.grpc}") as channel:
            try:
                return repr(channel.unary_unary(METHOD)(body, timeout=30))
            except grpc.RpcError as error:
                return f"{error.code()} {error.details()} {error.trailing_metadata()}"

    def post(self, body: bytes, content_type: str) -> str:
        """The same over HTTP."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http}/v1/traces", data=body, headers={"Content-Type": content_type}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return repr(reply.read())
        except urllib.error.HTTPError as error:
            return repr(error.read())

    def page(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.telemetry}{path}", timeout=60) as reply:
            return bytes(reply.read())

    def settled(self) -> None:
        end = time.monotonic() + 60
        while self.metric("spanledger_spool_facts") != 0:
            assert time.monotonic() < end
            time.sleep(0.1)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    victim = Watched(tmp_path / "victim")
    victim.start()
    yield victim
    victim.close()


def tables(victim: Watched) -> Iterator[tuple[str, bytes]]:
    """Every table of the store with all its rows as JSON, physical ones included."""
    address = StoreAddress.parse(f"chdb://{victim.data_dir / 'store'}", victim.folder)
    with open_store(address, StoreSettings(), SystemClock()) as store:
        names = store.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
        )
        for (name,) in names:
            yield name, store.query(f"SELECT * FROM {name}", fmt="JSONEachRow")


def strings_in_spool(path: Path) -> Iterator[str]:
    """All text in the records, decoded."""

    def walk(node: Any) -> Iterator[str]:
        if isinstance(node, str | bytes):
            yield node if isinstance(node, str) else node.decode("latin-1")
        elif isinstance(node, list):
            for each in node:
                yield from walk(each)

    with sqlite3.connect(path) as database:
        for (body,) in database.execute("SELECT body FROM records UNION ALL SELECT body FROM aside"):
            yield from walk(msgspec.msgpack.decode(body[5:]))
    database.close()


def hostile_requests(canaries: Canaries) -> Iterator[ExportTraceServiceRequest]:
    """What is refused, or is no content by its name: the text of it must not come back in a log either."""
    now = time.time_ns()
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "hostile"
    part = group.scope_spans.add()
    for trace_id, start, key in (
        (b"\1" * 15, now, "gen_ai.prompt"),  # an id that is none
        (b"\1" * 16, 1000, "gen_ai.prompt"),  # too old
        (b"\2" * 16, now, "gen_ai.usage.input_tokens"),  # content where a number should be
        (b"\3" * 16, now, "an attribute nobody knows"),
    ):
        span = part.spans.add(trace_id=trace_id, span_id=b"\7" * 8, name="chat gpt-4o", kind=3)
        span.start_time_unix_nano, span.end_time_unix_nano = start, start + 10**9
        span.attributes.add(key="gen_ai.operation.name").value.string_value = "chat"
        span.attributes.add(key="gen_ai.request.model").value.string_value = "gpt-4o"
        span.attributes.add(key=key).value.string_value = canaries.text("said in confidence", f"hostile {key}")
    yield message


def test_marks_in_place_of_content_are_found_nowhere(watched: Watched) -> None:
    canaries = Canaries()
    folders = sorted(path for path in (WHOLE if WHOLE.is_dir() else CAPTURED).iterdir() if path.is_dir())
    answers = []
    for folder in folders:
        for path in sorted(folder.glob("request-*.pb")):
            marked = canaries.mark(shifted(path.read_bytes(), time.time_ns()).SerializeToString())
            assert found_in(marked)
            answers.append(watched.send(marked))
    for message in hostile_requests(canaries):
        answers.append(watched.send(message.SerializeToString()))
    broken = b"\n\xff\xff" + canaries.text("a body that does not parse", "broken").encode()
    answers.append(watched.send(broken))
    answers.append(watched.post(broken, "application/x-protobuf"))
    answers.append(
        watched.post(json.dumps({"resourceSpans": canaries.text("", "broken")}).encode(), "application/json")
    )
    answers.append(watched.post(b'{"resourceSpans": "' + broken[3:], "application/json"))
    assert canaries.placed > 500
    assert len(canaries.keys) > 30
    watched.settled()

    leaks = [f"answer: {place}" for answer in answers for place in found_in(answer.encode())]
    leaks += found_under(watched.folder)
    leaks += found_open(watched.pid)
    for path in ("/metrics", "/readyz", "/healthz"):
        leaks += [f"{path}: {place}" for place in found_in(watched.page(path))]
    booked = int(watched.query("SELECT count() AS calls FROM calls")[0]["calls"])
    assert booked > len(folders)
    leaks += [f"spool: {text}" for text in strings_in_spool(watched.data_dir / "spool" / "spool.db") if PREFIX in text]

    assert watched.end(signal.SIGTERM) == 0
    for name, rows in tables(watched):
        leaks += [f"{name}: {place}" for place in found_in(rows)]
    leaks += found_under(watched.folder)
    assert not leaks, "\n".join(leaks[:20])


def test_marks_that_do_reach_a_table_are_found(watched: Watched) -> None:
    """The search itself works: what the operator asks to keep is kept, and seen in store and spool."""
    canaries = Canaries()
    message = next(hostile_requests(canaries))
    span = message.resource_spans[0].scope_spans[0].spans[2]
    span.attributes.add(key="app.note").value.string_value = canaries.text("kept on purpose", "app.note")
    assert "1 refused: too_old" in watched.send(message.SerializeToString())
    watched.settled()
    assert watched.end(signal.SIGTERM) == 0
    assert [name for name, rows in tables(watched) if found_in(rows)] == ["llm_costs"]
    assert any(PREFIX in text for text in strings_in_spool(watched.data_dir / "spool" / "spool.db"))
    assert any("spool.db" in leak for leak in found_under(watched.folder))
