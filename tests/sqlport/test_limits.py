"""Every query has bounds: time, memory, size, number; and none outlives its client."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
from prometheus_client import CollectorRegistry

from spanledger.config.units import Address
from spanledger.sqlport.channel import Channel, ClientGone
from spanledger.sqlport.server import SqlServer
from spanledger.sqlport.settings import SqlSettings
from spanledger_core.clock import SystemClock
from spanledger_core.metrics import Metrics
from spanledger_exporter.store import Store

ENDLESS = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"
MEBIBYTE = 1024 * 1024


@contextmanager
def serving(store: Store, **settings: object) -> Iterator[tuple[SqlServer, httpx.Client, Metrics]]:
    metrics = Metrics(CollectorRegistry())
    chosen = SqlSettings(endpoint=Address("127.0.0.1", 0), **settings)  # type: ignore[arg-type]
    server = SqlServer(chosen, str(store.address.path), store.address.database, metrics, SystemClock())
    server.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=30) as client:
            yield server, client, metrics
    finally:
        server.stop()


def code(answer: httpx.Response) -> int:
    return int(answer.headers.get("x-clickhouse-exception-code", 0))


def running(store: Store) -> int:
    with store.lease() as client:
        return int(client.command("SELECT count() FROM system.processes WHERE query LIKE '%sipHash64(number)%'")) - 1


def eventually(condition: Callable[[], bool], within_s: float = 60) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_a_query_ends_with_its_time(store: Store) -> None:
    with serving(store, max_execution_time_s=0.5) as (_, http, _):
        answer = http.post("/", content=ENDLESS)
        assert (answer.status_code, code(answer)) == (408, 159)
        sooner = http.post("/?max_execution_time=0.1", content=ENDLESS)
        assert "maximum: 100" in sooner.text


def test_a_query_ends_with_its_memory(store: Store) -> None:
    with serving(store, max_memory_bytes=50 * MEBIBYTE) as (_, http, _):
        answer = http.post("/", content="SELECT groupArray(toString(number)) FROM numbers(10000000)")
        assert code(answer) == 241
        assert http.post("/", content="SELECT 1").text == "1\n"


@pytest.mark.parametrize("output_format", ["TabSeparated", "Native", "JSON", "CSVWithNames"])
def test_a_result_ends_with_its_size(store: Store, output_format: str) -> None:
    with serving(store, max_result_bytes=100_000) as (_, http, _):
        answer = http.post(f"/?default_format={output_format}", content="SELECT number FROM numbers(1000000)")
        assert code(answer) == 396, answer.text[:200]
        answer = http.post("/", content="SELECT repeat('x', 500000)")
        assert code(answer) == 396


def test_a_large_result_is_streamed_in_bounded_memory(store: Store) -> None:
    with (
        serving(store) as (_, http, _),
        http.stream("POST", "/", content="SELECT number, toString(number) FROM numbers(1000000)") as answer,
    ):
        assert "content-length" not in answer.headers
        assert answer.headers["x-clickhouse-exception-tag"]
        lines = sum(part.count(b"\n") for part in answer.iter_bytes())
    assert lines == 1_000_000


def test_an_error_in_mid_stream_is_marked_for_the_client(store: Store) -> None:
    sql = "SELECT number, throwIf(number = 2000000, 'gone wrong') FROM numbers(3000000)"
    with serving(store) as (_, http, _):
        answer = http.post("/", content=sql, headers={"accept-encoding": "gzip"})
        tag = answer.headers["x-clickhouse-exception-tag"]
        assert answer.status_code == 200
        assert f"__exception__\r\n{tag}\r\nCode: 395." in answer.text
        assert answer.text.endswith(f" {tag}\r\n__exception__\r\n")
        waited = http.post("/?wait_end_of_query=1", content=sql)
        assert (waited.status_code, code(waited)) == (500, 395)


def _failed(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("spanledger_sql_queries_total", {"outcome": "failed"})


def test_more_queries_than_places_wait_and_too_many_are_refused(store: Store) -> None:
    with (
        serving(store, concurrency=1, max_waiting=1, max_execution_time_s=6) as (_, http, metrics),
        ThreadPoolExecutor(4) as pool,
    ):
        answers = list(pool.map(lambda _: http.post("/", content=ENDLESS), range(4)))
        codes = sorted(code(answer) for answer in answers)
        assert codes == [159, 159, 202, 202]
        refused = next(answer for answer in answers if code(answer) == 202)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert http.get("/ping").text == "Ok.\n"
        # a query is counted when it has ended, which may be just after its answer has arrived
        ends = time.monotonic() + 60
        while (failed := _failed(metrics)) != 2 and time.monotonic() < ends:
            time.sleep(0.01)
        assert failed == 2


def test_a_query_is_stopped_when_its_client_hangs_up(store: Store) -> None:
    with serving(store, concurrency=1) as (server, http, metrics):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(
                f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(ENDLESS)}\r\n\r\n{ENDLESS}".encode()
            )
            assert eventually(lambda: running(store) == 1)
        assert eventually(lambda: running(store) == 0)
        assert http.post("/", content="SELECT 1").text == "1\n"
        assert eventually(
            lambda: metrics.registry.get_sample_value("spanledger_sql_queries_total", {"outcome": "failed"}) == 1
        )


def test_nobody_complains_of_an_answer_that_nobody_waits_for() -> None:
    complaints: list[str] = []

    async def hung_up() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context["message"]))
        channel = Channel(loop, 1)
        channel.abandon()
        channel.fail(ClientGone())
        await asyncio.sleep(0)
        del channel
        gc.collect()

    asyncio.run(hung_up())
    assert complaints == []


def test_a_stream_is_stopped_when_its_client_hangs_up(store: Store) -> None:
    sql = "SELECT sipHash64(number), repeat('x', 100) FROM numbers(100000000000)"
    with serving(store, concurrency=1, max_result_bytes=1 << 40) as (server, http, _):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(sql)}\r\n\r\n{sql}".encode())
            assert client.recv(10)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert http.post("/", content="SELECT 1").text == "1\n"


def test_a_client_that_is_too_slow_sees_its_reply_broken_off_not_ended(store: Store) -> None:
    sql = b"SELECT sipHash64(number), repeat('x', 100) FROM numbers(3000000)"
    with (
        serving(store, slow_client_s=0.3) as (server, _, metrics),
        socket.create_connection(("127.0.0.1", server.port)) as client,
    ):
        client.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(sql), sql))
        assert eventually(
            lambda: metrics.registry.get_sample_value("spanledger_sql_queries_total", {"outcome": "gone"}) == 1
        )
        client.settimeout(60)
        received = bytearray()
        while part := client.recv(1 << 20):
            received += part
        assert not received.endswith(b"0\r\n\r\n")


def test_stopping_the_endpoint_stops_its_queries(store: Store) -> None:
    answers: list[httpx.Response] = []
    with serving(store) as (server, http, _):
        thread = threading.Thread(target=lambda: answers.append(http.post("/", content=ENDLESS)))
        thread.start()
        assert eventually(lambda: running(store) == 1)
        begun = time.monotonic()
        server.stop(0.2)
        assert time.monotonic() - begun < 30
        thread.join()
    assert code(answers[0]) == 394
    assert running(store) == 0


def test_many_clients_at_once_get_their_own_answers(store: Store) -> None:
    with serving(store, concurrency=4, max_waiting=100) as (_, http, _), ThreadPoolExecutor(12) as pool:

        def ask(number: int) -> tuple[int, str]:
            answer = http.post(
                f"/?session_id=s{number % 5}&param_n={number}", content="SELECT {n:UInt32}, count() FROM calls"
            )
            return number, answer.text

        for number, text in pool.map(ask, range(60)):
            assert text == f"{number}\t300\n"


def test_a_request_larger_than_its_bound_is_refused(store: Store) -> None:
    with serving(store, max_request_bytes=10_000) as (_, http, _):
        answer = http.post("/", content="SELECT 1 /*" + " " * 20_000 + "*/")
        assert (answer.status_code, code(answer)) == (413, 223)


def test_a_query_that_grows_in_rewriting_still_fits(store: Store) -> None:
    columns = ", ".join(f"'{n:0120}' = name" for n in range(1200))
    with serving(store) as (_, http, _):
        answer = http.post("/", content=f"SELECT {columns} FROM system.tables LIMIT 1 FORMAT JSONCompactEachRow")
        assert answer.status_code == 200, answer.text[:300]
        assert len(json.loads(answer.text)) == 1200


def test_a_client_that_sends_nothing_is_cut(store: Store) -> None:
    with (
        serving(store, request_timeout_s=0.3) as (server, _, _),
        socket.create_connection(("127.0.0.1", server.port)) as client,
    ):
        client.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nSEL")
        client.settimeout(60)
        assert client.recv(100).startswith(b"HTTP/1.1 408 ")


def test_handles_are_given_back(store: Store) -> None:
    with serving(store) as (_, http, _):
        for sql in (
            "SELECT 1",
            "SELECT file('x')",
            "SELEC",
            "SELECT number FROM numbers(2000000)",
            "SELECT throwIf(1)",
        ) * 2:
            http.post("/", content=sql)
    # The fixture closes the store after this module; a handle left open would keep its engine alive.
    assert running(store) == 0
