"""Captured traffic of real libraries: whatever the order, batching and repetition, the rows are those of the set."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from spanledger_core.clock import ManualClock
from spanledger_core.facts import Fact
from spanledger_core.otlp import parse_traces
from spanledger_processor.assembly.assembler import Assembler
from spanledger_processor.assembly.definition import calls_of
from spanledger_processor.normalise.normaliser import Normaliser
from spanledger_processor.normalise.settings import NormaliserSettings

pytestmark = pytest.mark.corpus

REPOSITORY = Path(__file__).parents[2]
CORPORA = (REPOSITORY.parent / "shared" / "corpus" / "dev", REPOSITORY / "tests" / "data" / "corpus")
ROUNDS = int(os.environ.get("SPANLEDGER_CORPUS_ROUNDS", "4"))
AFTER_CAPTURE = ManualClock(1_796_500_000 * 1_000_000_000)

Scenario = list[list[Fact]]


@pytest.fixture(scope="module")
def scenarios() -> dict[str, Scenario]:
    """Every captured scenario: its requests in order of arrival, each a list of facts."""
    normaliser = Normaliser(NormaliserSettings(), AFTER_CAPTURE)
    found: dict[str, Scenario] = {}
    for folder in sorted(folder for corpus in CORPORA if corpus.is_dir() for folder in corpus.iterdir()):
        requests = [parse_traces(path.read_bytes()) for path in sorted(folder.glob("request-*.pb"))]
        if requests:
            found.setdefault(folder.name, [list(normaliser.batch(request).facts) for request in requests])
    if not found:
        pytest.skip(f"no captured traffic in {' or '.join(map(str, CORPORA))}")
    return found


def orders(scenario: Scenario, rnd: random.Random, tools) -> Iterator[list[list[Fact]]]:
    """The same facts in other orders and batches: requests shuffled, spans alone, everything twice, cut anyhow."""
    spans = [fact for request in scenario for fact in request]
    yield rnd.sample(scenario, len(scenario))
    yield [[fact] for fact in reversed(spans)]
    yield [[fact] for fact in rnd.sample(spans, len(spans))]
    yield [request for request in rnd.sample(scenario, len(scenario)) for _ in range(2)]
    for _ in range(ROUNDS):
        repeated = spans + rnd.sample(spans, len(spans) // 2)
        yield tools.cut(rnd, rnd.sample(repeated, len(repeated)))


def test_any_order_of_a_scenario_gives_the_same_calls(scenarios, tools):
    wrong = []
    for seed, (name, scenario) in enumerate(scenarios.items()):
        expected = calls_of(fact for request in scenario for fact in request)
        for number, batches in enumerate(([*scenario], *orders(scenario, random.Random(seed), tools))):
            ledger, assembler = tools.Ledger(), Assembler()
            for batch in batches:
                ledger.apply(assembler.add(batch, 0.0))
            if ledger.by_span() != expected:
                wrong.append(f"{name} (order {number})")
    assert not wrong


def test_two_scenarios_interleaved_give_the_calls_of_both(scenarios, tools):
    rnd = random.Random(1)
    names = sorted(scenarios)
    for name in names:
        other = rnd.choice(names)
        both = [fact for each in {name, other} for request in scenarios[each] for fact in request]
        ledger, assembler = tools.Ledger(), Assembler()
        for batch in tools.cut(rnd, rnd.sample(both, len(both))):
            ledger.apply(assembler.add(batch, 0.0))
        apart = [calls_of(fact for request in scenarios[each] for fact in request) for each in {name, other}]
        assert ledger.by_span() == {span: call for calls in apart for span, call in calls.items()}, f"{name}, {other}"


def test_all_scenarios_in_one_assembler_shuffled_give_the_calls_of_each(scenarios, tools):
    everything = [fact for scenario in scenarios.values() for request in scenario for fact in request]
    expected = {}
    for scenario in scenarios.values():
        expected |= calls_of(fact for request in scenario for fact in request)
    rnd = random.Random(2)
    ledger, assembler = tools.Ledger(), Assembler()
    repeated = everything + rnd.sample(everything, len(everything) // 3)
    for batch in tools.cut(rnd, rnd.sample(repeated, len(repeated))):
        ledger.apply(assembler.add(batch, 0.0))
    assert ledger.by_span() == expected


def test_a_restart_in_the_middle_of_a_scenario_changes_nothing(scenarios, tools):
    for seed, (name, scenario) in enumerate(scenarios.items()):
        rnd = random.Random(seed)
        spans = [fact for request in scenario for fact in request]
        records = tools.cut(rnd, rnd.sample(spans, len(spans)))
        confirmed = rnd.randint(0, len(records))
        ledger, lost, again = tools.Ledger(), Assembler(), Assembler()
        for number, record in enumerate(records):
            changes = lost.add(record, 0.0)
            if number < confirmed:
                ledger.apply(changes)
            elif number == confirmed:  # the store took a part of them and never said so
                ledger.apply(changes[: rnd.randint(0, len(changes))])
        for number, record in enumerate(records):
            changes = again.add(record, 0.0)
            if number >= confirmed:
                ledger.apply(changes, strict=False)
        assert ledger.by_span() == calls_of(spans), name
