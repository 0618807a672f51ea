"""What corrections must know after amounts have moved: whose amounts to keep, and in which generation."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from prometheus_client import CollectorRegistry

from spanledger.booking import Ledger
from spanledger.prices_in_force import PricesInForce
from spanledger.reconcile import Memory, Reconciler, keep_amounts
from spanledger_core.calls import CallKey, Change
from spanledger_core.clock import ManualClock
from spanledger_core.metrics import Metrics
from spanledger_core.rows import row_version
from spanledger_exporter.lookup import Booked, Found
from spanledger_processor.pricing.book import PriceBook

MINUTE_US = 60_000_000


class Store(NamedTuple):
    """What is booked, and what was asked for."""

    booked: list[Booked]
    asked: list[set[tuple[bytes, bytes]]]

    def find(
        self, spans: Collection[tuple[bytes, bytes]], response_ids: Collection[str] = (), window_us: Any = None
    ) -> Found:
        self.asked.append(set(spans))
        by_span: dict[Any, list[Booked]] = {}
        for each in self.booked:
            by_span.setdefault((each.key.trace_id, each.key.span_id), []).append(each)
        return Found({span: by_span[span] for span in spans if span in by_span}, {})


@pytest.fixture
def moved_ns(make: ModuleType) -> int:
    """Amounts moved five minutes after START."""
    return (make.START_US + 5 * MINUTE_US) * 1000


def put(call: Any) -> Change:
    return Change("put", call.key, call)


def test_a_correction_keeps_amounts_and_generation_and_its_withdrawal_reaches_as_high(
    make: ModuleType, dear_book: PriceBook, moved_ns: int
) -> None:
    wrong, right = make.call(1, agent="shop"), make.call(1, agent="planner")
    row = make.row(dear_book, wrong, generation=3)
    store = Store([Booked(wrong.key, row[make.AT["version"]], row)], [])
    reconciler = Reconciler(store.find, Memory(0, 0), lambda: moved_ns)
    settled = reconciler.settle([Change("delete", wrong.key, None), put(right)])
    assert [before for _, before in settled] == [row, row]


def test_only_calls_that_began_before_amounts_moved_ask_the_store(make: ModuleType, moved_ns: int) -> None:
    store = Store([], [])
    reconciler = Reconciler(store.find, Memory(0, 0), lambda: moved_ns)
    old, new = make.call(1), make.call(2, at_us=make.START_US + 7 * MINUTE_US)
    assert reconciler.settle([put(new)]) == [(put(new), None)]
    assert store.asked == []
    key: CallKey = make.call(3).key
    assert len(reconciler.settle([put(old), put(new), Change("delete", key, None)])) == 3
    assert store.asked == [{(old.trace_id, old.span_id), (key.trace_id, key.span_id)}]
    reconciler.settle([Change("delete", key, None)])
    assert store.asked[1:] == [{(key.trace_id, key.span_id)}]


def test_a_row_that_was_repriced_still_counts_as_booked_by_the_process_that_booked_it(
    make: ModuleType, book: PriceBook, moved_ns: int
) -> None:
    """Its generation makes its version large; the time of its booking is what counts."""
    call = make.call(1)
    row = make.row(book, call, generation=1)
    store = Store([Booked(call.key, row[make.AT["version"]], row)], [])
    restarted = Memory(moved_ns, make.START_US + 1)
    again = Reconciler(store.find, restarted, lambda: 0).settle([put(call)])
    assert again == []


def test_amounts_are_kept_unless_what_made_them_was_corrected(
    make: ModuleType, book: PriceBook, dear_book: PriceBook
) -> None:
    before = make.row(dear_book, make.call(1))
    fresh = make.row(book, make.call(1, agent="other"))
    kept = keep_amounts(fresh, before)
    assert kept[make.AT["cost_usd"]] == before[make.AT["cost_usd"]] != fresh[make.AT["cost_usd"]]
    assert kept[make.AT["agent_id"]] == "other"
    corrected = make.row(book, make.call(1, price_context=(("batch", "true"),)))
    assert keep_amounts(corrected, before) == corrected


def test_the_first_book_of_a_data_directory_moves_nothing_but_reprice_does(tmp_path: Path) -> None:
    clock = ManualClock()
    path = tmp_path / "price-book.json"
    in_force = PricesInForce(path, 3600.0, clock)
    in_force.use("one")
    assert in_force.moved_ns() == 0
    in_force.history_moved()
    moved_ns = clock.now_ns() // 1_000_000 * 1_000_000
    assert in_force.moved_ns() == moved_ns
    clock.advance(60.0)
    restarted = PricesInForce(path, 3600.0, clock)
    restarted.use("one")
    assert restarted.moved_ns() == moved_ns
    clock.advance(3600.0)
    assert restarted.moved_ns() == 0


def test_a_reprice_before_the_first_collector_of_a_data_directory_is_remembered(tmp_path: Path) -> None:
    clock = ManualClock()
    PricesInForce(tmp_path / "price-book.json", 3600.0, clock).history_moved()
    first = PricesInForce(tmp_path / "price-book.json", 3600.0, clock)
    first.use("one")
    assert first.moved_ns() > 0


class Assembled(NamedTuple):
    """Assembly that has decided already."""

    changes: list[Change]

    def add(self, facts: Any, now_s: float) -> list[Change]:
        return self.changes


def test_costs_on_spans_are_counted_by_where_the_book_is(make: ModuleType, book: PriceBook) -> None:
    reported = [3_500_000_000, 3_500_900_000, 2_000_000_000, 9_000_000_000, None]
    calls = [make.call(n, details=make.Details(reported_cost=cost)) for n, cost in enumerate(reported, 1)]
    metrics = Metrics(CollectorRegistry())
    Ledger(Assembled(list(map(put, calls))), book, ManualClock(), metrics, horizon_s=60.0).book([])

    def count(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"spanledger_{name}_total", labels)

    assert [count("reported_costs", book=side) for side in ("equal", "above", "below")] == [2, 1, 1]
    assert count("reported_dollars") == pytest.approx(0.0180009)
    assert count("computed_dollars") == pytest.approx(0.014)


def test_what_a_book_priced_it_proves_though_another_comes_in_the_middle(
    make: ModuleType, book: PriceBook, dear_book: PriceBook
) -> None:
    """A reload puts the new book in its place from another thread, at any moment."""
    asked: list[Any] = []

    class Reloaded(NamedTuple):
        def price(self, call: Any) -> Any:
            ledger.prices = dear_book
            return book.price(call)

    class Noting(NamedTuple):
        def note(self, prices: Any, call: Any, priced: Any) -> None:
            asked.append(prices)

    old = Reloaded()
    ledger = Ledger(
        Assembled([put(make.call(1))]),
        old,  # type: ignore[arg-type]  # of a book it has the prices only
        ManualClock(),
        Metrics(CollectorRegistry()),
        horizon_s=60.0,
        prove=Noting(),
    )
    ledger.book([])
    assert len(asked) == 1
    assert asked[0] is old


def test_versions_of_a_generation_outrank_all_below(make: ModuleType) -> None:
    assert row_version(make.START_US, 1) > row_version(make.START_US * 2, 0)
