"""What comes back over HTTP that is not the answer: the real engine behind a door that can be told to say anything."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from bench.faults.doors import DoorProcess
from bench.faults.lines import BadLine, Trouble
from spanledger_core.clock import SystemClock
from spanledger_core.errors import StoreError, StoreRefused, StoreUnavailable
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import Store, open_store
from spanledger_exporter.writer import BatchWriter, WriterSettings

Row = Callable[..., Any]
CLOCK = SystemClock()
INSERT = "INSERT INTO llm_costs"
KEPT = {"retention_days": 20_000, "rollup_retention_days": 20_000}
PASSING = [
    pytest.param(
        ({"status": 500, "code": 252, "text": "Too many parts (3001)"}, "flush_interval"), id="too many parts"
    ),
    pytest.param(
        ({"status": 500, "code": 243, "text": "Cannot reserve 1 MiB"}, "disk of the store is full"), id="space"
    ),
    pytest.param(({"status": 403, "code": 164, "text": "Cannot execute in readonly"}, "INSERT"), id="readonly"),
    pytest.param(({"status": 403, "code": 516, "text": "Authentication failed"}, "password"), id="password"),
    pytest.param(({"status": 404, "code": 60, "text": "Unknown table"}, "migrate"), id="no table"),
    pytest.param(({"status": 500, "code": 241, "text": "Memory limit (total) exceeded"}, "flush_rows"), id="memory"),
    pytest.param(({"status": 503}, "503"), id="503 of a proxy"),
    pytest.param(({"status": 502}, "502"), id="502 of a proxy"),
    pytest.param(({"status": 413}, "413"), id="too large for a proxy"),
    pytest.param(({"status": 401}, "401"), id="a login page"),
    pytest.param(({"status": 200, "page": True}, "not ClickHouse's"), id="200 of a proxy"),
    pytest.param(({"status": 302}, "not ClickHouse's"), id="sent elsewhere"),
    pytest.param(({"status": 200, "delay_s": 5}, "timed out"), id="too slow"),
    pytest.param(({"status": 500, "code": 252, "after": True}, "252"), id="carried out all the same"),
]


@pytest.fixture(scope="module")
def door() -> Iterator[DoorProcess]:
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # a slow disk is not what is tested here
    with TemporaryDirectory(dir=memory) as folder, DoorProcess(Path(folder), "tester", "secret") as door:
        yield door


@pytest.fixture
def address(door: DoorProcess, request: pytest.FixtureRequest) -> Iterator[StoreAddress]:
    door.heal()
    yield StoreAddress.parse(door.dsn(f"of_{abs(hash(request.node.nodeid)):x}"), Path())
    door.heal()


@pytest.fixture
def store(address: StoreAddress) -> Iterator[Store]:
    with open_store(address, StoreSettings(**KEPT), CLOCK) as store:  # type: ignore[arg-type]
        store.migrate()
        yield store


class Writing:
    """A writer that waits three seconds for an answer."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.flushed: list[int] = []
        self.dead_letters = folder / "dead"
        settings = WriterSettings(self.dead_letters, flush_rows=100, flush_interval_s=0.05)
        self.writer = BatchWriter(store, settings, CLOCK, on_flushed=self.flushed.append)
        self.writer.start()


@pytest.fixture
def writing(address: StoreAddress, store: Store, door: DoorProcess, tmp_path: Path) -> Iterator[Writing]:
    settings = StoreSettings(**KEPT, query_timeout_s=3, connect_timeout_s=3)  # type: ignore[arg-type]
    with open_store(address, settings, CLOCK) as impatient:
        writing = Writing(impatient, tmp_path)
        yield writing
        door.heal()
        writing.writer.close()


def calls(store: Store) -> list[tuple[Any, ...]]:
    return store.query("SELECT toUInt64(span_id), toString(cost_usd) FROM calls ORDER BY 1")


@pytest.mark.parametrize("fault", PASSING)
def test_a_batch_waits_until_the_store_takes_it_again_and_stands_there_once(
    door: DoorProcess, store: Store, writing: Writing, row: Row, fault: tuple[dict[str, Any], str]
) -> None:
    """Longer than refusals are doubted, and without a restart."""
    answer, said = fault
    writer = writing.writer
    writer.submit([row(1)], [], 1)
    assert writer.write_out(20)
    door.fail(when=INSERT, **answer)
    writer.submit([row(2, cost_usd=1)], [], 2)
    # what ClickHouse says with its code is known to pass; anything else must outlast what would be a refusal
    deadline_s = CLOCK.monotonic_s() + 60
    while door.met < (2 if "code" in answer else 4) and CLOCK.monotonic_s() < deadline_s:
        threading.Event().wait(0.02)
    while said not in writer.trouble and CLOCK.monotonic_s() < deadline_s:
        threading.Event().wait(0.02)
    assert said in writer.trouble
    assert "secret" not in writer.trouble
    assert writing.flushed == [1]
    door.heal()
    assert writer.write_out(60)
    assert writing.flushed == [1, 2]
    assert writer.trouble == ""
    assert not writing.dead_letters.exists()
    assert calls(store) == [(1, "0.00325"), (2, "0.000000000001")]


def test_what_clickhouse_itself_refuses_is_final(door: DoorProcess, store: Store, row: Row) -> None:
    door.fail(when=INSERT, status=500, code=469, text="Constraint `no_such_agent` is violated")
    with pytest.raises(StoreRefused, match="no_such_agent") as caught:
        store.book([row(1)], [], "1")
    assert caught.value.code == 469


@pytest.mark.parametrize("page", ["<html>all is well</html>", " "])
def test_a_page_of_somebody_else_is_no_result(door: DoorProcess, store: Store, row: Row, page: str) -> None:
    store.book([row(1)], [], "1")
    span = ((1).to_bytes(16, "big"), (1).to_bytes(8, "big"))
    door.fail(status=200, page=True, text=page)
    for ask in (lambda: store.find_booked([span]), lambda: store.rebuild_rollups([0]), store.ping):
        with pytest.raises(StoreUnavailable, match="is not ClickHouse's"):
            ask()
    door.heal()
    assert span in store.find_booked([span]).by_span


def test_a_wrong_password_is_told_and_waits_for_a_right_one(address: StoreAddress) -> None:
    with open_store(replace(address, password="wrong-one"), StoreSettings(), CLOCK) as store:
        with pytest.raises(StoreUnavailable, match="user or password of the store address is wrong") as caught:
            store.migrate()
        assert caught.value.code == 516
        assert "wrong-one" not in str(caught.value)


def test_rows_travel_with_a_checksum(door: DoorProcess, store: Store, row: Row) -> None:
    before = door.encodings.get("zstd", 0)
    store.book([row(1)], [], "1")
    assert door.encodings["zstd"] > before


BOOKED = "SELECT reinterpretAsUInt64(reverse(unhex(span_id))), toUInt64(cost_usd * 1000000000000) FROM calls ORDER BY 1"


@pytest.fixture
def line(door: DoorProcess) -> Iterator[BadLine]:
    with BadLine(door.port, 7) as line:
        yield line


@pytest.fixture
def far(address: StoreAddress, store: Store, line: BadLine) -> Iterator[Store]:
    """The same store, over a line that can be made bad."""
    settings = StoreSettings(**KEPT, query_timeout_s=3, connect_timeout_s=3)  # type: ignore[arg-type]
    with open_store(replace(address, port=line.port), settings, CLOCK) as far:
        yield far


def test_no_parameter_of_a_query_stands_in_its_error(line: BadLine, far: Store) -> None:
    """Whom `forget` erases must not stay in the log."""
    whom = {"user": "erika@example.org"}
    assert until_done(lambda: far.query("SELECT {user:String}", whom)) == [("erika@example.org",)]
    line.trouble(Trouble(refuses=True))
    with pytest.raises(StoreUnavailable, match="cannot be reached") as caught:
        far.query("SELECT {user:String}", whom)
    assert "erika" not in str(caught.value)


@pytest.mark.parametrize("trouble", [Trouble(corrupts=0.2), Trouble(cuts=0.2)], ids=["corrupted", "cut"])
def test_over_a_bad_line_no_row_is_another_and_none_counts_twice(
    line: BadLine, far: Store, store: Store, row: Row, trouble: Trouble
) -> None:
    line.trouble(trouble)
    for batch in range(12):
        rows = [row(number, cost_usd=number) for number in range(batch * 50 + 1, batch * 50 + 51)]
        until_done(lambda rows=rows, token=str(batch): far.book(rows, [], token))  # type: ignore[misc]
    assert line.done
    assert store.query(BOOKED) == [(number, number) for number in range(1, 601)]
    # a batch whose answer was lost is written again; what stands twice until then is one row after a merge
    with store.lease() as client:
        client.command("OPTIMIZE TABLE llm_costs FINAL")
    assert store.query("SELECT count() FROM llm_costs") == [(600,)]


def test_an_answer_that_was_cut_is_never_taken_for_an_empty_one(
    line: BadLine, far: Store, store: Store, row: Row
) -> None:
    """Nothing found would mean: not booked yet, book it again."""
    store.book([row(number) for number in range(1, 51)], [], "1")
    spans = [(number.to_bytes(16, "big"), number.to_bytes(8, "big")) for number in range(1, 51)]
    line.trouble(Trouble(cuts=0.1))
    for _ in range(15):
        found = until_done(lambda: far.find_booked(spans))
        assert len(found.by_span) == 50
    assert line.done["cut"] > 3


def test_headers_that_end_in_the_middle_are_no_answer(address: StoreAddress, row: Row) -> None:
    """The HTTP library takes them for all headers, and the body that never comes for an empty one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        half = b"HTTP/1.1 200 OK\r\nX-ClickHouse-Query-Id: 1\r\nContent-Le"
        threading.Thread(target=_say, args=(listener, half), daemon=True).start()
        there = replace(address, port=listener.getsockname()[1])
        with open_store(there, StoreSettings(query_timeout_s=2), CLOCK) as store, pytest.raises(StoreUnavailable) as no:
            store.ping()
        assert "was cut" in str(no.value)


def _say(listener: socket.socket, answer: bytes) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(1 << 16)
            connection.sendall(answer)


def until_done(work: Callable[[], Any]) -> Any:
    for _ in range(200):
        try:
            return work()
        except StoreError:
            continue
    raise AssertionError("not in 200 tries")
