"""What every spool promises, held against each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest

from spanledger.spool.codec import encode_batch
from spanledger.spool.disk import DiskSpool, SpoolSettings
from spanledger.spool.memory import MemorySpool
from spanledger_core.clock import SystemClock
from spanledger_core.errors import Busy
from spanledger_core.facts import NOBODY, About, Fact, FactBatch, Resource, SpanClass

RESOURCE = Resource("p", "svc", "", NOBODY)
ABOUT = About(
    span_class=SpanClass.OTHER,
    resource=RESOURCE,
    scope_name="scope",
    scope_version="",
    dialect="",
    reporter="scope",
    rank=1,
    level=1,
    helper=False,
    operation="",
    provider="",
    request_model="",
    response_model="",
    model_key="",
    agent_name=None,
    agent_placeholder=None,
    agent_path=None,
    agent_rule=False,
    is_error=False,
    error_type="",
    refused=False,
    is_streaming=None,
    finish_reason="",
    service_tier="",
    price_context=(),
)


def batch(first: int, size: int) -> FactBatch:
    facts = [
        Fact(bytes(16), number.to_bytes(8, "big"), b"", 0, 0, ABOUT, NOBODY, None, None)
        for number in range(first, first + size)
    ]
    return FactBatch(tuple(facts))


AnySpool = MemorySpool | DiskSpool


@pytest.fixture(params=["memory", "disk", "disk, read back"])
def make_spool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[int], AnySpool]]:
    """A spool that holds about so many facts."""
    opened: list[AnySpool] = []

    def make(max_facts: int) -> AnySpool:
        if request.param == "memory":
            opened.append(MemorySpool(max_facts=max_facts))
        else:
            hot = 1_000_000 if request.param == "disk" else 0
            settings = SpoolSettings(max_bytes=len(encode_batch(batch(0, max_facts))), memory_facts=hot)
            opened.append(DiskSpool(tmp_path / "spool", settings, SystemClock()))
        return opened[-1]

    yield make
    for spool in opened:
        if isinstance(spool, DiskSpool):
            spool.release()
        spool.close()


def test_records_come_out_once_in_the_order_of_their_commits(make_spool: Callable[[int], AnySpool]) -> None:
    spool = make_spool(100)
    sequences = [spool.append(batch(number, 1)) for number in range(5)]
    read = [*spool.read(3, 0), *spool.read(3, 0), *spool.read(3, 0)]
    assert [record.sequence for record in read] == sequences == sorted(sequences)
    assert [record.batch for record in read] == [batch(number, 1) for number in range(5)]


def test_a_full_spool_refuses_with_a_delay_and_takes_again_after_confirmation(
    make_spool: Callable[[int], AnySpool],
) -> None:
    spool = make_spool(10)
    sequence = spool.append(batch(0, 10))
    with pytest.raises(Busy, match=r"spool\.max_") as refused:
        spool.append(batch(10, 1))
    assert refused.value.retry_after_s > 0
    spool.read(10, 0)
    with pytest.raises(Busy):
        spool.append(batch(10, 1))
    spool.confirm(sequence)
    assert spool.append(batch(10, 1)) > sequence


def test_a_batch_larger_than_the_spool_is_taken_when_it_is_empty(make_spool: Callable[[int], AnySpool]) -> None:
    spool = make_spool(10)
    assert spool.append(batch(0, 50)) == 1


def test_a_closed_spool_refuses_and_still_hands_out_what_it_took(make_spool: Callable[[int], AnySpool]) -> None:
    spool = make_spool(10)
    spool.append(batch(0, 1))
    spool.close()
    with pytest.raises(Busy):
        spool.append(batch(1, 1))
    assert not spool.drained
    assert len(spool.read(10, 0)) == 1
    assert spool.drained


def test_a_reader_wakes_when_something_arrives(make_spool: Callable[[int], AnySpool]) -> None:
    spool = make_spool(10)
    got: list[int] = []
    reader = Thread(target=lambda: got.extend(record.sequence for record in spool.read(1, 5.0)))
    reader.start()
    spool.append(batch(0, 1))
    reader.join(5)
    assert got == [1]


def test_many_writers_lose_nothing(make_spool: Callable[[int], AnySpool]) -> None:
    spool = make_spool(10_000)

    def write(start: int) -> None:
        for number in range(100):
            spool.append(batch(start + number, 1))

    writers = [Thread(target=write, args=(1000 * index,)) for index in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    records = spool.read(10_000, 0)
    assert [record.sequence for record in records] == list(range(1, 401))
    assert len({record.batch.facts[0].span_id for record in records}) == 400
