"""`spanledger prices`: the book, asked and checked."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from spanledger.cli.price_lines import stacked

Run = Callable[..., "subprocess.CompletedProcess[str]"]
QUESTION = {
    "id": "a",
    "provider": "openai",
    "model": "gpt-4o-2024-08-06",
    "timestamp": "2026-01-01T00:00:00Z",
    "usage": {"input": 1_000_000, "output": 1_000_000},
}


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    path = tmp_path / "contract.csv"
    path.write_text("provider,model,bucket,unit_price\nopenai,house-model,input,7.5\n")
    return path


def test_quote_answers_line_by_line(run: Run) -> None:
    unknown = QUESTION | {"id": "b", "model": "no-such-model"}
    done = run("prices", "quote", "-", stdin=f"{json.dumps(QUESTION)}\n\n{json.dumps(unknown)}\n")
    assert done.returncode == 0, done.stderr
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["id"], first["cost_usd"], first["cost_status"]) == ("a", "12.5", "priced")
    assert first["price_ids"]
    assert (second["cost_usd"], second["cost_status"]) == (None, "unpriced_model")


def test_quote_names_bad_lines_and_answers_the_others(run: Run) -> None:
    done = run("prices", "quote", "-", stdin=f'{json.dumps(QUESTION)}\n{{"id": 1}}\nnonsense\n')
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    assert "standard input:2:" in done.stderr
    assert "standard input:3:" in done.stderr


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"usage": {"inptu": 1}}, "usage: unknown bucket 'inptu' (did you mean 'input'?)"),
        ({"usage": {"input": 1.5}}, "usage input: 1.5 is not a whole number"),
        ({"usage": {"input": 1e300}}, "usage input: 1e+300 is not a whole number"),
        ({"usage": [1]}, "usage: expected an object, not [1]"),
        ({"context": "batch"}, "context: expected an object, not 'batch'"),
        ({"context": {"region": ["eu"]}}, "context region: expected a plain value"),
        ({"model": 4}, "model: expected text, not 4"),
        ({"timestamp": None}, "timestamp: None is not an ISO 8601 instant"),
    ],
    ids=str,
)
def test_quote_says_what_is_wrong_with_a_line(run: Run, said: dict[str, object], fault: str) -> None:
    done = run("prices", "quote", "-", stdin=json.dumps(QUESTION | said))
    assert done.returncode == 1
    assert f"standard input:1: {fault}" in done.stderr


def test_quote_takes_nothing_for_no_context_and_whole_numbers_with_a_point(run: Run) -> None:
    said = {"context": None, "usage": {"input": 1_000_000.0, "output": 1e6}}
    stated = {"context": {"region": None}}
    done = run("prices", "quote", "-", stdin=f"{json.dumps(QUESTION | said)}\n{json.dumps(QUESTION | stated)}")
    assert [json.loads(line)["cost_usd"] for line in done.stdout.splitlines()] == ["12.5", "12.5"], done.stderr


def test_quote_of_files_in_odd_encodings(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "usage.jsonl"
    line = json.dumps(QUESTION | {"id": "a\u2028b\x85c"}, ensure_ascii=False).encode()
    path.write_bytes(b"\xef\xbb\xbf" + line + b"\r\n" + b'{"id": "\xff"}\n' + line + b"\n5\n")
    done = run("prices", "quote", str(path))
    assert done.returncode == 1
    assert [json.loads(answer)["id"] for answer in done.stdout.split("\n")[:-1]] == ["a\u2028b\x85c"] * 2
    assert f"{path}:2: not UTF-8 (invalid start byte at byte 8 of the line)" in done.stderr
    assert f"{path}:4: not a quote line: expected an object, not 5" in done.stderr


def test_quote_of_a_single_call_beyond_the_limit_is_bad_usage(run: Run) -> None:
    usage = [{"input": 40_000_000_000}, {"input": 40_000_000_001}]
    asked = "\n".join(json.dumps(QUESTION | {"usage": each}) for each in usage)
    within, beyond = map(json.loads, run("prices", "quote", "-", stdin=asked).stdout.splitlines())
    assert (within["cost_usd"], within["cost_status"]) == ("100000", "priced")
    assert (beyond["cost_usd"], beyond["cost_status"]) == (None, "bad_usage")


def test_quote_of_a_file_that_is_not_there(run: Run) -> None:
    assert run("prices", "quote", "nowhere.jsonl").returncode == 2


def test_quote_prices_the_vectors_in_under_two_seconds(process: Run) -> None:
    vectors = Path(__file__).resolve().parents[3] / "shared" / "price-vectors" / "vectors.jsonl"
    if not vectors.exists():
        pytest.skip("needs ../shared/price-vectors")
    done = process("prices", "quote", str(vectors))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(vectors.read_text().splitlines())


def test_show_prints_the_lines_of_an_instant(run: Run) -> None:
    done = run("prices", "show", "gpt-4o-2024-08-06", "--provider", "openai", "--at", "2026-01-01", "--format", "json")
    assert done.returncode == 0, done.stderr
    lines = {line["bucket"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert Decimal(lines["input"]["unit_price"]) == Decimal("2.5")
    assert lines["input"]["unit_size"] == "1000000"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--model", "gpt-4o-2024-08-06"], "spanledger prices show gpt-4o-2024-08-06\n"),
        (["--model", "gpt-4o-2024-08-06", "--provider", "openai"], "show gpt-4o-2024-08-06 --provider openai\n"),
        (["--model", "gpt-4o", "--bucket", "input"], ""),
        (["--model", "gpt-4o-2024-*"], ""),
        (["--model", "no-such-model"], ""),
    ],
)
def test_list_of_one_name_says_where_other_lines_price_it_too(run: Run, arguments: list[str], told: str) -> None:
    done = run("prices", "list", *arguments)
    assert done.returncode == 0
    assert done.stderr.endswith(told)
    assert bool(done.stderr) == bool(told)


def test_show_of_an_unknown_model_fails_and_says_what_becomes_of_its_calls(run: Run) -> None:
    done = run("prices", "show", "no-such-model")
    assert done.returncode == 1
    assert "unpriced_model" in done.stderr


def test_list_filters_and_takes_files_of_the_operator(run: Run, contract: Path) -> None:
    done = run("prices", "list", "--model", "house-*", "--prices", str(contract), "--format", "csv")
    assert done.returncode == 0, done.stderr
    (record,) = csv.DictReader(io.StringIO(done.stdout))
    assert (record["provider"], record["bucket"], record["unit_price"]) == ("openai", "input", "7.5")
    assert record["layer"] == "operator"


def test_list_reads_what_it_wrote(run: Run, contract: Path, tmp_path: Path) -> None:
    """The columns are those of a price file, so a list can be edited and loaded."""
    listed = run("prices", "list", "--model", "house-*", "--prices", str(contract), "--format", "csv").stdout
    again = tmp_path / "again.csv"
    again.write_text(listed.replace("7.5", "7"))
    done = run("prices", "check", str(again))
    assert done.returncode == 0, done.stderr


def test_tables_are_for_people(run: Run, contract: Path) -> None:
    done = run("prices", "list", "--model", "house-*", "--prices", str(contract))
    assert "house-model" in done.stdout
    assert "7.5 USD" in done.stdout
    assert "1 line" in done.stdout


def test_check_names_every_fault_with_its_line(run: Run, contract: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("provider,model,bucket,unit_price\nopenai,a,inputs,1\nopenai,b,input,cheap\n")
    done = run("prices", "check", str(contract), str(bad))
    assert done.returncode == 1
    assert f"{contract}: ok, 1 lines" in done.stdout
    assert "bad.csv:2" in done.stderr
    assert "bad.csv:3" in done.stderr


def test_a_broken_configured_file_stops_the_command_with_all_faults(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("provider,model,bucket,unit_price\nopenai,a,inputs,1\nopenai,b,input,cheap\n")
    done = run("prices", "list", SPANLEDGER_PRICES__FILES=f"[{bad}]")
    assert done.returncode == 2
    assert done.stderr.count("bad.csv:") == 2


def test_diff_of_two_files_tells_added_removed_and_changed(run: Run, tmp_path: Path) -> None:
    head = "provider,model,bucket,unit_price,effective_from\n"
    old, new = tmp_path / "old.csv", tmp_path / "new.csv"
    old.write_text(f"{head}openai,a,input,1,\nopenai,a,output,2,\nopenai,b,input,3,\n")
    new.write_text(f"{head}openai,a,input,1,\nopenai,a,output,2.5,\nopenai,c,input,3,\n")
    done = run("prices", "diff", str(old), str(new), "--format", "json")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    told = [(each["kind"], each["model"], *(each[side] for side in ("old", "new"))) for each in found]
    assert told == [
        ("changed", "a", ["2 USD / 1000000"], ["2.5 USD / 1000000"]),
        ("removed", "b", ["3 USD / 1000000"], []),
        ("added", "c", [], ["3 USD / 1000000"]),
    ]
    shown = run("prices", "diff", str(old), str(new)).stdout
    assert "2.5 USD" in shown
    assert "3 differences" in shown


def test_cells_of_several_lines_break_between_them_only(run: Run, tmp_path: Path) -> None:
    head = "provider,model,bucket,unit_price,effective_from,effective_to\n"
    old, new = tmp_path / "old.csv", tmp_path / "new.csv"
    old.write_text(f"{head}openai,a,input,1,,2026-01-01\nopenai,a,input,2,2026-01-01,\n")
    new.write_text(f"{head}openai,a,input,3,,\n")
    shown = run("prices", "diff", str(old), str(new)).stdout
    assert "\\x0a" not in shown
    assert "1 USD / 1000000" in shown
    assert "2 USD / 1000000" in shown
    assert stacked(["list\n", "list\n", "x0.85"]).plain == "list\\x0a\nx0.85"


@pytest.mark.parametrize("form", ["csv", "json"])
def test_diff_of_a_listed_book_with_itself_is_nothing(run: Run, tmp_path: Path, form: str) -> None:
    before = tmp_path / f"before.{form}"
    before.write_text(run("prices", "list", "--format", form).stdout)
    done = run("prices", "diff", str(before))
    assert done.stdout == "0 differences\n", done.stderr


def test_diff_of_what_is_no_book(run: Run, tmp_path: Path) -> None:
    for name, text in (("a.json", '{"x": 1}'), ("b.json", "nonsense"), ("c.csv", "a,b\n1,2\n"), ("d.txt", "")):
        path = tmp_path / name
        path.write_text(text)
        done = run("prices", "diff", str(path))
        assert done.returncode == 2
        assert name in done.stderr
    assert run("prices", "diff", str(tmp_path / "none.json")).returncode == 2


@pytest.mark.parametrize(
    "arguments", [["show", "m", "--at", "never"], ["show", "m", "--context", "batch"], ["list", "--format", "xml"]]
)
def test_wrong_usage(run: Run, arguments: list[str]) -> None:
    assert run("prices", *arguments).returncode == 2
