"""OTLP/gRPC below the SDK: bad bytes, codes and trailers, limits, slow senders, shutdown."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from spanledger_core.errors import Busy, ConfigError
from spanledger_core.stages import Receipt
from spanledger_receiver.auth import Access

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
MakeRequest = Callable[..., ExportTraceServiceRequest]


@pytest.fixture
def call(request: pytest.FixtureRequest) -> Iterator[Callable[..., tuple[bytes, Any]]]:
    """Sends raw bytes; gives the answer and the trailers, or raises `grpc.RpcError`."""
    channels: list[grpc.Channel] = []

    def send(receiver: Any, body: bytes, *, method: str = EXPORT, timeout: float = 10, **options: Any) -> Any:
        limits = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
        channels.append(grpc.insecure_channel(receiver.address, options=limits))
        answer, finished = channels[-1].unary_unary(method).with_call(body, timeout=timeout, **options)
        return answer, finished

    yield send
    for channel in channels:
        channel.close()


def _trailers(error: grpc.RpcError) -> dict[str, bytes]:
    return dict(error.trailing_metadata())


def test_everything_taken_is_an_empty_answer(grpc_receiver: Any, call: Any, make_request: MakeRequest) -> None:
    answer, _ = call(grpc_receiver, make_request(2).SerializeToString())
    assert not ExportTraceServiceResponse.FromString(answer).HasField("partial_success")


def test_no_spans_is_success_and_reaches_nobody(grpc_receiver: Any, call: Any) -> None:
    assert call(grpc_receiver, b"")[0] == b""
    assert call(grpc_receiver, ExportTraceServiceRequest(resource_spans=[{}]).SerializeToString())[0] == b""
    assert grpc_receiver.sink.requests == []


def test_partial_success_says_how_many_and_why(grpc_receiver: Any, call: Any, make_request: MakeRequest) -> None:
    grpc_receiver.sink.answer = Receipt(1, 2, "2 refused: too_old")
    answer, _ = call(grpc_receiver, make_request(3).SerializeToString())
    partial = ExportTraceServiceResponse.FromString(answer).partial_success
    assert (partial.rejected_spans, partial.error_message) == (2, "2 refused: too_old")


def test_truncated_protobuf_is_refused_for_good(grpc_receiver: Any, call: Any, make_request: MakeRequest) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        call(grpc_receiver, make_request(3).SerializeToString()[:-5])
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "ExportTraceServiceRequest" in raised.value.details()
    assert grpc_receiver.sink.requests == []
    assert grpc_receiver.sample("requests_total", transport="grpc", code="INVALID_ARGUMENT") == 1


def test_one_broken_span_is_handed_on_for_the_decoder_to_refuse(
    grpc_receiver: Any, call: Any, make_request: MakeRequest
) -> None:
    """Spans are raw bytes at this stage: a broken one does not spoil its request."""
    good = make_request(1).SerializeToString()
    broken_span = b"\x12\x01\xff"  # a span of one byte, which no message is
    call(grpc_receiver, good + b"\x0a\x05\x12\x03" + broken_span)
    ((request, _),) = grpc_receiver.sink.requests
    assert request.resource_spans[1].scope_spans[0].spans[0] == b"\xff"


def test_busy_carries_retry_info_both_ways(grpc_receiver: Any, call: Any, make_request: MakeRequest) -> None:
    """In the status details as OTLP says, and where the Python exporter looks."""
    grpc_receiver.sink.fail_with = [Busy("the spool is full", 2.5)]
    with pytest.raises(grpc.RpcError) as raised:
        call(grpc_receiver, make_request().SerializeToString())
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    trailers = _trailers(raised.value)
    status = Status.FromString(trailers["grpc-status-details-bin"])
    assert (status.code, status.message) == (8, "the spool is full")
    retry_info = RetryInfo()
    assert status.details[0].Unpack(retry_info)
    assert retry_info.retry_delay.ToMilliseconds() == 2500
    assert RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"]) == retry_info


def test_a_request_beyond_the_limit_is_refused_without_retry_info(start_grpc: Any, call: Any) -> None:
    receiver = start_grpc(max_request_bytes=1 << 20)
    with pytest.raises(grpc.RpcError) as raised:
        call(receiver, b"\0" * (64 << 20))
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in raised.value.details()
    assert "google.rpc.retryinfo-bin" not in _trailers(raised.value)
    assert receiver.sink.requests == []


def test_an_unforeseen_error_is_internal_and_repeats_no_content(
    grpc_receiver: Any, call: Any, make_request: MakeRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    grpc_receiver.sink.fail_with = [KeyError("the patient said")]
    with pytest.raises(grpc.RpcError) as raised:
        call(grpc_receiver, make_request().SerializeToString())
    assert raised.value.code() is grpc.StatusCode.INTERNAL
    assert "patient" not in raised.value.details()
    output = capsys.readouterr()
    assert "conftest.py" in output.out + output.err
    assert "patient" not in output.out + output.err


def test_strangers_are_refused_before_they_send(start_grpc: Any) -> None:
    """The answer comes although the message never does."""
    receiver = start_grpc(access=Access({"secret": "t"}))
    release = threading.Event()

    def never() -> Iterator[bytes]:
        release.wait(60)
        yield b""

    with grpc.insecure_channel(receiver.address) as channel:
        with pytest.raises(grpc.RpcError) as raised:
            channel.stream_unary(EXPORT)(never(), metadata=[("authorization", "Bearer nope")], timeout=30)
        release.set()
    assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "nope" not in raised.value.details()


def test_slow_senders_are_cut_and_do_not_hold_up_others(start_grpc: Any, call: Any, make_request: MakeRequest) -> None:
    receiver = start_grpc(workers=2, request_timeout_s=2.0)
    release = threading.Event()

    def never() -> Iterator[bytes]:
        release.wait(60)
        yield b""

    with grpc.insecure_channel(receiver.address) as channel:
        slow = [channel.stream_unary(EXPORT).future(never(), timeout=60) for _ in range(2)]
        call(receiver, make_request().SerializeToString(), timeout=30)
        assert {one.code() for one in slow} == {grpc.StatusCode.CANCELLED}
        release.set()
    assert len(receiver.sink.spans) == 1
    receiver.server.stop(1.0)
    assert receiver.sample("requests_total", transport="grpc", code="CANCELLED") == 2


def test_requests_are_served_side_by_side(grpc_receiver: Any, call: Any, make_request: MakeRequest) -> None:
    """As many as share one group commit: each waits in the consumer until all eight are there."""
    grpc_receiver.sink.meet = threading.Barrier(8)
    body = make_request().SerializeToString()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: call(grpc_receiver, body)[0], range(8)))
    assert answers == [b""] * 8


def is_listening(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
    except (
        ConnectionRefusedError,
        ConnectionResetError,
        TimeoutError,
    ):  # reset: the listener closed before it took the connection
        return False


def test_stop_lets_requests_under_way_finish_and_refuses_new_ones(
    start_grpc: Any, call: Any, make_request: MakeRequest
) -> None:
    receiver = start_grpc()
    receiver.sink.hold = threading.Event()
    body = make_request().SerializeToString()
    with ThreadPoolExecutor(2) as pool:
        under_way = pool.submit(call, receiver, body)
        assert receiver.sink.entered.wait(60)
        stopping = pool.submit(receiver.server.stop, 60.0)
        while is_listening(receiver.server.port):
            time.sleep(0.02)
        with pytest.raises(grpc.RpcError) as raised:
            call(receiver, body, timeout=30)
        receiver.sink.hold.set()
        assert under_way.result(60)[0] == b""
        stopping.result(60)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert len(receiver.sink.spans) == 1


def test_a_taken_port_is_a_configuration_error(start_grpc: Any) -> None:
    first = start_grpc()
    with pytest.raises(ConfigError, match=r"receivers\.otlp\.protocols\.grpc.*127\.0\.0\.1"):
        start_grpc(endpoint=first.address)


def test_several_servers_share_a_port_where_asked(start_grpc: Any, call: Any, make_request: MakeRequest) -> None:
    first = start_grpc(reuse_port=True)
    second = start_grpc(reuse_port=True, endpoint=first.address)
    assert first.server.port == second.server.port
    call(second, make_request().SerializeToString())
    assert len(first.sink.spans) == 1


_BOMB = """
import sys
from spanledger_core.metrics import Metrics
from spanledger_core.clock import SystemClock
from spanledger_receiver.grpc_server import OtlpGrpcServer
from spanledger_receiver.settings import GrpcSettings
from prometheus_client import CollectorRegistry
server = OtlpGrpcServer(GrpcSettings("127.0.0.1:0"), None, Metrics(CollectorRegistry()), SystemClock())
server.start()
print(server.port, flush=True)
sys.stdin.readline()
server.stop(0)
print(next(int(line.split()[1]) // 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")), flush=True)
"""


def test_a_gzip_bomb_costs_the_server_no_memory() -> None:
    """100 MB of zeros sent as 100 KB, to a server in a process of its own."""
    child = subprocess.Popen(
        [sys.executable, "-c", _BOMB], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    with child:
        assert child.stdout is not None
        address = f"127.0.0.1:{int(child.stdout.readline())}"
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as raised:
            channel.unary_unary(EXPORT)(b"\0" * (100 << 20), compression=grpc.Compression.Gzip, timeout=30)
        output, _ = child.communicate("\n", timeout=20)
        peak_mib = int(output.splitlines()[-1])
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert peak_mib < 120
