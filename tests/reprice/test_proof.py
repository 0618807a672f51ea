"""Every amount can be proved: price lines stand in the store, and quantity times rate adds up to the row."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from spanledger.reprice.explanation import explain_row
from spanledger.reprice.proof import Proofs
from spanledger_core.clock import ManualClock, SystemClock
from spanledger_core.errors import StoreUnavailable
from spanledger_core.facts import Usage
from spanledger_exporter.sql import query_text
from spanledger_exporter.store import Store
from spanledger_processor.pricing.book import PriceBook, load_book

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "price-vectors" / "vectors.jsonl"
DANGLING = (
    "SELECT count() FROM (SELECT arrayJoin(price_ids) AS id FROM calls)"
    " WHERE id NOT IN (SELECT price_id FROM price_lines)"
)


def rows(store: Store, name: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    answer = json.loads(store.query(query_text(name), parameters, fmt="JSON"), parse_float=Decimal)
    return list(answer["data"])


def explained(store: Store, book: PriceBook, trace: str, span: str) -> Any:
    (row,) = rows(store, "explain_call", {"trace": trace, "span": span})
    lines = rows(store, "explain_lines", {"ids": ",".join(row["price_ids"])}) if row["price_ids"] else []
    return explain_row(row, lines, book.same_rules(row["provider"], row["model"]))


def test_every_priced_vector_is_proved_to_the_last_picodollar(
    store: Store, booked: Any, book: PriceBook, make: ModuleType
) -> None:
    if not VECTORS.exists():
        pytest.skip(f"needs {VECTORS}")
    calls = [
        vector_call(make, number, json.loads(line)) for number, line in enumerate(VECTORS.read_text().splitlines(), 1)
    ]
    booked(*calls)
    assert store.query(DANGLING) == [(0,)]
    # the statement of `prices explain`, for all of them at once
    sql = query_text("explain_call").split("WHERE trace_id")[0]
    found = json.loads(store.query(sql, fmt="JSON"), parse_float=Decimal)["data"]
    assert len(found) == len(calls)
    ids = ",".join(sorted({price_id for row in found for price_id in row["price_ids"]}))
    lines = {line["price_id"]: line for line in rows(store, "explain_lines", {"ids": ids})}
    proved = 0
    for row in found:
        proof = explain_row(
            row, [lines[price_id] for price_id in row["price_ids"]], book.same_rules(row["provider"], row["model"])
        )
        assert proof.adds_up, row
        assert proof.cost is None or proof.proved == proof.cost
        proved += bool(proof.terms)
    assert proved > len(calls) // 2


def vector_call(make: ModuleType, number: int, vector: dict[str, Any]) -> Any:
    """A call that used what a price vector says, its disjoint buckets brought to totals."""
    from datetime import datetime

    usage = dict(vector["usage"])
    take = usage.pop
    cached, short, hourly = take("cache_read", 0), take("cache_write_5m", 0), take("cache_write_1h", 0)
    thought, said = take("reasoning", 0), take("output_audio", 0)
    cached_audio = usage.get("cache_read_audio", 0)
    heard = take("input_audio", 0) + cached_audio
    total = (
        take("input", 0) + cached + cached_audio + short + hourly + heard - cached_audio + usage.get("input_image", 0)
    )
    left = take("output", 0) + thought + said + usage.get("output_image", 0)
    made = Usage(
        total,
        left,
        cached + cached_audio,
        short,
        hourly,
        thought,
        heard,
        said,
        tuple(sorted(usage.items())),
        "inclusive",
    )
    end_us = int(datetime.fromisoformat(vector["timestamp"]).timestamp() * 1e6)
    context = tuple(sorted((key, str(value).lower()) for key, value in vector.get("context", {}).items()))
    return make.call(
        number, at_us=end_us, end_ns=end_us * 1000, provider=vector["provider"], request_model="",
        response_model=vector["model"], price_context=context, usage=made,
    )  # fmt: skip


def test_discounts_tiers_and_foreign_currencies_are_proved(store: Store, make: ModuleType, tmp_path: Path) -> None:
    """The row keeps its proof though the configured rate of the currency has changed since."""
    file = tmp_path / "contract.csv"
    file.write_text(
        "provider,model,bucket,unit_price,currency,tier_min,contract\n"
        "openai,gpt-4o*,input,2.33,EUR,0,\nopenai,gpt-4o*,input,4.66,EUR,100000,\nopenai,gpt-4o*,output,7.77,EUR,0,\n"
        "openai,*,*,x0.85,USD,0,acme\n"
    )
    books = [load_book([file], fx={"EUR": Decimal(rate)}) for rate in ("1.0817", "1.2")]
    for number, book in enumerate(books, 1):
        proofs = Proofs(store, SystemClock())
        calls = [
            make.call(2 * number, usage=Usage(1001, 333, convention="inclusive")),
            make.call(2 * number + 1, usage=Usage(150_001, 7, 50_000, convention="inclusive")),
        ]
        for call in calls:
            proofs.note(book, call, book.price(call))
        proofs.write()
        store.book([make.row(book, call) for call in calls], [], f"batch {number}")
    for span in range(2, 6):
        found = explained(store, books[0], f"{span:032x}", f"{span:016x}")
        assert found.adds_up
        assert found.cost == found.proved != 0
        assert "x 0.85" in found.terms[0].rate


def test_lines_are_written_once_and_the_first_use_is_kept(store: Store, book: PriceBook, make: ModuleType) -> None:
    early, late = ManualClock(make.START_US * 1000), ManualClock((make.START_US + make.HOUR_US) * 1000)
    for clock in (early, late, late):
        proofs = Proofs(store, clock)
        for _ in range(3):
            proofs.note(book, make.call(), book.price(make.call()))
            proofs.write()
    assert store.query("SELECT count(), uniqExact(price_id), min(first_used) = max(first_used) FROM price_lines") == [
        (2, 2, 1)
    ]


def test_what_could_not_be_written_stays_noted(store: Store, book: PriceBook, make: ModuleType) -> None:
    class Away:
        def __init__(self) -> None:
            self.is_away = True

        def lease(self) -> Any:
            if self.is_away:
                raise StoreUnavailable("away")
            return store.lease()

    away = Away()
    proofs = Proofs(away, SystemClock())
    proofs.note(book, make.call(), book.price(make.call()))
    with pytest.raises(StoreUnavailable):
        proofs.write()
    away.is_away = False
    proofs.write()
    assert store.query("SELECT count() FROM price_lines") == [(2,)]


def test_costs_on_the_span_are_held_against_the_book(store: Store, booked: Any, make: ModuleType) -> None:
    equal, above = make.Details(reported_cost=3_500_000_000), make.Details(reported_cost=5_000_000_000)
    booked(make.call(1, details=equal), make.call(2, details=above), make.call(3))
    assert store.query(
        "SELECT calls, calls_apart, toFloat64(computed_usd), toFloat64(gap_usd), toFloat64(largest_gap_usd)"
        " FROM reported_gap"
    ) == [(2, 1, 0.007, 0.0015, 0.0015)]
