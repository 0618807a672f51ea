"""`spanledger report` on a real store: exact dollars, honest unknowns, strangers' names made harmless."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("engine_stays_up")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def figures(run: Run, *arguments: str) -> dict[str, Any]:
    done = run("report", "--format", "json", *arguments)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_which_agent_cost_the_most_yesterday(run: Run, hostile: str) -> None:
    answer = figures(run, "--last", "yesterday")
    assert [line["name"] for line in answer["lines"]] == ["planner", "writer", hostile, "lab"]
    planner, writer, _, lab = answer["lines"]
    assert planner == {
        "name": "planner",
        "cost_usd": "3.000000000001",
        "share": "0.750000",
        "calls": 2,
        "cost_per_call_usd": "1.500000000000",
        "input_tokens": 2000,
        "output_tokens": 200,
        "cost_before_usd": "1",
        "change": "2.000000",
        "unpriced_calls": 0,
        "unpriced_share": "0.000000",
    }
    assert (writer["calls"], writer["cost_per_call_usd"], writer["unpriced_calls"]) == (2, "1.000000000000", 0)
    assert (lab["cost_usd"], lab["share"], lab["input_tokens"], lab["unpriced_share"]) == (None, None, None, "1.000000")


def test_the_total_is_of_everything_also_of_what_is_not_shown(run: Run) -> None:
    answer = figures(run, "--last", "yesterday", "--limit", "1")
    assert [line["name"] for line in answer["lines"]] == ["planner"]
    assert answer["more"] == 3
    assert answer["total"]["cost_usd"] == "4.000000000008"
    assert answer["total"]["cost_before_usd"] == "6"
    assert answer["total"]["calls"] == 6


def test_dollars_are_text_and_add_up_to_the_last_digit(run: Run) -> None:
    answer = figures(run, "--last", "7d", "--by", "model")
    known = [line["cost_usd"] for line in answer["lines"] if line["cost_usd"] is not None]
    assert all(isinstance(cost, str) for cost in known)
    assert sum(map(Decimal, known)) == Decimal(answer["total"]["cost_usd"]) == Decimal("10.000000000008")


def test_an_unpriced_model_is_named_by_what_was_asked_for(run: Run) -> None:
    assert "acme-7b" in [line["name"] for line in figures(run, "--by", "model")["lines"]]


def test_hours_come_in_the_order_of_time_in_the_zone_asked_for(run: Run) -> None:
    utc = [line["name"] for line in figures(run, "--by", "hour", "--last", "yesterday")["lines"]]
    assert [name[-5:] for name in utc] == ["13:00", "14:00"]
    india = figures(run, "--by", "hour", "--last", "4d", "--tz", "Asia/Kolkata")
    assert india["time_zone"] == "Asia/Kolkata"
    assert [name["name"][-5:] for name in india["lines"]] == ["19:00", "18:00", "19:00"]


def test_a_day_is_compared_with_the_day_a_period_before(run: Run) -> None:
    (day,) = figures(run, "--by", "day", "--last", "yesterday")["lines"]
    assert (day["cost_usd"], day["cost_before_usd"]) == ("4.000000000008", "6")


@pytest.mark.parametrize(
    "by", ["agent", "model", "hour", "day", "customer", "team", "step", "feature", "user", "session", "run", "provider"]
)
def test_every_grouping_holds_all_the_money(run: Run, by: str) -> None:
    answer = figures(run, "--by", by, "--last", "7d")
    assert sum(Decimal(line["cost_usd"] or 0) for line in answer["lines"]) == Decimal("10.000000000008")
    assert sum(line["calls"] for line in answer["lines"]) == 8


def test_the_table_shows_totals_zone_and_what_is_unknown(run: Run) -> None:
    done = run("report", "--last", "yesterday", "--tz", "UTC")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Cost by agent, ")
    assert lines[0].endswith("00:00 (UTC)")
    row = next(line for line in lines if line.split()[:1] == ["planner"])
    assert row.split() == ["planner", "3.000000", "75.0", "%", "2", "1.500000", "2,000", "200", "+200.0", "%", "-"]
    lab = next(line for line in lines if line.split()[:1] == ["lab"])
    assert lab.split() == ["lab", "unknown", "-", "1", "unknown", "unknown", "unknown", "new", "100.0", "%"]
    total = next(line for line in lines if line.split()[:1] == ["total"])
    assert total.split()[:2] == ["total", "4.000000"]
    assert "1 calls have no known cost" in done.stdout
    assert "change: against" in done.stdout


def test_names_from_strangers_cannot_speak_to_the_terminal(run: Run) -> None:
    shown = run("report", "--last", "yesterday").stdout
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "evil\\x1b[31m[bold]agent[/bold]\\u202e=1+1" in shown


def test_csv_is_exact_and_no_formula(run: Run, data_dir: Any) -> None:
    done = run("report", "--last", "yesterday", "--format", "csv")
    records = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [record["name"] for record in records][:2] == ["planner", "writer"]
    assert records[0]["cost_usd"] == "3.000000000001"
    assert records[-1]["cost_usd"] == ""


def test_nothing_found_says_where_to_look(run: Run) -> None:
    done = run("report", "--from", "2020-01-01", "--to", "2020-01-02")
    assert done.returncode == 0
    assert "No calls from 2020-01-01 00:00 to 2020-01-02 00:00 (UTC)." in done.stdout
    assert "try --last all" in done.stdout


def test_all_time_is_compared_with_nothing(run: Run) -> None:
    answer = figures(run, "--last", "all")
    assert answer["before_from"] is None
    assert answer["total"]["calls"] == 8
    assert "change" not in run("report", "--last", "all").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--last", "soon"], "is no period"),
        (["--tz", "Mars/Olympus"], "is no time zone"),
        (["--tz", "../../etc/passwd"], "is no time zone"),
        (["--by", "colour"], "'--by'"),
        (["--to", "2026-01-01"], "--to needs --from"),
        (["--from", "yesterdayish"], "is no time"),
        (["--from", "0001-01-01"], "no calendar reaches that far"),
        (["--from", "0001-01-01T00:00+14:00"], "is no time"),
        (["--from", "2026-01-01", "--to", "9999-12-31"], "no calendar reaches that far"),
        (["--last", "99999w"], "no calendar reaches that far"),
        (["--last", "1d", "--from", "2026-01-01"], "say either --last, or"),
        (["--from", "2026-01-02", "--to", "2026-01-01"], "ends before it starts"),
        (["--limit", "0"], "--limit"),
    ],
)
def test_wrong_usage_exits_2_and_says_what_to_write(run: Run, arguments: list[str], said: str) -> None:
    done = run("report", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
