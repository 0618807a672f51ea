"""The commands on a store that nobody else has open, as a user runs them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from spanledger.cli.app import app

Run = Callable[..., Result]
SCENARIOS = Path(__file__).resolve().parents[1] / "data" / "corpus"
DANGLING = (
    "SELECT count() FROM (SELECT arrayJoin(price_ids) AS id FROM calls)"
    " WHERE id NOT IN (SELECT price_id FROM price_lines)"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`spanledger` on a store that holds the captured scenarios."""
    data_dir = tmp_path_factory.mktemp("ledger")

    def invoke(*arguments: str) -> Result:
        # the captured spans keep their date while the calendar goes on
        kept = {"SPANLEDGER_DATA_DIR": str(data_dir), "SPANLEDGER_RETENTION_DAYS": "20000"}
        before = os.umask(0o022)
        os.umask(before)
        try:
            return CliRunner().invoke(app, arguments, env=kept)
        finally:
            os.umask(before)

    paths = [str(path) for path in sorted(SCENARIOS.glob("*/request-*.pb"))]
    done = invoke("replay", *paths)
    assert done.exit_code == 0, done.output
    return invoke


def value(run: Run, sql: str) -> str:
    done = run("query", sql)
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


def test_every_price_id_of_every_call_resolves(run: Run) -> None:
    assert value(run, "SELECT countIf(notEmpty(price_ids)) > 50 FROM calls") == "1"
    assert value(run, DANGLING) == "0"


def test_explain_proves_a_call_and_finds_it_by_its_twin(run: Run) -> None:
    dearest = "SELECT trace_id, span_id, cost_usd FROM calls WHERE cost_usd > 0 ORDER BY cost_usd DESC LIMIT 1"
    trace, span, cost = value(run, dearest).split()
    shown = run("prices", "explain", trace.upper(), span)
    assert shown.exit_code == 0, shown.output
    assert f"cost_usd {cost}, priced" in shown.stdout
    told = json.loads(run("prices", "explain", trace, span, "--format", "json").stdout)
    assert sum(Decimal(term["amount"]) for term in told["terms"]) == Decimal(cost) == Decimal(told["cost_usd"])
    absorbed, owner = value(
        run, "SELECT arrayJoin(absorbed_spans) AS twin, span_id FROM calls ORDER BY twin LIMIT 1"
    ).split()
    assert json.loads(run("prices", "explain", *absorbed.split(":"), "--format", "json").stdout)["span_id"] == owner


def test_explain_says_why_a_call_has_no_cost(run: Run) -> None:
    trace, span = value(run, "SELECT trace_id, span_id FROM calls WHERE cost_status = 'not_billed' LIMIT 1").split()
    shown = run("prices", "explain", trace, span)
    assert shown.exit_code == 0
    assert "cost_usd unknown, not_billed" in shown.stdout
    assert "refused" in shown.stdout
    missing = run("prices", "explain", "0" * 32, "0" * 16)
    assert (missing.exit_code, "no call is booked" in missing.output) == (1, True)


def test_unpriced_tells_models_and_coverage(run: Run) -> None:
    assert "% of calls" in run("prices", "unpriced", "--last", "all").stdout
    told = json.loads(run("prices", "unpriced", "--last", "all", "--format", "json").stdout)
    assert int(told["coverage"]["calls"]) > int(told["coverage"]["priced_calls"]) > 0
    assert [model["model"] for model in told["models"]] == ["gpt-4o-2024-08-06"]
    assert run("prices", "unpriced", "--last", "ever").exit_code == 2


def test_reprice_tells_then_does_then_has_nothing_to_do(run: Run, dearer: Path) -> None:
    everything = "SELECT groupArray(cost_usd) FROM (SELECT cost_usd FROM calls ORDER BY trace_id, span_id)"
    before = value(run, everything)
    dry = run("reprice", "--from", "2020-01-01", "--dry-run", "--prices", str(dearer))
    assert "calls would change" in dry.stdout
    assert value(run, everything) == before
    done = run("reprice", "--from", "2020-01-01", "--prices", str(dearer))
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[1:-2] == dry.stdout.splitlines()[1:-2]
    assert value(run, everything) != before
    assert value(run, "SELECT (SELECT sum(cost_usd) FROM hourly) = (SELECT sum(cost_usd) FROM calls)") == "1"
    assert value(run, DANGLING) == "0"
    again = run("reprice", "--from", "2020-01-01", "--prices", str(dearer))
    assert "\n0 of " in again.stdout
    back = run("reprice", "--from", "2020-01-01")
    assert back.exit_code == 0, back.output
    assert value(run, everything) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["reprice"], ["reprice", "--from", "soon"], ["reprice", "--from", "2026-01-02", "--to", "2026-01-01"],
        ["forget"], ["forget", "--user", ""], ["forget", "--user", " "], ["forget", "--user", "a", "--customer", "b"],
    ],
)  # fmt: skip
def test_wrong_usage(run: Run, arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_forget_erases_and_proves_it(run: Run) -> None:
    left: Any = value(run, "SELECT count(), sum(cost_usd) FROM calls WHERE customer_id != 'customer-acme'")
    dry = run("forget", "--customer", "customer-acme", "--dry-run")
    physical = value(run, "SELECT count() FROM llm_costs WHERE customer_id = 'customer-acme'")
    assert ["llm_costs", physical, "-"] in [line.split() for line in dry.stdout.splitlines()]
    done = run("forget", "--customer", "customer-acme")
    assert done.exit_code == 0, done.output
    places = {line.rsplit(maxsplit=2)[0].strip(): line.split()[-2:] for line in done.stdout.splitlines()[3:-1]}
    assert {place: left for place, (_, left) in places.items()} == dict.fromkeys(places, "0")
    assert places["llm_costs"][0] == physical
    assert int(places["llm_costs_hourly_customer"][0]) > 0
    assert value(run, "SELECT count(), sum(cost_usd) FROM calls") == left
    assert value(run, "SELECT sum(calls), sum(cost_usd) FROM hourly") == left
    assert value(run, "SELECT sum(calls), sum(cost_usd) FROM hourly_customer") == left
    again = run("forget", "--customer", "customer-acme")
    assert again.exit_code == 0
    assert ["llm_costs", "0", "0"] in [line.split() for line in again.stdout.splitlines()]
