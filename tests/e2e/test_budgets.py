"""Budgets from the configuration, as the SQL port shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_BUDGETS = "SELECT scope, name, tenant_id, period, toString(amount_usd) AS amount, toString(valid_from) AS since"
_IN_ORDER = f"{_BUDGETS} FROM budgets ORDER BY scope, name, valid_from"
_FIRST = """
budgets:
  - {scope: agent, name: planner, period: day, amount: 100}
  - {scope: agent, name: planner, period: day, amount: "150.500000000001", valid_from: 2026-12-01}
  - {scope: total, period: month, amount: 20000.25, valid_from: 2026-12-01T12:00:00+02:00, tenant: acme}
"""
_SECOND = "budgets: [{scope: total, period: month, amount: 7}]"


def test_the_table_holds_what_the_configuration_says(smoke: Any, tmp_path: Path) -> None:
    """A later start replaces the lines; one that says nothing about budgets leaves them."""
    file = tmp_path / "collector.yaml"
    collector = smoke.Collector(tmp_path)
    start = collector.start

    def rows_after(text: str) -> list[list[str]]:
        file.write_text(text)
        start("--config", str(file))
        try:
            return [list(row.values()) for row in collector.sql_json(_IN_ORDER)]
        finally:
            collector.stop()

    epoch = "1970-01-01 00:00:00"
    assert rows_after(_FIRST) == [
        ["agent", "planner", "", "day", "100", epoch],
        ["agent", "planner", "", "day", "150.500000000001", "2026-12-01 00:00:00"],
        ["total", "", "acme", "month", "20000.25", "2026-12-01 10:00:00"],
    ]
    only = [["total", "", "", "month", "7", epoch]]
    assert rows_after(_SECOND) == only
    assert rows_after("retention_days: 30") == only
    assert rows_after("budgets: []") == []
