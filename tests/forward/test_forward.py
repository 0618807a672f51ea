"""Forwarding to real OTLP receivers: what arrives, what is retried, what is dropped and counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from bench.faults.process import free_ports
from spanledger_core.errors import Busy, InvalidRequest
from spanledger_core.stages import Receipt
from spanledger_receiver.auth import Access

PROTOCOLS = ["grpc", "http/protobuf"]


class Note(NamedTuple):
    cost: int | None
    cost_status: str
    agent_id: str


def key(number: int) -> tuple[bytes, bytes]:
    return number.to_bytes(16, "big"), number.to_bytes(8, "big")


def attributes_of(span: Any) -> dict[str, Any]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes}


def eventually(holds: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


def closed_port() -> int:
    (port,) = free_ports(1)
    return port


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("compress", [True, False])
def test_spans_arrive_as_received_with_what_is_known_of_their_calls(
    other_side: Any, forward: Any, make_request: Any, protocol: str, compress: bool
) -> None:
    there = other_side(protocol)
    here = forward(there.server.port, protocol=protocol, compress=compress)
    request = make_request(3)
    before = request.SerializeToString(deterministic=True)
    here.forwarder.submit(
        request, {key(1): Note(2_500_000_000, "priced", "planner"), key(2): Note(None, "unpriced_model", "writer")}
    )
    eventually(lambda: here.forwarded() == 3)

    assert request.SerializeToString(deterministic=True) == before, "the submitted request is left untouched"
    (arrived,) = there.official
    first, second, third = there.spans
    own = "spanledger."
    assert {k: v for k, v in attributes_of(first).items() if k.startswith(own)} == {
        "spanledger.cost_usd": 0.0025,
        "spanledger.cost_status": "priced",
        "spanledger.agent_id": "planner",
    }
    assert {k: v for k, v in attributes_of(second).items() if k.startswith(own)} == {
        "spanledger.cost_status": "unpriced_model",
        "spanledger.agent_id": "writer",
    }
    assert not any(k.startswith(own) for k in attributes_of(third))
    for span in (first, second, third):  # everything else is as it was
        kept = [item for item in span.attributes if not item.key.startswith(own)]
        del span.attributes[:]
        span.attributes.extend(kept)
    group = arrived.resource_spans[0]
    sent = type(arrived).FromString(before).resource_spans[0]
    assert (group.resource, group.schema_url) == (sent.resource, sent.schema_url)
    assert [first, second, third] == list(sent.scope_spans[0].spans)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_headers_are_sent(other_side: Any, forward: Any, make_request: Any, protocol: str) -> None:
    there = other_side(protocol, Access({"secret": None}))
    here = forward(there.server.port, protocol=protocol, headers={"Authorization": "Bearer secret"})
    here.forwarder.submit(make_request(), {})
    eventually(lambda: here.forwarded() == 1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_may_pass_is_tried_again(other_side: Any, forward: Any, make_request: Any, protocol: str) -> None:
    there = other_side(protocol)
    there.fail_with = [Busy("full", 0.6)]
    here = forward(there.server.port, protocol=protocol)
    started = time.monotonic()
    here.forwarder.submit(make_request(2), {})
    eventually(lambda: here.forwarded() == 2)
    assert time.monotonic() - started > 0.6, "it came back before it was asked to"
    assert len(there.requests) == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_other_side_that_comes_up_later_gets_everything(
    other_side: Any, forward: Any, make_request: Any, protocol: str
) -> None:
    port = closed_port()
    here = forward(port, protocol=protocol)
    here.forwarder.submit(make_request(2), {})
    time.sleep(0.2)
    there = other_side(protocol, port=port)
    eventually(lambda: here.forwarded() == 2)
    assert len(there.spans) == 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_will_never_pass_is_dropped_and_counted(
    other_side: Any, forward: Any, make_request: Any, protocol: str, capsys: pytest.CaptureFixture[str]
) -> None:
    there = other_side(protocol)
    there.fail_with = [InvalidRequest("the prompt said so")]
    here = forward(there.server.port, protocol=protocol, headers={"authorization": "Bearer secret"})
    here.forwarder.submit(make_request(2), {})
    here.forwarder.submit(make_request(1), {})
    eventually(lambda: here.forwarded() == 1)
    assert here.dropped("refused") == 2
    log = "\n".join(line for line in capsys.readouterr().out.splitlines() if "not forwarded" in line)
    assert "refused" in log
    assert "prompt" not in log
    assert "secret" not in log


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_strangers_credentials_are_refused_for_good(
    other_side: Any, forward: Any, make_request: Any, protocol: str
) -> None:
    there = other_side(protocol, Access({"secret": None}))
    here = forward(there.server.port, protocol=protocol)
    here.forwarder.submit(make_request(), {})
    eventually(lambda: here.dropped("refused") == 1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_spans_the_other_side_rejects_are_counted(
    other_side: Any, forward: Any, make_request: Any, protocol: str
) -> None:
    there = other_side(protocol)
    there.answer = Receipt(2, 3, "3 refused: too_old")
    here = forward(there.server.port, protocol=protocol)
    here.forwarder.submit(make_request(5), {})
    eventually(lambda: here.dropped("rejected") == 3)
    assert here.forwarded() == 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nobody_there_is_given_up_in_time(forward: Any, make_request: Any, protocol: str) -> None:
    here = forward(closed_port(), protocol=protocol, give_up_after_s=0.4, timeout_s=1)
    here.forwarder.submit(make_request(2), {})
    eventually(lambda: here.dropped("gave_up") == 2)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_full_queue_drops_the_oldest_and_never_blocks(
    other_side: Any, forward: Any, make_request: Any, protocol: str
) -> None:
    there = other_side(protocol)
    there.hold = threading.Event()
    one = make_request(1, padding=1000)
    here = forward(there.server.port, protocol=protocol, max_queue_bytes=5 * one.ByteSize())
    here.forwarder.submit(one, {})
    assert there.entered.wait(60)  # it is under way now, and held
    started = time.monotonic()
    for _ in range(20):
        here.forwarder.submit(one, {})
    here.forwarder.submit(make_request(1, padding=2000), {})
    assert time.monotonic() - started < 5, "the other side holds on for ten seconds"
    there.hold.set()
    eventually(lambda: here.forwarded() + here.dropped("queue_full") == 22)
    assert here.forwarded() == 1 + 4
    assert len(there.requests[-1].resource_spans[0].scope_spans[0].spans[0]) > 2000


def test_a_request_beyond_the_whole_queue_is_dropped(forward: Any, make_request: Any) -> None:
    here = forward(closed_port(), max_queue_bytes=100)
    here.forwarder.submit(make_request(1, padding=1000), {})
    assert here.dropped("queue_full") == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_closing_sends_what_waits(other_side: Any, forward: Any, make_request: Any, protocol: str) -> None:
    there = other_side(protocol)
    here = forward(there.server.port, protocol=protocol)
    for _ in range(50):
        here.forwarder.submit(make_request(2), {})
    here.forwarder.close(60)
    assert here.forwarded() == 100
    here.forwarder.submit(make_request(2), {})
    assert here.dropped("closed") == 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_closing_waits_no_longer_than_told(other_side: Any, forward: Any, make_request: Any, protocol: str) -> None:
    there = other_side(protocol)
    there.hold = threading.Event()
    here = forward(there.server.port, protocol=protocol, timeout_s=1)
    for _ in range(3):
        here.forwarder.submit(make_request(2), {})
    started = time.monotonic()
    here.forwarder.close(0.3)
    assert time.monotonic() - started < 5, (
        "the limit and the timeout of one answer, not the ten seconds of the other side"
    )
    assert here.dropped("closed") == 6
    there.hold.set()


def test_requests_beyond_the_other_sides_limit_go_in_parts(other_side: Any, forward: Any, make_request: Any) -> None:
    there = other_side()
    here = forward(there.server.port, max_request_bytes=10_000)
    here.forwarder.submit(make_request(50, padding=1000), {key(50): Note(1, "priced", "planner")})
    eventually(lambda: here.forwarded() == 50)
    assert len(there.requests) > 5
    assert all(request.ByteSize() <= 10_000 for request in there.requests)
    assert [span.name for span in there.spans] == [f"span {number}" for number in range(1, 51)]
    assert attributes_of(there.spans[-1])["spanledger.cost_usd"] == 1e-12
    assert {group.resource.attributes[0].value.string_value for r in there.official for group in r.resource_spans} == {
        "shop"
    }
