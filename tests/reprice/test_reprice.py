"""History moves on purpose only: what reprice changes, what it leaves alone, and how it goes on after a crash."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rich.console import Console

from spanledger.config.load import load_config
from spanledger.reprice import pages
from spanledger.reprice.books import OwnBooks
from spanledger.reprice.command import run
from spanledger.reprice.run import Asked, Outcome, Reprice, Step
from spanledger_core.calls import CallKey
from spanledger_core.clock import SystemClock
from spanledger_core.facts import Usage
from spanledger_core.rows import row_version
from spanledger_exporter.outbox import Outbox
from spanledger_exporter.store import Store
from spanledger_processor.pricing.book import PriceBook

ALL = "SELECT * EXCEPT (version, price_book) FROM calls ORDER BY trace_id, span_id"
SUMS = "SELECT sum(cost_usd), sum(list_cost_usd), count() FROM calls"
HOURLY = "SELECT sum(cost_usd), sum(list_cost_usd), sum(calls) FROM hourly"
DANGLING = (
    "SELECT count() FROM (SELECT arrayJoin(price_ids) AS id FROM calls)"
    " WHERE id NOT IN (SELECT price_id FROM price_lines)"
)


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def reprice(store: Store, make: ModuleType) -> Callable[..., Outcome]:
    def run(book: PriceBook, *, dry: bool = False, tell: Callable[[Step], None] = lambda step: None) -> Outcome:
        asked = Asked(make.START_US - 3 * 24 * make.HOUR_US, make.START_US + 3 * 24 * make.HOUR_US, bool(dry))
        return Reprice(store, book, OwnBooks(store, lambda: None), SystemClock()).run(asked, tell)

    return run


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of 7 rows, noted after each."""
    whole = pages.pages
    monkeypatch.setattr("spanledger.reprice.run.pages.pages", lambda store, day: whole(store, day, 7))
    monkeypatch.setattr("spanledger.reprice.run._NOTE_EVERY_S", 0.0)


def calls(make: ModuleType, count: int = 40, agents: int = 1) -> list[Any]:
    """Over a midnight; every fourth of a model that the dearer book says nothing about."""
    return [
        make.call(
            number, at_us=make.START_US + number * make.HOUR_US // 2, agent=f"agent-{number % agents}",
            **({"request_model": "o3", "response_model": "o3"} if number % 4 == 0 else {}),
        )
        for number in range(1, count + 1)
    ]  # fmt: skip


def test_a_dry_run_tells_by_model_and_agent_and_changes_nothing(
    store: Store, booked: Any, reprice: Any, dear_book: PriceBook, make: ModuleType
) -> None:
    booked(*calls(make, agents=3))
    before = store.query(ALL)
    changes = reprice(dear_book, dry=True).changes
    assert store.query(ALL) == before
    assert store.query("SELECT count() FROM reprice_runs") == [(0,)]
    assert (changes.looked_at, changes.total.calls) == (40, 30)
    told = {(model, agent): (group.calls, group.old, group.new) for model, agent, group in changes.groups()}
    assert set(told) == {("gpt-4o-2024-08-06", f"agent-{number}") for number in range(3)}
    assert told["gpt-4o-2024-08-06", "agent-1"] == (10, 10 * 3_500_000_000, 10 * 9_500_000_000)


def test_only_calls_whose_amounts_change_are_written_and_the_rollups_follow(
    store: Store, booked: Any, reprice: Any, dear_book: PriceBook, make: ModuleType
) -> None:
    booked(*calls(make))
    assert reprice(dear_book).changes.total.calls == 30
    moved = "SELECT countIf(version >= 1 << 52), countIf(price_book = {book:String}) FROM calls"
    assert store.query(moved.replace("1 << 52", "bitShiftLeft(toUInt64(1), 52)"), {"book": dear_book.version}) == [
        (30, 30)
    ]
    assert store.query(SUMS) == store.query(HOURLY)
    assert store.query(DANGLING) == [(0,)]


def test_a_second_run_changes_nothing_and_the_first_book_brings_everything_back(
    store: Store, booked: Any, reprice: Any, *, book: PriceBook, dear_book: PriceBook, make: ModuleType
) -> None:
    booked(*calls(make))
    before = store.query(ALL)
    reprice(dear_book)
    after = store.query("SELECT * FROM calls ORDER BY trace_id")
    assert reprice(dear_book).changes.total.calls == 0
    assert store.query("SELECT * FROM calls ORDER BY trace_id") == after
    assert reprice(book).changes.total.calls == 30
    assert store.query(ALL) == before
    assert store.query(SUMS) == store.query(HOURLY)


def test_earlier_amounts_can_be_seen_until_they_are_merged_away(
    store: Store, booked: Any, reprice: Any, *, book: PriceBook, dear_book: PriceBook, make: ModuleType
) -> None:
    booked(make.call(1))
    reprice(dear_book)
    versions = "SELECT toFloat64(cost_usd), price_book, bitShiftRight(version, 52) FROM llm_costs ORDER BY version"
    assert store.query(versions) == [(0.0035, book.version, 0), (0.0095, dear_book.version, 1)]


def test_what_beside_the_model_changes_the_price_is_not_lost(
    store: Store, booked: Any, reprice: Any, make: ModuleType, tmp_path: Path
) -> None:
    """The context is no column of `calls`, and stands in the row all the same."""
    from spanledger_processor.pricing.book import load_book

    file = tmp_path / "batch.csv"
    file.write_text("provider,model,bucket,unit_price,variant\nopenai,gpt-4o*,input,1,batch=true\n")
    booked(
        make.call(1), make.call(2, price_context=(("batch", "true"),), details=make.Details(attributes=(("k", "v"),)))
    )
    assert reprice(load_book([file])).changes.total.calls == 1
    assert store.query("SELECT toFloat64(input_cost_usd), attributes FROM calls ORDER BY trace_id") == [
        (0.0025, {}), (0.001, {"k": "v"})
    ]  # fmt: skip


class FragileBooks(OwnBooks):
    """Ends the process the n-th time it comes to a place."""

    def __init__(self, store: Store, place: str, times: int) -> None:
        super().__init__(store, lambda: None)
        self._left = times
        whole = getattr(self, place)

        def fragile(*arguments: Any) -> None:
            self._left -= 1
            if not self._left:
                raise Killed
            whole(*arguments)

        setattr(self, place, fragile)


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize(("place", "times"), [("book", 2), ("rebuild", 1), ("settle", 2), ("settle", 4)])
def test_a_run_that_was_killed_is_taken_up_and_ends_as_one_that_was_not(
    store: Store, booked: Any, reprice: Any, *, dear_book: PriceBook, make: ModuleType, place: str, times: int
) -> None:
    rows = booked(*calls(make, 24))
    asked = Asked(make.START_US, make.START_US + 48 * make.HOUR_US, dry=False)
    with pytest.raises(Killed):
        Reprice(store, dear_book, FragileBooks(store, place, times), SystemClock()).run(asked, lambda step: None)
    done_before = store.query("SELECT count() FROM calls WHERE price_book = {book:String}", {"book": dear_book.version})
    outcome = reprice(dear_book)
    assert outcome.changes.total.calls == 18 - done_before[0][0]
    assert store.query(SUMS) == store.query(HOURLY)
    found = store.query(
        "SELECT trace_id, version FROM calls WHERE price_book = {book:String}", {"book": dear_book.version}
    )
    gpt = {row[make.AT["trace_id"]] for row in rows if row[make.AT["request_model"]] == "gpt-4o"}
    assert set(found) == {(trace_id, row_version(make.START_US, 1)) for trace_id in gpt}


@pytest.mark.usefixtures("small_pages")
def test_a_run_goes_on_where_it_was_noted(
    store: Store, booked: Any, reprice: Any, *, dear_book: PriceBook, make: ModuleType
) -> None:
    booked(*calls(make, 24))
    steps: list[Step] = []

    def kill(step: Step) -> None:
        steps.append(step)
        if len(steps) == 3:
            raise Killed

    with pytest.raises(Killed):
        reprice(dear_book, tell=kill)
    outcome = reprice(dear_book)
    assert outcome.resumed_us is not None
    assert outcome.changes.looked_at == 24 - steps[1].done
    assert reprice(dear_book).resumed_us is None


@pytest.mark.usefixtures("small_pages")
def test_another_book_in_between_makes_an_unfinished_run_begin_again(
    store: Store, booked: Any, reprice: Any, *, book: PriceBook, dear_book: PriceBook, make: ModuleType
) -> None:
    booked(*calls(make, 24))
    steps: list[Step] = []

    def kill(step: Step) -> None:
        steps.append(step)
        if len(steps) == 3:
            raise Killed

    with pytest.raises(Killed):
        reprice(dear_book, tell=kill)
    reprice(book)
    outcome = reprice(dear_book)
    assert (outcome.resumed_us, outcome.changes.total.calls) == (None, 18)


def test_pages_cover_a_day_and_hold_what_was_asked(store: Store, booked: Any, make: ModuleType) -> None:
    booked(*[make.call(number, at_us=make.START_US + number * 1_500_000) for number in range(1, 101)])
    (day,) = pages.days(store, 0, make.START_US * 2)
    found = list(pages.pages(store, day, 13))
    assert sum(page.rows for page in found) == 100
    assert all(page.rows <= 13 for page in found)
    assert found[0].first_us == day.first_us
    assert found[-1].last_us == day.last_us
    assert all(one.last_us == two.first_us for one, two in pairwise(found))
    with store.lease() as client:
        rows = [row for page in found for row in pages.rows_of(client, page)]
    assert [row[0] for row in rows] == [make.START_US + number * 1_500_000 for number in range(1, 101)]


def test_withdrawn_rows_and_older_versions_stay_what_they_are(
    store: Store, booked: Any, reprice: Any, dear_book: PriceBook, make: ModuleType
) -> None:
    """A call moved to another agent: the old key is a tombstone, which reprice must not raise."""
    wrong, right = make.call(1, agent="shop"), make.call(1, agent="planner")
    booked(wrong)
    key: CallKey = wrong.key
    booked(right, tombstones=[(key, row_version(make.START_US + 2))], booked_us=make.START_US + 1)
    reprice(dear_book)
    assert store.query("SELECT agent_id, toFloat64(cost_usd) FROM calls") == [("planner", 0.0095)]


def test_calls_that_another_collector_may_still_correct_are_left_alone_and_counted(
    store: Store, booked: Any, dear_book: PriceBook, make: ModuleType
) -> None:
    booked(make.call(1))
    books = OwnBooks(store, lambda: None)
    books.leaves_provisional = True
    with store.lease() as client:
        client.command(
            "ALTER TABLE llm_costs UPDATE settles_at = now64(3) + 600 WHERE 1", settings={"mutations_sync": 2}
        )
    asked = Asked(make.START_US - make.HOUR_US, make.START_US + make.HOUR_US, dry=False)
    changes = Reprice(store, dear_book, books, SystemClock()).run(asked, lambda step: None).changes
    assert (changes.provisional, changes.total.calls) == (1, 0)
    assert store.query("SELECT toFloat64(cost_usd) FROM calls") == [(0.0035,)]


def test_unknown_amounts_are_counted_not_summed(
    store: Store, booked: Any, reprice: Any, make: ModuleType, tmp_path: Path
) -> None:
    from spanledger_processor.pricing.book import load_book

    booked(
        make.call(1, request_model="house-1", response_model="house-1", usage=Usage(1000, 0, convention="inclusive"))
    )
    assert store.query("SELECT provider, model, calls, tokens FROM unpriced_models") == [("openai", "house-1", 1, 1000)]
    assert store.query("SELECT calls, priced_calls, toFloat64(calls_percent) FROM price_coverage") == [(1, 0, 0.0)]
    file = tmp_path / "house.csv"
    file.write_text("provider,model,bucket,unit_price\nopenai,house-1,input,4\n")
    total = reprice(load_book([file])).changes.total
    assert (total.old, total.old_unknown, total.new, total.new_unknown) == (0, 1, 4_000_000_000, 0)
    assert store.query("SELECT count() FROM unpriced_models") == [(0,)]
    assert store.query("SELECT priced_calls, toFloat64(at_least_usd) FROM price_coverage") == [(1, 0.004)]


def test_a_batch_that_an_ended_collector_left_does_not_come_with_old_prices_afterwards(
    store: Store, make: ModuleType, book: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = tmp_path / "outbox"
    Outbox(outbox).fix(1, store.prepare([make.row(book, make.call(1))], [], "a1b2"))
    monkeypatch.setattr("spanledger.reprice.command.open_configured", lambda config: nullcontext(store))
    config = load_config(None, {"SPANLEDGER_DATA_DIR": str(tmp_path)}, None)
    for dry in (True, False):
        asked = Asked(make.START_US, make.START_US + make.HOUR_US, dry)
        run(config, asked, [], SystemClock(), Console(quiet=True))
        assert (Outbox(outbox).left() is not None) == dry
