"""What assembly forgets, when, and what it says about it."""

from __future__ import annotations

import gc
import random
import tracemalloc
import weakref
from collections import Counter
from itertools import pairwise

import pytest

from spanledger_core.facts import NOBODY, Fact, SpanClass, Usage, Who
from spanledger_processor.assembly.assembler import Assembler, AssemblySettings
from spanledger_processor.assembly.definition import calls_of
from spanledger_processor.assembly.recency import Recency
from spanledger_processor.assembly.state import Node, Trace
from spanledger_processor.assembly.units import Unit

AGENT, TOOL, CHAIN, LLM, OTHER = SpanClass


def agent_trace(facts, trace: int, *, call: bool = True) -> list[Fact]:
    agent = facts(1, trace=trace, span_class=AGENT, agent_name="boss")
    return [facts(2, parent=1, trace=trace, tokens=(trace, 1)), agent] if call else [agent]


def test_a_trace_leaves_a_horizon_after_its_last_span_and_not_before(facts):
    assembler = Assembler(AssemblySettings(horizon_s=100))
    call, agent = agent_trace(facts, 1)
    assembler.add([call], 0.0)
    assembler.add([agent], 90.0)
    assembler.add([facts(1, trace=9)], 185.0)
    assert assembler.traces == 2
    assembler.add([facts(1, trace=9)], 195.0)
    assert assembler.traces == 1
    assert assembler.stats["evicted_traces"] == 1
    assert assembler.stats["evicted_spans"] == 2
    assert assembler.stats["evicted_open"] == 0


def test_leaving_changes_no_row_and_a_row_without_an_agent_is_counted(facts, ledger):
    assembler = Assembler(AssemblySettings(horizon_s=10))
    call, _ = agent_trace(facts, 1)
    ledger.apply(assembler.add([call], 0.0))
    before = dict(ledger.rows)
    ledger.apply(assembler.add([], 100.0))
    assert ledger.rows == before
    assert assembler.traces == 0
    assert assembler.bytes == 0
    assert assembler.stats["evicted_open"] == 1


def test_what_comes_after_its_trace_has_left_asks_for_a_lookup(facts):
    assembler = Assembler(AssemblySettings(horizon_s=10))
    call, agent = agent_trace(facts, 1)
    (first,) = assembler.add([call, agent], 0.0)
    assert not first.call.needs_lookup
    assembler.add([], 100.0)
    (late,) = assembler.add([call], 101.0)
    assert late.call.needs_lookup
    assert assembler.stats["late"] == 1
    (other,) = assembler.add(agent_trace(facts, 2), 101.0)
    assert not other.call.needs_lookup


def test_a_twin_of_a_late_report_needs_a_lookup_too(facts):
    assembler = Assembler(AssemblySettings(horizon_s=10))
    framework = facts(1, tokens=(10, 5), times=(0, 3), reporter="framework")
    client = facts(2, trace=2, tokens=(10, 5), times=(1, 2), reporter="client")
    assembler.add([framework], 0.0)
    assembler.add([], 100.0)
    assembler.add([client], 101.0)
    changes = assembler.add([framework], 102.0)
    assert [(change.op, change.call.needs_lookup) for change in changes] == [("put", True)]


def test_traces_that_share_a_call_leave_together(facts):
    assembler = Assembler(AssemblySettings(horizon_s=100))
    framework = facts(1, tokens=(10, 5), times=(0, 3), reporter="framework")
    client = facts(2, trace=2, tokens=(10, 5), times=(1, 2), reporter="client")
    assembler.add([framework, client], 0.0)
    assembler.add([facts(3, trace=2, span_class=OTHER)], 60.0)
    assembler.add([], 120.0)
    assert assembler.traces == 2, "the younger one keeps the older"
    assembler.add([], 400.0)
    assert assembler.traces == 0


def test_beyond_the_byte_budget_the_oldest_leave_first(facts):
    assembler = Assembler(AssemblySettings(horizon_s=1000, max_bytes=20_000))
    for trace in range(1, 100):
        assembler.add(agent_trace(facts, trace), float(trace))
    assert assembler.bytes <= 20_000
    assert assembler.stats["forced"] == assembler.stats["evicted_traces"] == 99 - assembler.traces > 0
    late = assembler.add([facts(2, parent=1, trace=1, tokens=(1, 1))], 100.0)
    assert late[0].call.needs_lookup
    assert assembler.add([facts(1, trace=99, span_class=AGENT, agent_name="boss")], 100.0) == [], "the newest is there"


def test_after_a_pause_the_old_leave_a_bounded_number_at_a_time(facts):
    assembler = Assembler(AssemblySettings(horizon_s=10))
    rnd, call = random.Random(1), facts(2, tokens=(1, 1))
    assembler.add([call._replace(trace_id=rnd.randbytes(16)) for _ in range(10_000)], 0.0)
    left = [assembler.traces]
    while left[-1]:
        assembler.add([], 100.0)
        left.append(assembler.traces)
    assert len(left) == 4
    assert max(before - after for before, after in pairwise(left)) < 5000


def test_work_on_crowds_of_identical_calls_stays_far_below_comparing_all_with_all(facts):
    rnd = random.Random(3)
    crowd, calls = 200, 600  # so many at once, each five seconds long, sent by two exporters within five seconds
    arriving = []
    for n in range(calls):
        start = 5 * n / crowd
        framework = facts(1, tokens=(10, 5), times=(start, start + 5), reporter="framework")
        client = facts(2, tokens=(10, 5), times=(start + 0.01, start + 4.99), reporter="client")
        for fact in (framework, client):
            arriving.append((start + 5 * rnd.random(), fact._replace(trace_id=rnd.randbytes(16))))
    given = [fact for _, fact in sorted(arriving)]
    assembler, ledger = Assembler(), Counter()
    for at in range(0, len(given), 50):
        ledger.update(change.op for change in assembler.add(given[at : at + 50], 0.0))
    assert ledger["put"] - ledger["delete"] >= calls
    assert assembler.stats["edges"] / len(given) < crowd / 4


def test_ids_that_were_no_id_stay_none_when_some_of_their_bearers_leave(facts, ledger):
    assembler = Assembler(AssemblySettings(horizon_s=10))
    many = [facts(n, trace=n, tokens=(10, 5), response_id="resp_constant") for n in range(1, 34)]
    ledger.apply(assembler.add(many[:-1], 0.0))
    assert len(ledger.rows) == 1
    ledger.apply(assembler.add([many[-1]], 9.0))
    assert len(ledger.rows) == 33
    before = dict(ledger.rows)
    kept = [facts(99, trace=n, span_class=OTHER) for n in (31, 32, 33)]
    ledger.apply(assembler.add(kept, 9.5))
    ledger.apply(assembler.add([facts(40, trace=40, tokens=(10, 5), response_id="resp_constant")], 15.0))
    assert assembler.traces == 4
    assert len(ledger.rows) == 34
    assert before.items() <= ledger.rows.items()
    covered = many[30]
    inner = facts(50, 31, trace=31, tokens=(3, 3))
    ledger.apply(assembler.add([inner], 15.0))
    assert len(ledger.rows) == 34, "one bearer less makes the others no twins"
    assert (covered.trace_id, covered.span_id) not in ledger.by_span()


def test_eviction_in_the_middle_of_a_stream_loses_and_doubles_nothing(tools):
    """Every trace is complete before it leaves, so the rows are those of the whole set."""
    rnd = random.Random(1)
    assembler, ledger, everything = Assembler(AssemblySettings(horizon_s=50)), tools.Ledger(), []
    for generation in range(30):
        made = tools.Generator(rnd).facts(30)
        moved = [
            fact._replace(
                trace_id=bytes([generation + 1]) + fact.trace_id[1:],
                start_ns=fact.start_ns + generation * 1000 * 10**9,
                end_ns=fact.end_ns + generation * 1000 * 10**9,
                response_id=fact.response_id and f"{fact.response_id}-{generation}-long-enough",
            )
            for fact in made
        ]
        rnd.shuffle(moved)
        everything += moved
        for batch in tools.cut(rnd, moved):
            ledger.apply(assembler.add(batch, generation * 100.0))
    assert assembler.stats["evicted_traces"] > 20
    assert ledger.by_span() == calls_of(everything)


def test_evicted_traces_are_freed_without_the_cyclic_collector(facts):
    kinds = (Trace, Node, Unit)
    assembler = Assembler(AssemblySettings(horizon_s=10))
    given = (
        facts(1, parent=9, tokens=(10, 5), times=(0, 3), reporter="framework"),
        facts(2, parent=1, times=(1, 2), helper=True),
        facts(3, parent=9, span_class=AGENT, tokens=(10, 5)),
        facts(4, trace=2, tokens=(10, 5), times=(1, 2), reporter="client"),
        facts(5, trace=3, response_id="resp_00000001"),
        facts(6, trace=4, response_id="resp_00000001"),
    )
    gc.collect()
    others = {id(found) for found in gc.get_objects() if isinstance(found, kinds)}
    gc.disable()
    try:
        for round_ in range(20):
            moved = [
                fact._replace(
                    trace_id=bytes([round_]) * 15 + fact.trace_id[:1],
                    start_ns=fact.start_ns + round_ * 10**12,
                    end_ns=fact.end_ns + round_ * 10**12,
                    response_id=fact.response_id and f"{fact.response_id}{round_}",
                )
                for fact in given
            ]
            assembler.add(moved, round_ * 100.0)
            again = moved[0]._replace(end_ns=moved[0].end_ns + 1)  # a better report: its trace is rebuilt
            assembler.add([again], round_ * 100.0)
        alive = [found for found in gc.get_objects() if isinstance(found, kinds) and id(found) not in others]
    finally:
        gc.enable()
    assert assembler.stats["conflicts"] == 20
    assert assembler.traces == 4
    assert len(alive) < 25, "what the last round retains"


def test_the_memory_of_what_has_left_is_bounded_and_forgets_the_oldest():
    rnd = random.Random(1)
    recency = Recency(100.0, max_forgotten=1000)
    ids = [rnd.randbytes(16) for _ in range(5000)]
    for trace_id in ids:
        recency.forget(Trace(trace_id, late=False))
    assert all(map(recency.was_forgotten, ids[-1000:]))
    strangers = [rnd.randbytes(16) for _ in range(5000)]
    halves = [bytes(8) + other[8:] for other in strangers], [other[:8] + bytes(8) for other in strangers]
    for unseen in (strangers, *halves):
        assert sum(map(recency.was_forgotten, unseen)) < 250, "a lookup too many now and then, not often"


def main_load(traces: int, rnd: random.Random, facts) -> list[Fact]:
    """Eight spans a trace: four bare, agent, tool, two calls with an id; every object as fresh as decoding makes it."""
    loaded: list[Fact] = []
    agents = [facts.about(AGENT, "framework", agent_name=f"agent-{n}") for n in range(60)]
    call, tool, plain = facts.about(LLM, "client"), facts.about(TOOL, "framework"), facts.about(OTHER, "http")
    for n in range(traces):
        trace_id, ids = rnd.randbytes(16), [rnd.randbytes(8) for _ in range(8)]
        agent, who = rnd.choice(agents), Who(session_id=f"session-{n}")
        tree = ((3, 2, plain), (2, 1, call), (5, 4, plain), (4, 1, tool), (7, 6, plain), (6, 1, call), (1, 0, agent))
        for number, parent, about in (*tree, (0, None, plain)):
            start = 1_790_000_000_000_000_000 + rnd.randrange(10**12)
            parent_id = ids[parent] if parent is not None else b""
            fresh = [bytes(bytearray(part)) for part in (trace_id, ids[number], parent_id)]
            fact = Fact(*fresh, start, start + 10**10, about, who if about is agent else NOBODY, None, None)
            if about is call:
                usage = Usage(rnd.randrange(300, 20000), rnd.randrange(300, 2000))
                fact = fact._replace(usage=usage, response_id=f"chatcmpl-{rnd.randbytes(12).hex()}")
            loaded.append(fact)
    return loaded


def twin_load(traces: int, rnd: random.Random, facts) -> list[Fact]:
    """Calls seen by a framework and, in a trace of its own, by a client library, without ids."""
    loaded: list[Fact] = []
    for n in range(traces):
        tokens = Usage(rnd.randrange(300, 100_000), rnd.randrange(300, 2000))
        agent = facts(1, span_class=AGENT, agent_name="boss")
        framework = facts(2, parent=1, tokens=tokens, times=(n, n + 3), reporter="framework")
        client = facts(3, tokens=tokens, times=(n + 1, n + 2), reporter="client")
        trace_id = rnd.randbytes(16)
        loaded += [framework._replace(trace_id=trace_id), agent._replace(trace_id=trace_id)]
        loaded.append(client._replace(trace_id=rnd.randbytes(16), span_id=rnd.randbytes(8)))
    return loaded


@pytest.mark.parametrize(("load", "most"), [(main_load, 400), (twin_load, 1100)])
def test_the_estimate_of_memory_is_right_and_spans_are_small(facts, load, most):
    traces = 1300
    spans = len(load(traces, random.Random(1), facts))
    load(traces, random.Random(1), facts)  # what is made once is made before measuring
    gc.collect()
    tracemalloc.start()
    try:
        assembler = Assembler()
        loaded = load(traces, random.Random(1), facts)
        for at in range(0, spans, 512):
            assembler.add(loaded[at : at + 512], 0.0)
        del loaded
        gc.collect()
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    print(f"{load.__name__}: {used / spans:.0f} bytes a span, estimated {assembler.bytes / spans:.0f}")
    assert 0.8 < assembler.bytes / used < 1.2
    assert used / spans <= most, "facts included"


def test_an_assembler_that_is_dropped_is_freed(facts):
    assembler = Assembler()
    assembler.add(agent_trace(facts, 1), 0.0)
    alive = weakref.ref(assembler)
    del assembler
    gc.collect()
    assert alive() is None
