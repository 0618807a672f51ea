"""Erasure reaches every version, tombstone, rollup, file and spooled fact of a person, and nothing of anybody else."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from spanledger.config.load import load_config
from spanledger.forget import Eraser, Proof, StoredRows, person_of, run
from spanledger.forget_files import RefusedRows, SpoolFacts
from spanledger.forgotten import Forgotten, Person
from spanledger.reprice.books import OwnBooks
from spanledger.spool.disk import DiskSpool, SpoolSettings
from spanledger_core.clock import ManualClock, SystemClock
from spanledger_core.facts import NOBODY, Fact, FactBatch, Who
from spanledger_core.rows import row_version
from spanledger_exporter.dead_letters import DeadLetter, DeadLetters
from spanledger_exporter.outbox import Outbox
from spanledger_exporter.store import Store

ALICE = Person("user_id", ["alice"])
ACME = Person("customer_id", ["acme"])
PHYSICAL = "SELECT trace_id, agent_id, is_deleted FROM llm_costs ORDER BY ALL"


@pytest.fixture
def forget(store: Store, tmp_path: Path) -> Callable[..., Proof]:
    config = load_config(None, {"SPANLEDGER_DATA_DIR": str(tmp_path)}, None)

    def run(person: Person) -> Proof:
        eraser = Eraser(config, store, OwnBooks(store, lambda: None), SystemClock())
        return eraser.run(person, False, lambda person, until_ns: None)

    return run


def who(make: ModuleType, user: str = "", customer: str = "", tenant: str = "") -> Any:
    return make.Who(user_id=user or None, customer_id=customer or None, tenant_id=tenant or None)


def ids(*numbers: int) -> list[str]:
    return [f"{number:032x}" for number in numbers]


def test_every_version_and_tombstone_of_a_person_goes_and_nobody_elses(
    store: Store, booked: Any, forget: Any, make: ModuleType
) -> None:
    alice, bob = who(make, "alice"), who(make, "bob")
    outer = (7).to_bytes(16, "big"), (8).to_bytes(8, "big")
    first = make.call(1, agent="shop", who=alice)
    later = make.call(1, agent="planner", who=alice, absorbed=(outer,))
    suppressed = make.call(7, agent="shop", span_id=outer[1])
    booked(first, suppressed, make.call(2, who=bob))
    graves = [(first.key, row_version(make.START_US + 5)), (suppressed.key, row_version(make.START_US + 5))]
    booked(later, tombstones=graves, booked_us=make.START_US + 5)
    assert len(store.query(PHYSICAL)) == 6
    proof = forget(ALICE)
    assert (proof.found["llm_costs"], proof.found["tombstones"]) == (2, 2)
    assert not any(proof.left.values())
    assert store.query(PHYSICAL) == [(*ids(2), "planner", 0)]
    assert store.query("SELECT sum(calls), toFloat64(sum(cost_usd)) FROM hourly") == [(1, 0.0035)]


def test_a_call_that_turned_out_to_be_somebody_elses_stays(
    store: Store, booked: Any, forget: Any, make: ModuleType
) -> None:
    booked(make.call(1, who=who(make, "alice")))
    booked(make.call(1, who=who(make, "bob")), booked_us=make.START_US + 5)
    forget(ALICE)
    assert store.query("SELECT user_id FROM llm_costs") == [("bob",)]
    assert store.query("SELECT user_id FROM calls") == [("bob",)]


def test_a_call_that_turned_out_to_be_theirs_leaves_no_older_version_behind(
    store: Store, booked: Any, forget: Any, make: ModuleType
) -> None:
    booked(make.call(1, who=who(make, "bob")))
    booked(make.call(1, who=who(make, "alice")), booked_us=make.START_US + 5)
    forget(ALICE)
    assert store.query("SELECT count() FROM llm_costs") == [(0,)]


def test_customers_leave_their_rollup_and_budgets_and_the_sums_follow(
    store: Store, booked: Any, forget: Any, make: ModuleType
) -> None:
    days = range(0, 72, 24)
    calls = [
        make.call(10 * day + number, at_us=make.START_US + day * make.HOUR_US, who=who(make, "u", customer))
        for day in days
        for number, customer in enumerate(("acme", "other"), 1)
    ]
    booked(*calls)
    with store.lease() as client:
        budget = [["", "customer", name, "day", 5, 1] for name in ("acme", "other")]
        columns = ["tenant_id", "scope", "name", "period", "amount_usd", "version"]
        client.insert("llm_budgets", budget, column_names=columns)
    proof = forget(ACME)
    assert (proof.found["llm_costs"], proof.found["llm_costs_hourly_customer"], proof.found["llm_budgets"]) == (3, 3, 1)
    assert not any(proof.left.values())
    assert store.query("SELECT DISTINCT customer_id FROM llm_costs_hourly_customer") == [("other",)]
    assert store.query("SELECT name FROM budgets") == [("other",)]
    for view in ("hourly", "hourly_customer"):
        assert store.query(f"SELECT sum(calls), toFloat64(sum(cost_usd)) FROM {view}") == [(3, 0.0105)]


def test_a_tenant_is_kept_to(store: Store, booked: Any, forget: Any, make: ModuleType) -> None:
    booked(*[make.call(number, who=who(make, "alice", "", tenant)) for number, tenant in enumerate(("eu", "us"), 1)])
    forget(ALICE._replace(tenants=["eu"]))
    assert store.query("SELECT tenant_id FROM llm_costs") == [("us",)]


def test_calls_since_then_keep_their_rows_and_count_as_nothing_left(
    store: Store, booked: Any, make: ModuleType
) -> None:
    """In the same hour: the rollup row of that hour is theirs, and rightly so."""
    until_us = make.START_US + 60_000_000
    booked(make.call(1, who=who(make, "u", "acme")))
    booked(make.call(2, at_us=until_us + 1, who=who(make, "u", "acme")), booked_us=until_us + 2_000_000)
    rows = StoredRows(store, ACME, until_us, SystemClock())
    rows.erase(OwnBooks(store, lambda: None))
    assert not any(rows.count().values())
    assert store.query("SELECT trace_id FROM calls") == [tuple(ids(2))]
    assert store.query("SELECT sum(calls), toFloat64(sum(cost_usd)) FROM hourly_customer") == [(1, 0.0035)]


@pytest.mark.parametrize("place", ["rebuild", "settle"])
def test_an_erasure_that_was_killed_is_finished_by_the_next_one_whomever_it_is_of(
    store: Store, booked: Any, forget: Any, make: ModuleType, place: str
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: Any) -> None:
        raise Killed

    booked(make.call(1, who=who(make, "alice")), make.call(2, who=who(make, "bob")))
    books = OwnBooks(store, lambda: None)
    calls: list[None] = []

    def second(*arguments: Any) -> None:
        calls.append(None)
        if len(calls) == 2:  # the first is for what an earlier run left behind
            raise Killed

    setattr(books, place, second)
    with pytest.raises(Killed):
        StoredRows(store, ALICE, make.START_US * 2, SystemClock()).erase(books)
    assert store.query("SELECT sum(calls) FROM hourly") == [(2,)]
    forget(Person("user_id", ["nobody at all"]))
    assert store.query("SELECT sum(calls) FROM hourly") == [(1,)]
    assert store.query("SELECT count() FROM forgetting") == [(0,)]


def test_the_engine_keeps_no_statement_and_no_setting_of_it(
    store: Store, booked: Any, forget: Any, make: ModuleType
) -> None:
    settings = "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() ORDER BY name"
    before = store.query(settings)
    booked(make.call(1, who=who(make, "alice", "acme")))
    forget(ALICE)
    forget(ACME)
    assert store.query(settings) == before
    mutations = store.query("SELECT command FROM system.mutations WHERE database = currentDatabase()")
    assert mutations
    assert not any(name in command for (command,) in mutations for name in ("alice", "acme"))


def fact(make: ModuleType, trace: int, span: int, user: str | None = None) -> Fact:
    named = Who(user_id=user) if user else NOBODY
    start_ns = make.START_US * 1000
    return Fact(
        trace.to_bytes(16, "big"), span.to_bytes(8, "big"), b"", start_ns, start_ns + 1, make.about(), named, None, None
    )


def test_spooled_facts_go_with_what_inherits_from_them(make: ModuleType, tmp_path: Path) -> None:
    clock = SystemClock()
    spool = DiskSpool(tmp_path, SpoolSettings(), clock)
    spool.append(FactBatch((fact(make, 1, 1, "alice"), fact(make, 2, 2, "bob"))))
    spool.append(FactBatch((fact(make, 1, 3), fact(make, 1, 4, "bob"), fact(make, 3, 5))))
    facts = SpoolFacts(tmp_path, ALICE, make.START_US * 1000, clock)
    assert (facts.count(), facts.traces()) == (1, {(1).to_bytes(16, "big")})
    assert facts.erase(facts.traces()) == 2
    assert facts.count() == 0
    spool.shrank(facts.freed_bytes)
    spool.append(FactBatch((fact(make, 4, 6),)))
    spool.release()
    assert b"alice" not in b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    again = DiskSpool(tmp_path, SpoolSettings(), clock)
    assert spool.kept_bytes == again.kept_bytes
    kept = [fact.span_id[-1] for record in again.read(10, 0.1) for fact in record.batch.facts]
    again.release()
    assert kept == [2, 4, 5, 6]


def test_refused_rows_are_taken_out_of_their_files(make: ModuleType, book: Any, tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path, 1 << 20)
    alices = make.row(book, make.call(1, who=who(make, "alice")))
    bobs = make.row(book, make.call(2, who=who(make, "bob")))
    letters.write(DeadLetter("only hers", None, [alices], [(make.call(1).key, 5)]))
    letters.write(DeadLetter("both", 60, [alices, bobs], []))
    rows = RefusedRows(tmp_path, ALICE)
    assert rows.count() == 2
    rows.erase()
    assert rows.count() == 0
    (path,) = letters.paths()
    left = letters.read(path)
    assert (left.reason, left.code, left.tombstones) == ("both", 60, [])
    assert json.dumps(left.rows) == json.dumps([bobs])
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_batch_that_an_ended_collector_left_goes_before_the_next_one_books_it(
    store: Store, make: ModuleType, book: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alices = make.row(book, make.call(1, who=who(make, "alice")))
    Outbox(tmp_path / "outbox").fix(1, store.prepare([alices], [], "a1b2"))
    monkeypatch.setattr("spanledger.forget.open_configured", lambda config: nullcontext(store))
    run(load_config(None, {"SPANLEDGER_DATA_DIR": str(tmp_path)}, None), ALICE, False, SystemClock())
    assert Outbox(tmp_path / "outbox").left() is None
    assert list((tmp_path / "outbox").iterdir()) == []


def test_damaged_spools_go_whomever_they_name(store: Store, forget: Any, tmp_path: Path) -> None:
    damaged = tmp_path / "spool" / "damaged-1"
    damaged.mkdir(parents=True)
    (damaged / "spool.db").write_bytes(b"al" + bytes(100) + b"ice")  # a name that goes on in another page
    proof = forget(ALICE)
    assert (proof.found["damaged spools"], proof.left["damaged spools"]) == (1, 0)
    assert not damaged.exists()


def test_hashed_ids_are_found_by_what_they_were_made_of(tmp_path: Path) -> None:
    environment = {"SPANLEDGER_HASH_IDENTIFIERS": "[user_id]", "SPANLEDGER_HASH_KEY": "k" * 32}
    config = load_config(None, environment, None)
    person = person_of(config, "user_id", "alice", None)
    assert len(person.names) == 2
    assert "alice" in person.names
    assert person_of(config, "customer_id", "alice", None).names == ["alice"]


def test_rows_of_before_a_tenant_was_a_digest_are_found_too(
    store: Store, booked: Any, forget: Any, make: ModuleType
) -> None:
    environment = {"SPANLEDGER_HASH_IDENTIFIERS": "[tenant_id]", "SPANLEDGER_HASH_KEY": "k" * 32}
    person = person_of(load_config(None, environment, None), "user_id", "alice", "eu")
    (digest, plain) = person.tenants
    assert plain == "eu"
    booked(
        *[make.call(number, who=who(make, "alice", "", each)) for number, each in enumerate((digest, "eu", "us"), 1)]
    )
    forget(person)
    assert store.query("SELECT tenant_id FROM llm_costs") == [("us",)]


def test_a_span_is_a_persons_by_its_own_word_before_that_of_its_process(make: ModuleType) -> None:
    by_process = make.about()._replace(resource=make.about().resource._replace(who=who(make, "alice", "", "eu")))
    silent, bobs = fact(make, 1, 1)._replace(about=by_process), fact(make, 1, 2, "bob")._replace(about=by_process)
    assert ALICE.is_behind(silent)
    assert not ALICE.is_behind(bobs)
    assert ALICE._replace(tenants=["eu"]).is_behind(silent)
    assert not ALICE._replace(tenants=["us"]).is_behind(silent)


def test_booking_forgets_calls_that_began_before_and_no_others(make: ModuleType) -> None:
    clock = ManualClock(make.START_US * 1000)
    forgotten = Forgotten(horizon_s=3600.0)
    assert not forgotten
    forgotten.add(ALICE, clock.now_ns())
    assert forgotten.covers(make.call(1, who=who(make, "alice")))
    assert not forgotten.covers(make.call(1, who=who(make, "bob")))
    assert not forgotten.covers(make.call(1, at_us=make.START_US + 1, who=who(make, "alice")))
    clock.advance(3 * 3600.0)
    forgotten.add(ACME, clock.now_ns())
    assert not forgotten.covers(make.call(1, who=who(make, "alice")))
