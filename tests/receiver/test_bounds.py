"""Small parts: unpacking within a bound, the table of codes, the door, the watchdog, the allocator."""

from __future__ import annotations

import contextlib
import gzip
import platform
import subprocess
import sys
import threading
import time
import zlib

import pytest
from google.rpc.status_pb2 import Status
from grpc import StatusCode
from hypothesis import given
from hypothesis import strategies as st

from spanledger_core.clock import SystemClock
from spanledger_core.errors import Busy, InvalidRequest, StoreUnavailable, TooLarge, Unauthenticated
from spanledger_receiver.auth import Access
from spanledger_receiver.bodies import inflate
from spanledger_receiver.envelope import Encoding, parse_body
from spanledger_receiver.status import Failure, Unsupported, encode_status, failure_of
from spanledger_receiver.watchdog import Watchdog


@given(st.binary(max_size=2000), st.sampled_from(["gzip", "deflate", "", "identity"]))
def test_inflate_undoes_the_encoding(body: bytes, encoding: str) -> None:
    packed = {"gzip": gzip.compress, "deflate": zlib.compress}.get(encoding, bytes)(body)
    assert inflate(packed, encoding, 2000) == body


def test_inflate_reads_all_members_of_a_gzip_body() -> None:
    assert inflate(gzip.compress(b"one") + gzip.compress(b"two"), "gzip", 100) == b"onetwo"


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_the_limit_is_a_limit_to_the_byte(encoding: str) -> None:
    pack = gzip.compress if encoding else bytes
    assert len(inflate(pack(b"x" * 1000), encoding, 1000)) == 1000
    with pytest.raises(TooLarge, match="1000 bytes"):
        inflate(pack(b"x" * 1001), encoding, 1000)


@pytest.mark.parametrize(
    "body",
    [b"", b"x", gzip.compress(b"x" * 100)[:-4], gzip.compress(b"x") + b"rest", gzip.compress(b"") * 99],
    # gzip writes the time into its header, and a test's name must not change from run to run
    ids=["empty", "no gzip", "cut", "more behind", "many members"],
)
def test_damaged_gzip_is_an_invalid_request(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="gzip"):
        inflate(body, "gzip", 1000)


def _field(tag: int, content: bytes) -> bytes:
    size = len(content)
    return bytes([tag, size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14 & 0x7F | 0x80, size >> 21]) + content


_MANY = 5_000_000


@pytest.mark.parametrize(
    ("body", "encoding", "what"),
    [
        (b"\x0a\x00" * _MANY, "protobuf", "resources and scopes"),
        (_field(0x0A, b"\x12\x00" * _MANY), "protobuf", "resources and scopes"),
        (_field(0x0A, b"\x18\x00" * _MANY), "protobuf", "resources and scopes"),
        (b"\x18\x00\x1d\x00\x00\x00\x00" + b"\x0a\x00" * _MANY, "protobuf", "resources and scopes"),
        (_field(0x0A, _field(0x12, b"\x12\x00" * 300_000)), "protobuf", "spans"),
        (b'{"resourceSpans":[' + b"{}," * _MANY + b"{}]}", "json", "JSON objects"),
        (b'{"x":' + b"[" * _MANY, "json", "JSON objects"),
        (b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"{}," * 300_000 + b"{}]}]}]}", "json", "spans"),
    ],
    ids=["resources", "scopes", "unknown", "after unknown", "spans", "json resources", "json depth", "json spans"],
)
def test_millions_of_empty_messages_are_refused_cheaply(body: bytes, encoding: Encoding, what: str) -> None:
    started = time.process_time()
    with pytest.raises(TooLarge, match=f"more than .* {what}"):
        parse_body(body, encoding)
    assert time.process_time() - started < 2


@given(st.binary(max_size=60))
def test_counting_leaves_broken_bytes_to_the_parser(body: bytes) -> None:
    """Only `InvalidRequest` comes out of any bytes, from wherever it comes."""
    for tail in (b"", b"\x0a\x7f", b"\xff" * 20):
        with contextlib.suppress(InvalidRequest):
            parse_body(body + tail, "protobuf")


@pytest.mark.parametrize(
    ("error", "code", "http_status", "retry"),
    [
        (InvalidRequest("x"), StatusCode.INVALID_ARGUMENT, 400, None),
        (Unsupported("x"), StatusCode.INVALID_ARGUMENT, 415, None),
        (TooLarge("x"), StatusCode.RESOURCE_EXHAUSTED, 413, None),
        (Unauthenticated("x"), StatusCode.UNAUTHENTICATED, 401, None),
        (Busy("x", 3), StatusCode.RESOURCE_EXHAUSTED, 429, 3),
        (StoreUnavailable("x"), StatusCode.UNAVAILABLE, 503, 5.0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_table_of_codes(error: Exception, code: StatusCode, http_status: int, retry: float | None) -> None:
    assert failure_of(error) == Failure(code, http_status, "x", retry)


def test_messages_fit_into_headers() -> None:
    assert len(failure_of(InvalidRequest("x" * 100_000)).message) == 1000


def test_errors_nobody_foresaw_are_internal_without_their_text() -> None:
    failure = failure_of(ValueError("a prompt"))
    assert (failure.code, failure.http_status, failure.retry_after_s) == (StatusCode.INTERNAL, 500, None)
    assert "prompt" not in failure.message


def test_a_status_is_google_rpc_status() -> None:
    status = Status.FromString(encode_status(failure_of(InvalidRequest("wrong"))))
    assert (status.code, status.message, len(status.details)) == (3, "wrong", 0)


def test_an_open_door_asks_nothing() -> None:
    assert Access().tenant_of(None) is None
    assert Access().tenant_of("Bearer anything") is None


def test_no_tokens_is_a_closed_door_not_an_open_one() -> None:
    with pytest.raises(Unauthenticated):
        Access({}).tenant_of("Bearer x")


@pytest.mark.parametrize(
    "header", [None, "", "secret", "Basic secret", "Bearer", "Bearer ", "Bearer secre", "Bearer é"]
)
def test_whoever_has_no_token_stays_out(header: str | None) -> None:
    with pytest.raises(Unauthenticated) as raised:
        Access({"secret": "t"}).tenant_of(header)
    assert "secre" not in str(raised.value)


@pytest.mark.parametrize("header", ["Bearer secret", "bearer secret", "BEARER  secret "])
def test_a_token_names_its_tenant(header: str) -> None:
    assert Access({"secret": "t"}).tenant_of(header) == "t"


def test_the_door_shows_no_token() -> None:
    access = Access({"secret": "t"})
    assert "secret" not in repr(access) + str(vars(access))


def test_the_watchdog_cuts_what_is_late_and_nothing_else() -> None:
    watchdog = Watchdog(1.0, 8, SystemClock())
    watchdog.start()
    cut = threading.Event()
    with watchdog.watch(lambda: pytest.fail("cut too early")):
        pass
    with watchdog.watch(cut.set):
        assert cut.wait(60)
    watchdog.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "otlp-watchdog"]


def test_the_watchdog_stops_at_once() -> None:
    watchdog = Watchdog(60, 8, SystemClock())
    watchdog.start()
    started = time.monotonic()
    watchdog.stop()
    assert time.monotonic() - started < 30


def test_patience_shrinks_while_slow_senders_hold_all_workers() -> None:
    watchdog = Watchdog(60, 2, SystemClock())
    watchdog.start()
    cut = threading.Event()
    with watchdog.watch(cut.set):
        assert not cut.wait(1.3)
        with watchdog.watch(lambda: pytest.fail("one is enough")):
            assert cut.wait(60)
    watchdog.stop()


def test_malloc_tuning_says_whether_it_worked() -> None:
    """In a process of its own: the setting stays for the life of one."""
    code = "from spanledger_receiver.malloc import tune_malloc; print(tune_malloc())"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20)
    assert answer.stdout.strip() == str(platform.libc_ver()[0] == "glibc")
