"""Budgets: what may be spent. Configuration is their home; the store holds a copy that queries can join."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from spanledger_core.clock import Clock
from spanledger_exporter.store import Store

Scope = Literal["agent", "customer", "team", "model", "total"]
Period = Literal["day", "week", "month"]

_TABLE: Final = "llm_budgets"
_KEY: Final = ("scope", "name", "tenant_id", "period", "valid_from")


class Budget(NamedTuple):
    """One line of the table `budgets`."""

    scope: Scope
    name: str
    """Which agent_id, customer_id, team or model; empty for `total`."""
    period: Period
    """UTC; weeks begin on Monday."""
    amount: Decimal
    """US dollars for the whole period; 0 ends the budget from `valid_from` on."""
    valid_from: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    """The latest that has begun is in force."""
    tenant_id: str = ""
    """Whose spend counts; empty: that of all tenants together."""

    @property
    def key(self) -> tuple[str, str, str, str, datetime]:
        """What the table holds one row of."""
        return self.scope, self.name, self.tenant_id, self.period, self.valid_from.replace(microsecond=0)


def replace_budgets(store: Store, budgets: Iterable[Budget], clock: Clock) -> tuple[int, int]:
    """Make the store hold exactly `budgets`: how many were written, how many withdrawn. Does nothing where they stand.

    Raises `StoreUnavailable`, and `StoreRefused` for what the table's constraints do not allow.
    """
    wanted = {budget.key: budget.amount for budget in budgets}
    found = {tuple(row[:-1]): row[-1] for row in store.query(f"SELECT {', '.join(_KEY)}, amount_usd FROM budgets")}  # noqa: S608 - names of our own
    written = [(*key, amount, 0) for key, amount in wanted.items() if found.get(key) != amount]
    withdrawn = [(*key, amount, 1) for key, amount in found.items() if key not in wanted]
    version = clock.now_ns() // 1000
    rows = [[*row[:-1], version, row[-1]] for row in (*written, *withdrawn)]
    if rows:
        with store.lease() as client:
            client.insert(_TABLE, rows, column_names=[*_KEY, "amount_usd", "version", "is_deleted"])
    return len(written), len(withdrawn)
