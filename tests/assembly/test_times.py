"""Leaves by time: the stretches of a long list are one list to whoever asks."""

from __future__ import annotations

import random

from spanledger_processor.assembly import times
from spanledger_processor.assembly.rules import FAR_NS
from spanledger_processor.assembly.state import Leaf, Trace
from spanledger_processor.assembly.times import TimeList

SECOND = 10**9


def leaf(facts, start_ns: int, duration_ns: int = SECOND) -> Leaf:
    return Leaf(Trace(bytes(16), late=False), 0, facts(1)._replace(start_ns=start_ns, end_ns=start_ns + duration_ns))


def test_a_long_list_finds_what_a_plain_search_finds_while_leaves_come_and_go(facts, monkeypatch):
    monkeypatch.setattr(times, "_LONGEST_STRETCH", 8)
    rnd = random.Random(1)
    found, held, most = TimeList(), [], 0
    for step in range(6000):
        if held and rnd.random() < (0.35 if step < 3000 else 0.6):
            gone = held.pop(rnd.randrange(len(held)))
            found.remove(gone)
        else:  # many start together, so that equal starts stand in several stretches
            new = leaf(facts, (1000 + rnd.choice((rnd.randrange(300), step // 20, 7))) * SECOND, rnd.randrange(9))
            found.add(new)
            held.append(new)
        most = max(most, len(held))
        assert len(list(found)) == len(held)
        assert bool(found) == bool(held)
        asked = leaf(facts, (1000 + rnd.randrange(300)) * SECOND)
        before, after = found.near(asked, 2 * SECOND)
        starts = [each.start_ns for each in before]
        assert starts == sorted(starts, reverse=True)
        assert all(asked.start_ns - FAR_NS <= start < asked.start_ns for start in starts)
        later = [each.start_ns for each in after]
        assert later == sorted(later)
        near = {id(each) for each in held if asked.start_ns <= each.start_ns <= asked.end_ns + 2 * SECOND}
        assert {id(each) for each in after} == near
        overlapping = [each for each in held if each.start_ns < asked.start_ns <= each.end_ns + 2 * SECOND]
        assert {id(each) for each in overlapping} <= {id(each) for each in before}
    assert most > 100
    assert sorted(map(id, found)) == sorted(map(id, held))


def test_a_list_that_has_run_empty_can_be_filled_again(facts):
    found, only = TimeList(), leaf(facts, SECOND)
    for _ in range(3):
        found.add(only)
        assert found.near(only, 0) == ([], [only])
        found.remove(only)
        assert found.near(only, 0) == ([], [])
