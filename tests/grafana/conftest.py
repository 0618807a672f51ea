"""A store with a month of a made-up fleet, and the dashboards' queries as Grafana would send them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the tools are no part of the distribution

from spanledger_core.clock import ManualClock
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.budgets import replace_budgets
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import Store, open_store
from tools.dashboards.asking import Answer, Grafana
from tools.dashboards.expand import Context, expand
from tools.dashboards.fleet import BUDGETS, NOW, Call, Fleet, fill, micros


@pytest.fixture(scope="session")
def fleet() -> list[Call]:
    """The calls that are in the store."""
    made = Fleet(20261125)
    made.month()
    made.faults()
    made.twins()
    return made.calls


@pytest.fixture(scope="package")  # a process opens one embedded engine at a time, and other folders have theirs
def store(fleet: list[Call], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("grafana")
    # The fleet's calls keep their date while the calendar goes on.
    settings = StoreSettings(partitioning="day", retention_days=20_000, rollup_retention_days=20_000)
    with open_store(StoreAddress.parse("chdb", folder), settings, ManualClock(micros(NOW) * 1000)) as opened:
        opened.migrate()
        fill(opened, fleet)
        replace_budgets(opened, BUDGETS, ManualClock())
        yield opened


class Remembering(Grafana):
    """The fleet does not change: what was asked before is not asked again."""

    answers: ClassVar[dict[str, Answer]] = {}

    def ask(self, sql: str, context: Context) -> Answer:
        key = expand(sql, context)
        if key not in self.answers:
            self.answers[key] = super().ask(sql, context)
        return self.answers[key]


@pytest.fixture(scope="package")
def grafana(store: Store) -> Grafana:
    return Remembering(store)
