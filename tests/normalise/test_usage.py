"""Conventions: what evidence in the figures proves, and what is left to what a dialect declares."""

from __future__ import annotations

import pytest

from spanledger_core.facts import Usage
from spanledger_processor.normalise.usage import Counting, Figures, count, merge

INPUTS: list[tuple[str, Figures, Counting, tuple[int, int, int, str], bool]] = [
    ("inclusive", Figures(100, 10, cache_read=40), Counting("inclusive"), (100, 10, 40, "inclusive"), False),
    ("exclusive", Figures(60, 10, cache_read=40), Counting("exclusive"), (100, 10, 40, "exclusive"), False),
    ("more cache than input", Figures(30, 10, cache_read=40), Counting("inclusive"), (70, 10, 40, "exclusive"), True),
    ("not declared", Figures(100, 10, cache_read=40), Counting("assumed"), (100, 10, 40, "assumed"), False),
    ("proof by total", Figures(60, 10, 110, cache_read=40), Counting("assumed"), (100, 10, 40, "exclusive"), False),
    ("no proof by total", Figures(60, 10, 70, cache_read=40), Counting("assumed"), (60, 10, 40, "assumed"), False),
    (
        "proof by the uncached part",
        Figures(100, 10, uncached_input=60, cache_read=40),
        Counting("exclusive"),
        (100, 10, 40, "inclusive"),
        False,
    ),
    (
        "only the uncached part",
        Figures(None, 10, uncached_input=60, cache_read=40),
        Counting("assumed"),
        (100, 10, 40, "inclusive"),
        False,
    ),
    ("tool prompts", Figures(500, 55, tool_input=70), Counting("inclusive"), (570, 55, 0, "inclusive"), False),
]


@pytest.mark.parametrize(("what", "figures", "counting", "expected", "contradicted"), INPUTS)
def test_input(
    what: str, figures: Figures, counting: Counting, expected: tuple[object, ...], contradicted: bool
) -> None:
    counted = count(figures, counting)
    assert counted.usage is not None, what
    usage = counted.usage
    assert (usage.input, usage.output, usage.cache_read, usage.convention) == expected
    assert counted.contradicted == contradicted


@pytest.mark.parametrize(
    ("what", "figures", "thoughts", "output", "reasoning"),
    [
        ("inside", Figures(10, 100, reasoning=40), "inside", 100, 40),
        ("outside", Figures(10, 100, reasoning=40), "outside", 140, 40),
        ("more thoughts than output", Figures(10, 30, reasoning=40), "inside", 70, 40),
        ("what the total has more", Figures(10, 100, 150), "rest", 140, 40),
        ("the total has nothing more", Figures(10, 100, 110), "rest", 100, 0),
        ("no total", Figures(10, 100), "rest", 100, 0),
        ("total proves them outside", Figures(10, 100, 150, reasoning=40), "inside", 140, 40),
        ("total proves them inside", Figures(10, 100, 110, reasoning=40), "inside", 100, 40),
        ("added to an output that held them", Figures(10, 140, reasoning=40), "twice", 100, 40),
        ("too little to hold them twice", Figures(10, 70, reasoning=40), "twice", 70, 40),
        ("only thoughts", Figures(10, None, reasoning=40), "inside", 40, 40),
    ],
)
def test_output(what: str, figures: Figures, thoughts: str, output: int, reasoning: int) -> None:
    usage = count(figures, Counting("inclusive", thoughts)).usage  # type: ignore[arg-type]
    assert usage is not None, what
    assert (usage.output, usage.reasoning) == (output, reasoning)


@pytest.mark.parametrize(
    ("figures", "short", "long"),
    [
        (Figures(1000, 1, cache_write=300), 300, 0),
        (Figures(1000, 1, cache_write=300, cache_write_1h=100), 200, 100),
        (Figures(1000, 1, cache_write_5m=200, cache_write_1h=100), 200, 100),
        (Figures(1000, 1, cache_write=300, cache_write_5m=200, cache_write_1h=100), 200, 100),
        (Figures(1000, 1, cache_write=300, cache_write_5m=50, cache_write_1h=100), 200, 100),
    ],
)
def test_cache_writes_without_a_lifetime_count_as_five_minutes(figures: Figures, short: int, long: int) -> None:
    usage = count(figures, Counting("inclusive")).usage
    assert usage is not None
    assert (usage.cache_write_5m, usage.cache_write_1h) == (short, long)


@pytest.mark.parametrize(
    ("what", "plain", "nested", "merged"),
    [
        ("details", Usage(100, 10), Usage(100, 10, 40, reasoning=4), Usage(100, 10, 40, reasoning=4)),
        ("the attributes left the cache out", Usage(60, 10), Usage(100, 10, 40), Usage(100, 10, 40)),
        ("they left only the writes out", Usage(90, 10, 40), Usage(100, 10, 40, 10), Usage(100, 10, 40, 10)),
        ("they left the thoughts out", Usage(100, 10), Usage(100, 14, reasoning=4), Usage(100, 14, reasoning=4)),
        ("the split", Usage(100, 10, 0, 30), Usage(100, 10, 0, 20, 10), Usage(100, 10, 0, 20, 10)),
        ("another split total", Usage(100, 10, 0, 30), Usage(100, 10, 0, 5, 10), Usage(100, 10, 0, 30)),
        ("only the document", None, Usage(100, 10), Usage(100, 10)),
        ("the document is of something larger", Usage(10, 10), Usage(5000, 10, 400), Usage(10, 10)),
        ("a document without totals", Usage(100, 10), Usage(40, None, 40), Usage(100, 10, 40)),
    ],
)
def test_documents_complete_attributes(what: str, plain: Usage | None, nested: Usage, merged: Usage) -> None:
    assert merge(plain, nested) == merged, what


def test_units_are_kept_beside_the_totals() -> None:
    usage = count(Figures(units=(("images", 2), ("web_searches", 0))), Counting()).usage
    assert usage is not None
    assert usage.units == (("images", 2),)
    assert usage.input is None
