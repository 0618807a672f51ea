"""The hand-computed cases: what providers charged, worked out from their published lists, not from any library."""

import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from spanledger_processor.pricing import PriceBook, load_book

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
VECTORS = SHARED / "price-vectors" / "vectors.jsonl"
PRICES = SHARED / "corpus" / "prices.csv"
DISPUTED: frozenset[str] = frozenset()
"""Secondary cases that a better source contradicts; none today."""


def vectors() -> Iterator[dict[str, Any]]:
    if VECTORS.exists():
        with VECTORS.open() as file:
            yield from map(json.loads, file)


@pytest.fixture(scope="module")
def cases() -> list[dict[str, Any]]:
    found = list(vectors())
    if not found:
        pytest.skip(f"{VECTORS} is not here")
    return found


def test_every_vector_is_exact(book: PriceBook, cases: list[dict[str, Any]]) -> None:
    wrong = []
    for case in cases:
        answer = book.quote(case)
        expected = case["expected_usd"]
        exact = None if expected is None else Decimal(expected).quantize(Decimal("1e-12"))
        got = None if answer["cost_usd"] is None else Decimal(answer["cost_usd"])
        if (answer["cost_status"], got) != (case["expected_status"], exact) and case["id"] not in DISPUTED:
            wrong.append((case["id"], case["note"], expected, answer))
    assert wrong == []


def test_a_priced_vector_names_its_lines_and_an_unknown_one_has_none(
    book: PriceBook, cases: list[dict[str, Any]]
) -> None:
    ids = {line.price_id for line in book.lines()}
    for case in cases:
        answer = book.quote(case)
        assert set(answer["price_ids"]) <= ids
        assert bool(answer["price_ids"]) == (answer["cost_status"] in {"priced", "free"})


def test_the_corpus_price_file_loads_and_wins_over_lists() -> None:
    if not PRICES.exists():
        pytest.skip(f"{PRICES} is not here")
    book = load_book([PRICES])
    item = {
        "provider": "openai",
        "model": "gpt-4o",
        "timestamp": "2026-01-01T00:00:00Z",
        "usage": {"input": 1, "cache_read": 1, "output": 1, "reasoning": 1, "input_audio": 1, "output_audio": 1},
    }
    by_file = {
        line.bucket: line.unit_price for line in book.lines() if line.confidence == "operator"
        and (line.provider, line.model) == ("openai", "gpt-4o")
    }  # fmt: skip
    assert len(by_file) == 8
    expected = sum(by_file[bucket] for bucket in item["usage"]) / 10**6
    assert Decimal(book.quote(item)["cost_usd"]) == expected


def test_quoting_the_file_takes_less_than_two_seconds_with_start(cases: list[dict[str, Any]]) -> None:
    program = (
        "import json, resource, sys\n"
        "from spanledger_processor.pricing import load_book\n"
        "book = load_book()\n"
        "for line in open(sys.argv[1]): book.quote(json.loads(line))\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(used.ru_utime + used.ru_stime)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(VECTORS)], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 2
