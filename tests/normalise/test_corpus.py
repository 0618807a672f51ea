"""Captured exports: for every call whose usage or names the trace shows, a fact of its spans says the same.

Judged before assembly: the fields of one call may lie on several of its facts (its twins), its names on ancestors.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from spanledger_core import otlp
from spanledger_core.clock import ManualClock
from spanledger_core.facts import Fact, SpanClass
from spanledger_processor.normalise.normaliser import Normaliser
from spanledger_processor.normalise.settings import NormaliserSettings

CAPTURED_NS = 1_795_400_000_000_000_000
INTERCHANGEABLE = [{"gcp.gemini", "gcp.vertex_ai", "gcp.gen_ai"}, {"openai", "azure.ai.openai"}]


class Scenario(NamedTuple):
    name: str
    facts: dict[str, Fact]
    calls: list[tuple[dict[str, Any], dict[str, Any]]]
    """What reached the provider, and what of it is visible."""

    def of(self, visible: dict[str, Any]) -> list[Fact]:
        return [self.facts[span] for span in visible.get("spans", ()) if span in self.facts]

    def upwards(self, fact: Fact) -> Iterator[Fact]:
        seen = set()
        found: Fact | None = fact
        while found is not None and found.span_id not in seen:
            seen.add(found.span_id)
            yield found
            found = self.facts.get(found.parent_id.hex())


def scenarios(corpus: Path) -> Iterator[Scenario]:
    for folder in sorted(entry for entry in corpus.iterdir() if (entry / "visible.json").is_file()):
        normaliser = Normaliser(NormaliserSettings(), ManualClock(CAPTURED_NS))
        facts: dict[str, Fact] = {}
        for path in sorted(folder.glob("request-*.pb")):
            batch = normaliser.batch(otlp.parse_traces(path.read_bytes()))
            assert not batch.refusals
            facts |= {fact.span_id.hex(): fact for fact in batch.facts if fact.span_id.hex() not in facts}
        calls = [json.loads(line) for line in (folder / "calls.jsonl").read_text().splitlines() if line]
        visible = json.loads((folder / "visible.json").read_text())["calls"]
        yield Scenario(folder.name, facts, list(zip(calls, visible, strict=True)))


class Tally:
    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.right: Counter[str] = Counter()
        self.wrong: list[str] = []

    def count(self, what: str, right: bool, where: str) -> None:
        self.asked[what] += 1
        self.right[what] += right
        if not right:
            self.wrong.append(f"{what}: {where}")

    def share(self, what: str) -> float:
        return 100.0 * self.right[what] / self.asked[what] if self.asked[what] else 100.0


def has_tokens(facts: Iterable[Fact], visible: dict[str, Any]) -> bool:
    usages = [fact.usage for fact in facts if fact.about.span_class == SpanClass.LLM and fact.usage is not None]
    expected, buckets = visible["expect"], visible["buckets_visible"]
    totals = [
        usage for usage in usages
        if (usage.input or 0) == expected["input"] and (usage.output or 0) == expected["output"]
    ]  # fmt: skip
    details = [bucket for bucket in buckets if bucket not in ("input", "output")]
    if totals and all(any(getattr(usage, bucket) == expected[bucket] for usage in usages) for bucket in details):
        return True
    accepted = [entry["tokens"] for entry in visible.get("library_wrong", ())]
    return any(
        (usage.input or 0) == tokens["input"] and (usage.output or 0) == tokens["output"]
        for usage in usages
        for tokens in accepted
    )


def is_provider(said: str, true: str) -> bool:
    return said == true or any(said in group and true in group for group in INTERCHANGEABLE)


def judge(scenario: Scenario, tally: Tally) -> None:
    for call, visible in scenario.calls:
        facts = scenario.of(visible)
        reports = [fact for fact in facts if fact.about.span_class == SpanClass.LLM]
        where = f"{scenario.name} call {call['call']} ({call['label']})"
        if not call["billed"]:
            for fact in reports:
                tally.count("refused", fact.about.refused and fact.usage is None, where)
            continue
        if visible["tokens_visible"] and visible["where"] in ("attribute", "json"):
            tally.count("tokens", has_tokens(facts, visible), where)
        if visible["row_expected"] and reports:
            tally.count("provider", any(is_provider(fact.about.provider, call["provider"]) for fact in reports), where)
            models = {(fact.about.response_model, fact.about.request_model) for fact in reports}
            if visible["model_visible"] and visible["response_model_visible"]:
                # a span that gives no response model leaves the requested one to the row
                tally.count("model", any((said or asked) == call["response_model"] for said, asked in models), where)
            elif visible["model_visible"]:
                tally.count("model", any(call["request_model"] in pair for pair in models), where)
        for name in ("customer", "session", "user"):
            wanted = [*(call[name] if isinstance(call[name], list) else [call[name]]), *call.get(f"{name}_also_ok", ())]
            said = {nearest(scenario.upwards(fact), f"{name}_id") for fact in facts} - {None}
            if call[name] and visible[f"{name}_visible"]:
                tally.count(name, bool(said & set(wanted)), where)
            if call[name]:
                tally.count(f"wrong {name}", not said - set(wanted), where)
        if call["agent"] and visible["agent_visible"]:
            wanted = [call["agent"], *call["agent_also_ok"]]
            tally.count("agent", any(agent(scenario, fact) in wanted for fact in facts), where)


def nearest(facts: Iterable[Fact], field: str) -> str | None:
    return next((value for fact in facts if (value := getattr(fact.who, field)) is not None), None)


def agent(scenario: Scenario, fact: Fact) -> str | None:
    names = (above.about.agent_name for above in scenario.upwards(fact))
    return next((name for name in names if name is not None), fact.about.agent_path)


BARS = {
    "tokens": 99.5,
    "provider": 99.0,
    "model": 98.5,
    "customer": 97.0,
    "session": 97.0,
    "user": 97.0,
    "wrong customer": 100.0,
    "wrong session": 100.0,
    "wrong user": 100.0,
    "agent": 98.0,
    "refused": 99.0,
}


def report(tally: Tally) -> str:
    shares = [f"{what} {tally.right[what]}/{tally.asked[what]} {tally.share(what):.2f} %" for what in BARS]
    return "\n".join([", ".join(shares), *tally.wrong])


def test_the_small_corpus_is_read_without_a_miss(small_corpus: Path) -> None:
    tally = Tally()
    for scenario in scenarios(small_corpus):
        judge(scenario, tally)
    print(report(tally))
    assert tally.asked["tokens"] > 15
    assert not tally.wrong, report(tally)


@pytest.mark.corpus
def test_the_whole_corpus_is_read_above_the_bars(whole_corpus: Path) -> None:
    tally = Tally()
    for scenario in scenarios(whole_corpus):
        judge(scenario, tally)
    print(report(tally))
    low = {what: round(tally.share(what), 2) for what, bar in BARS.items() if tally.share(what) < bar}
    assert not low, f"{low}\n{report(tally)}"
