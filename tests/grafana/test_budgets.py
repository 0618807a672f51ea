"""The table of budgets holds what it is told, no more, and nothing that cannot be meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from spanledger_core.clock import ManualClock
from spanledger_core.errors import StoreRefused
from spanledger_exporter.budgets import Budget, replace_budgets
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import Store, open_store

LATER = datetime(2026, 12, 1, tzinfo=UTC)
PLANNER = Budget("agent", "planner", "day", Decimal("12.5"))
ACME = Budget("customer", "acme", "month", Decimal(300), LATER, "tenant")


@pytest.fixture
def empty(store: Store) -> Iterator[Store]:
    address = replace(store.address, database="budgets_only")
    with open_store(address, StoreSettings(), ManualClock()) as opened:
        opened.migrate()
        yield opened
        with opened.lease() as client:
            client.command("DROP DATABASE budgets_only")


def stored(store: Store) -> list[tuple[Any, ...]]:
    return store.query("SELECT scope, name, period, amount_usd, valid_from, tenant_id FROM budgets ORDER BY ALL")


def test_the_store_holds_exactly_what_it_is_told(empty: Store) -> None:
    clock = ManualClock()
    assert replace_budgets(empty, [PLANNER, ACME], clock) == (2, 0)
    assert stored(empty) == [tuple(PLANNER), tuple(ACME)]
    clock.advance(1)
    assert replace_budgets(empty, [PLANNER, ACME], clock) == (0, 0)
    dearer = PLANNER._replace(amount=Decimal(20))
    assert replace_budgets(empty, [dearer], clock) == (1, 1)
    assert stored(empty) == [tuple(dearer)]
    clock.advance(1)
    assert replace_budgets(empty, [dearer, ACME], clock) == (1, 0)
    assert stored(empty) == [tuple(dearer), tuple(ACME)]
    clock.advance(1)
    assert replace_budgets(empty, [], clock) == (0, 2)
    assert stored(empty) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"scope": "agents"},
        {"period": "fortnight"},
        {"amount": Decimal(-1)},
        {"name": ""},
        {"scope": "total"},
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(empty: Store, wrong: dict[str, Any]) -> None:
    with pytest.raises(StoreRefused, match="violated"):
        replace_budgets(empty, [PLANNER._replace(**wrong)], ManualClock())
    assert stored(empty) == []
