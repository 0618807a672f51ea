"""The incremental assembler against the definition: any order, any batching, any repetition."""

from __future__ import annotations

import os
import random
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanledger_core.facts import SpanClass
from spanledger_processor.assembly.assembler import Assembler
from spanledger_processor.assembly.definition import calls_of

SEEDS = int(os.environ.get("SPANLEDGER_ASSEMBLY_SEEDS", "240"))


@pytest.mark.parametrize("cycles", [False, True], ids=["trees", "parent cycles"])
@pytest.mark.parametrize("part", range(4))
def test_any_order_batching_and_repetition_gives_the_calls_of_the_set(tools, part: int, cycles: bool) -> None:
    for seed in range(part, SEEDS, 4):
        rnd = random.Random(seed)
        made = tools.Generator(rnd, conflicts=rnd.random() < 0.5, cycles=cycles).facts(rnd.randint(3, 60))
        for repetition in range(3):
            facts = made + (rnd.sample(made, len(made) // 3) if repetition else [])
            rnd.shuffle(facts)
            tools.check(tools.cut(rnd, facts), after_every_batch=seed % 5 == 0)


@pytest.mark.parametrize("part", range(2))
def test_crowds_of_twins_are_matched_the_same_in_any_order(tools, part: int) -> None:
    for seed in range(part, SEEDS // 2, 2):
        rnd = random.Random(seed)
        made = tools.twin_facts(rnd, rnd.randint(2, 25))
        for _ in range(3):
            rnd.shuffle(made)
            tools.check(tools.cut(rnd, made), after_every_batch=seed % 5 == 0)


@settings(max_examples=SEEDS // 2, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_small_set_in_any_order_gives_the_calls_of_the_set(tools, data) -> None:
    made = tools.Generator(random.Random(data.draw(st.integers(0, 2**32))), cycles=data.draw(st.booleans())).facts(
        data.draw(st.integers(1, 8))
    )
    order = data.draw(st.permutations(made))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(order)))))
    batches = [order[low:high] for low, high in pairwise([0, *cuts, len(order)])]
    tools.check([*batches, data.draw(st.permutations(made))], after_every_batch=True)


def test_a_trace_of_thousands_of_spans_gives_the_same_calls_in_any_order(tools, facts) -> None:
    rnd = random.Random(5)
    classes = (SpanClass.AGENT, SpanClass.TOOL, SpanClass.CHAIN, SpanClass.OTHER)
    made = [facts(1, span_class=SpanClass.OTHER)]
    for number in range(2, 3000):
        parent = rnd.randrange(max(1, number - 300), number)
        times = (number / 100, number / 100 + rnd.random())
        if rnd.random() < 0.4:
            made.append(facts(number, parent, tokens=rnd.choice(((number, 5), None)), times=times))
        else:
            name = rnd.choice((None, None, f"agent-{number}"))
            made.append(facts(number, parent, span_class=rnd.choice(classes), agent_name=name, times=times))
    expected = calls_of(made)
    for order in (made, made[::-1], rnd.sample(made, len(made))):
        ledger, assembler = tools.Ledger(), Assembler()
        for batch in tools.cut(rnd, order):
            ledger.apply(assembler.add(batch, 0.0))
        assert ledger.by_span() == expected


def test_a_chain_of_thousands_of_bare_spans_is_no_recursion(facts, ledger) -> None:
    chain = [facts(number, number - 1, span_class=SpanClass.OTHER) for number in range(2, 5000)]
    agent, call = facts(1, span_class=SpanClass.AGENT, agent_name="boss"), facts(5000, 4999, tokens=(1, 1))
    for order in ([*chain, call, agent], [call, *reversed(chain), agent], [agent, *chain, call]):
        ledger, assembler = type(ledger)(), Assembler()
        for fact in order:
            ledger.apply(assembler.add([fact], 0.0))
        (row,) = ledger.rows.values()
        assert row.agent_id == "boss"
