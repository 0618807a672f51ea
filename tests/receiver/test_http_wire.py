"""OTLP/HTTP below the SDK: content types, bad bodies, status bodies, limits, slow senders, shutdown."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
import time
import tracemalloc
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from spanledger_core.errors import Busy, ConfigError, StoreUnavailable
from spanledger_core.stages import Receipt
from spanledger_receiver import http_protocol
from spanledger_receiver.auth import Access

MakeRequest = Callable[..., ExportTraceServiceRequest]
PROTOBUF = "application/x-protobuf"
JSON = "application/json"
SPAN = {
    "traceId": "0123456789abcdef0123456789ABCDEF",
    "spanId": "0123456789abcdef",
    "name": "chat",
    "kind": 3,
    "startTimeUnixNano": "1790000000000000000",
    "endTimeUnixNano": 1790000001000000000,
    "attributes": [{"key": "gen_ai.usage.input_tokens", "value": {"intValue": "7"}}],
}


def envelope(*spans: Any) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()


@pytest.fixture
def post() -> Iterator[Callable[..., httpx.Response]]:
    with httpx.Client(timeout=10) as client:

        def send(receiver: Any, body: bytes, kind: str = PROTOBUF, path: str = "/v1/traces", **headers: str) -> Any:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return client.post(receiver.url + path, content=body, headers={"content-type": kind, **named})

        yield send


def test_answers_are_in_the_content_type_of_the_request(http_receiver: Any, post: Any, make_request: Any) -> None:
    answer = post(http_receiver, make_request().SerializeToString())
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, PROTOBUF, b"")
    answer = post(http_receiver, envelope(SPAN), "application/json; charset=utf-8")
    assert (answer.status_code, answer.headers["content-type"], answer.json()) == (200, JSON, {})


def test_json_by_hand_arrives_as_a_span(http_receiver: Any, post: Any) -> None:
    post(http_receiver, envelope(SPAN), JSON)
    (span,) = http_receiver.sink.spans
    assert span.trace_id.hex() == "0123456789abcdef0123456789abcdef"
    assert span.end_time_unix_nano - span.start_time_unix_nano == 1_000_000_000
    assert span.attributes["gen_ai.usage.input_tokens"].int_value == 7


def test_json_span_of_wrong_types_is_refused_by_name_and_the_rest_kept(
    start_http: Any, post: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    http_receiver = start_http()
    wrong = {**SPAN, "attributes": [{"key": "k", "value": {"intValue": "patient"}}]}
    answer = post(http_receiver, envelope(SPAN, wrong, {**SPAN, "spanId": "xyz"}), JSON)
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedSpans"] == "2"
    assert "spans[1].attributes[0].value.intValue is not an integer" in partial["errorMessage"]
    assert "bad_span_id" in partial["errorMessage"]
    assert len(http_receiver.sink.spans) == 1
    assert http_receiver.sample("refused_spans_total", reason="malformed") == 1
    assert http_receiver.sample("refused_spans_total", reason="bad_span_id") == 1
    assert http_receiver.sample("received_spans_total", transport="http") == 3
    output = capsys.readouterr()
    assert "spans refused" in output.out + output.err
    assert "patient" not in answer.text + output.out + output.err


def test_refusals_of_both_stages_are_told_together(http_receiver: Any, post: Any) -> None:
    http_receiver.sink.answer = Receipt(0, 1, "1 refused: too_old")
    answer = post(http_receiver, envelope(SPAN, {**SPAN, "kind": []}), JSON)
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedSpans"] == "2"
    assert partial["errorMessage"].startswith("1 refused: too_old; 1 refused: malformed")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"\x0a\xff\xff", PROTOBUF),
        (b"{", JSON),
        (b"[]", JSON),
        (b"7", JSON),
        (b'{"resourceSpans": 7}', JSON),
        (b'{"resourceSpans": [{"scopeSpans": {"spans": []}}]}', JSON),
        (b'{"resourceSpans": [{"resource": []}]}', JSON),
        (b"[" * 100_000, JSON),
        (b'{"resourceSpans":' * 50_000, JSON),
        (b"\xff\xfe", JSON),
        (b'{"resourceSpans": NaN}', JSON),
    ],
    ids=lambda value: repr(value[:40]),
)
def test_bodies_that_are_not_a_request_are_refused_for_good(
    http_receiver: Any, post: Any, body: bytes, kind: str
) -> None:
    answer = post(http_receiver, body, kind)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == kind
    message = Status.FromString(answer.content).message if kind == PROTOBUF else answer.json()["message"]
    assert message
    assert http_receiver.sink.requests == []


def test_no_spans_is_success_and_reaches_nobody(http_receiver: Any, post: Any) -> None:
    for body, kind in ((b"", PROTOBUF), (b"{}", JSON), (b'{"resourceSpans": []}', JSON), (envelope(), JSON)):
        assert post(http_receiver, body, kind).status_code == 200
    assert http_receiver.sink.requests == []


def test_partial_success_says_how_many_and_why(http_receiver: Any, post: Any, make_request: MakeRequest) -> None:
    http_receiver.sink.answer = Receipt(1, 2, "2 refused: too_old")
    answer = post(http_receiver, make_request(3).SerializeToString())
    assert answer.status_code == 200
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (partial.rejected_spans, partial.error_message) == (2, "2 refused: too_old")


@pytest.mark.parametrize("kind", ["text/plain", "", "application/xml"])
def test_other_content_types_are_415(http_receiver: Any, post: Any, kind: str) -> None:
    answer = post(http_receiver, b"x", kind)
    assert answer.status_code == 415
    assert PROTOBUF in answer.json()["message"]


def test_other_content_encodings_are_415(http_receiver: Any, post: Any) -> None:
    answer = post(http_receiver, b"x", content_encoding="br")
    assert answer.status_code == 415
    assert "gzip" in Status.FromString(answer.content).message


@pytest.mark.parametrize(("path", "status"), [("/", 404), ("/v1/profiles", 404), ("/v1/traces/", 404)])
def test_other_paths_are_404_with_a_status_body(http_receiver: Any, post: Any, path: str, status: int) -> None:
    answer = post(http_receiver, b"", path=path)
    assert answer.status_code == status
    assert "/v1/traces" in Status.FromString(answer.content).message


def test_get_is_405(http_receiver: Any) -> None:
    answer = httpx.get(f"{http_receiver.url}/v1/traces", timeout=60)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_packed_bodies_are_unpacked(http_receiver: Any, post: Any, make_request: MakeRequest, pack: Any) -> None:
    encoding = "gzip" if pack is gzip.compress else "deflate"
    for body, kind in ((make_request().SerializeToString(), PROTOBUF), (envelope(SPAN), JSON)):
        assert post(http_receiver, pack(body), kind, content_encoding=encoding).status_code == 200
    assert len(http_receiver.sink.spans) == 2


@pytest.mark.parametrize("body", [b"not gzip", gzip.compress(b"x" * 1000)[:-9]], ids=["not gzip", "cut"])
def test_broken_gzip_is_refused_for_good(http_receiver: Any, post: Any, body: bytes) -> None:
    answer = post(http_receiver, body, content_encoding="gzip")
    assert answer.status_code == 400
    assert "gzip" in Status.FromString(answer.content).message


def test_a_gzip_bomb_is_413_and_costs_no_memory(http_receiver: Any, post: Any) -> None:
    bomb = gzip.compress(b"\0" * (200 << 20), compresslevel=1)
    tracemalloc.start()
    answer = post(http_receiver, bomb, content_encoding="gzip")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer.status_code == 413
    assert "retry-after" not in answer.headers
    assert peak < 60 << 20


def test_a_body_of_64_mib_is_413_with_a_clear_error(http_receiver: Any, post: Any) -> None:
    answer = post(http_receiver, b"\0" * (64 << 20))
    assert answer.status_code == 413
    assert "16777216 bytes" in Status.FromString(answer.content).message
    assert http_receiver.sink.requests == []


@pytest.mark.parametrize("size", [17, 20, 64])
def test_a_sender_that_closes_its_connection_is_told_that_its_body_is_too_large(http_receiver: Any, size: int) -> None:
    """urllib sends `connection: close` and reads no answer before it has sent everything."""
    headers = {"content-type": JSON}
    request = urllib.request.Request(f"{http_receiver.url}/v1/traces", b"\0" * (size << 20), headers, method="POST")
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(request, timeout=60)
    with raised.value as answer:
        assert answer.code == 413
        assert "16777216 bytes" in json.load(answer)["message"]


def test_a_sender_that_asks_first_is_refused_before_it_sends(http_receiver: Any) -> None:
    with ExitStack() as open_ones:
        connection = _connect(open_ones, http_receiver)
        connection.sendall(
            b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"expect: 100-continue\r\ncontent-length: 20000000\r\n\r\n"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_body_of_unknown_length_is_cut_at_the_limit(start_http: Any) -> None:
    receiver = start_http(max_request_bytes=1 << 20)
    chunks = (b"\0" * 65536 for _ in range(40))
    answer = httpx.post(f"{receiver.url}/v1/traces", content=chunks, headers={"content-type": PROTOBUF}, timeout=60)
    assert answer.status_code == 413


def test_busy_is_429_with_retry_after(http_receiver: Any, post: Any, make_request: MakeRequest) -> None:
    http_receiver.sink.fail_with = [Busy("the spool is full", 2.5), Busy("the spool is full", 2.5)]
    answer = post(http_receiver, make_request().SerializeToString())
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    retry_info = RetryInfo()
    assert Status.FromString(answer.content).details[0].Unpack(retry_info)
    assert retry_info.retry_delay.ToMilliseconds() == 2500
    answer = post(http_receiver, envelope(SPAN), JSON)
    assert answer.status_code == 429
    assert answer.json()["message"] == "the spool is full"
    assert answer.json()["details"][0]["retryDelay"] == "2.500s"


def test_too_much_at_once_is_429(start_http: Any, post: Any) -> None:
    receiver = start_http(max_buffered_bytes=1000)
    answer = post(receiver, b"\0" * 2000)
    assert answer.status_code == 429
    assert post(receiver, b"").status_code == 200


def test_a_store_that_is_away_is_503(http_receiver: Any, post: Any, make_request: MakeRequest) -> None:
    http_receiver.sink.fail_with = [StoreUnavailable("no store")]
    answer = post(http_receiver, make_request().SerializeToString())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_an_unforeseen_error_is_500_and_repeats_no_content(
    start_http: Any, post: Any, make_request: MakeRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    http_receiver = start_http()
    http_receiver.sink.fail_with = [KeyError("the patient said")]
    answer = post(http_receiver, make_request().SerializeToString())
    assert answer.status_code == 500
    output = capsys.readouterr()
    assert "conftest.py" in output.out + output.err
    assert b"patient" not in answer.content
    assert "patient" not in output.out + output.err
    assert post(http_receiver, make_request().SerializeToString()).status_code == 200


def test_strangers_are_401(start_http: Any, post: Any, make_request: MakeRequest) -> None:
    receiver = start_http(access=Access({"secret": "t"}))
    body = make_request().SerializeToString()
    for headers in ({}, {"authorization": "Bearer nope"}, {"authorization": "Basic secret"}):
        answer = post(receiver, body, **headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert post(receiver, body, path="/v1/metrics").status_code == 401
    assert post(receiver, body, authorization="bearer secret").status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /v1/traces HTTP/1.1\r\nhost: x\r\n",
        b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
    ],
    ids=["nothing", "half a head", "half a body"],
)
def test_slow_senders_are_cut_off(start_http: Any, sent: bytes) -> None:
    receiver = start_http(request_timeout_s=0.3)
    with socket.create_connection(("127.0.0.1", receiver.server.port), timeout=30) as connection:
        connection.sendall(sent)
        assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")
        assert connection.recv(1000) == b""
    assert receiver.sample("requests_total", transport="http", code="408") == 1


def test_what_is_not_http_is_400_and_fills_no_log(http_receiver: Any, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_connection(("127.0.0.1", http_receiver.server.port), timeout=30) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert http_receiver.sample("requests_total", transport="http", code="400") == 1
    assert not caplog.records


def test_a_head_without_end_is_cut_off(http_receiver: Any) -> None:
    with socket.create_connection(("127.0.0.1", http_receiver.server.port), timeout=30) as connection:
        connection.sendall(b"POST /v1/traces HTTP/1.1\r\n" + b"x: " + b"y" * 100_000)
        assert connection.recv(1000).startswith(b"HTTP/1.1 431 ")


def test_idle_connections_outlive_the_request_timeout(start_http: Any, make_request: MakeRequest) -> None:
    """The deadline is for sending a request, not for the pause between two."""
    receiver = start_http(request_timeout_s=1.5)
    with httpx.Client(timeout=60) as client:
        for _ in range(2):
            answer = client.post(
                f"{receiver.url}/v1/traces",
                content=make_request().SerializeToString(),
                headers={"content-type": PROTOBUF},
            )
            assert answer.status_code == 200
            time.sleep(2.0)
    assert receiver.sample("requests_total", transport="http", code="408") == 0


def is_cut_off(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except httpx.TransportError:
        return True
    return False


def eventually(holds: Callable[[], bool], within_s: float = 10.0) -> None:
    ends = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < ends, "did not happen in time"
        time.sleep(0.02)


def test_a_flood_of_idle_connections_keeps_nobody_out(start_http: Any, make_request: MakeRequest) -> None:
    receiver = start_http(max_connections=8)
    address = ("127.0.0.1", receiver.server.port)
    with ExitStack() as flood, httpx.Client(timeout=60) as client:
        for _ in range(40):
            flood.enter_context(socket.create_connection(address, timeout=60))
        for _ in range(3):
            body, headers = make_request().SerializeToString(), {"content-type": PROTOBUF}
            assert client.post(f"{receiver.url}/v1/traces", content=body, headers=headers).status_code == 200
            assert httpx.post(f"{receiver.url}/v1/traces", content=body, headers=headers, timeout=60).status_code == 200


def test_the_longest_idle_connection_makes_room_and_no_other(start_http: Any) -> None:
    receiver = start_http(max_connections=2)
    ask = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    with ExitStack() as open_ones:
        first, second = (_connect(open_ones, receiver) for _ in range(2))
        for connection in (second, first):  # now the second one is idle the longest
            connection.sendall(ask)
            assert _status(connection) == 404
        third = _connect(open_ones, receiver)
        assert second.recv(1000) == b""
        for connection in (first, third):
            connection.sendall(ask)
            assert _status(connection) == 404


def test_requests_under_way_are_not_cut_for_a_new_connection(start_http: Any) -> None:
    receiver = start_http(max_connections=2)
    receiver.sink.hold = threading.Event()
    head = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    body = envelope(SPAN)
    with ExitStack() as open_ones:
        unanswered, unsent = (_connect(open_ones, receiver) for _ in range(2))
        unsent.sendall(head)
        unanswered.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        assert receiver.sink.entered.wait(60)
        eventually(lambda: _is_refused(receiver), within_s=60)
        receiver.sink.hold.set()
        assert _status(unanswered) == 200
        unsent.sendall(b"content-length: %d\r\n\r\n" % len(body) + body)
        assert _status(unsent) == 200


def _connect(open_ones: ExitStack, receiver: Any) -> socket.socket:
    return open_ones.enter_context(socket.create_connection(("127.0.0.1", receiver.server.port), timeout=60))


def _status(connection: socket.socket) -> int:
    """Of the next answer, which is read whole."""
    with http.client.HTTPResponse(connection) as answer:
        answer.begin()
        answer.read()
        return answer.status


def _is_refused(receiver: Any) -> bool:
    return is_cut_off(lambda: httpx.post(f"{receiver.url}/v1/traces", timeout=60))


def test_silence_is_cut_before_a_slow_request_is(start_http: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "_FIRST_BYTE_S", 0.3)
    receiver = start_http(request_timeout_s=120)
    with ExitStack() as open_ones:
        slow, silent = (_connect(open_ones, receiver) for _ in range(2))
        slow.sendall(b"GET / HTTP/1.1\r\n")
        assert _status(silent) == 408
        slow.sendall(b"host: x\r\n\r\n")
        assert _status(slow) == 404


def test_a_request_refused_before_its_end_leaves_no_connection_for_ever(start_http: Any) -> None:
    receiver = start_http(keep_alive_s=1.0)
    with ExitStack() as open_ones:
        connection = _connect(open_ones, receiver)
        connection.sendall(b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{")
        assert _status(connection) == 415
        connection.sendall(b"}")
        assert connection.recv(1000) == b""


def test_requests_are_served_side_by_side(http_receiver: Any, make_request: MakeRequest) -> None:
    http_receiver.sink.meet = threading.Barrier(8)
    body = make_request().SerializeToString()

    def send(_: int) -> int:
        headers = {"content-type": PROTOBUF}
        return httpx.post(f"{http_receiver.url}/v1/traces", content=body, headers=headers, timeout=60).status_code

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(send, range(8))) == [200] * 8


def test_stop_lets_requests_under_way_finish(start_http: Any, post: Any, make_request: MakeRequest) -> None:
    receiver = start_http()
    receiver.sink.hold = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        under_way = pool.submit(post, receiver, make_request().SerializeToString())
        assert receiver.sink.entered.wait(60)
        stopping = pool.submit(receiver.server.stop, 60.0)
        eventually(lambda: is_cut_off(lambda: httpx.post(f"{receiver.url}/v1/traces", timeout=60)), within_s=50)
        receiver.sink.hold.set()
        assert under_way.result(60).status_code == 200
        stopping.result(60)
    assert len(receiver.sink.spans) == 1


def test_a_taken_port_is_a_configuration_error(start_http: Any) -> None:
    first = start_http()
    with pytest.raises(ConfigError, match=r"receivers\.otlp\.protocols\.http.*127\.0\.0\.1"):
        start_http(endpoint=first.address)


@pytest.mark.parametrize("endpoint", ["4318", "localhost", "127.0.0.1:http", ""])
def test_an_endpoint_that_is_none_is_a_configuration_error(start_http: Any, endpoint: str) -> None:
    with pytest.raises(ConfigError, match="host:port"):
        start_http(endpoint=endpoint)


def test_ipv6_endpoints_are_written_in_brackets(start_http: Any) -> None:
    try:
        receiver = start_http(endpoint="[::1]:0")
    except ConfigError:
        pytest.skip("this machine has no IPv6 loopback")
    assert httpx.post(f"http://[::1]:{receiver.server.port}/v1/traces", timeout=60).status_code == 415
