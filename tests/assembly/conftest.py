"""Makers of facts: small, explicit, and adversarial ones from a seed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import pytest

from spanledger_core.calls import Call, CallKey, Change
from spanledger_core.facts import NOBODY, About, Fact, Resource, SpanClass, Usage, Who
from spanledger_processor.assembly.assembler import Assembler
from spanledger_processor.assembly.definition import calls_of

SECOND = 1_000_000_000
BASE = 1_790_000_000 * SECOND


class Ledger:
    """What a store would hold: key -> row. Fails on a withdrawal of what is not there."""

    def __init__(self) -> None:
        self.rows: dict[CallKey, Call] = {}

    def apply(self, changes: Iterable[Change], *, strict: bool = True) -> None:
        for change in changes:
            if change.op == "delete":
                gone = self.rows.pop(change.key, None)
                assert gone is not None or not strict, f"withdrew a row that was never booked: {change.key}"
            else:
                assert change.call is not None
                assert change.call.key == change.key
                self.rows[change.key] = change.call

    def by_span(self) -> dict[tuple[bytes, bytes], Call]:
        found = {(key.trace_id, key.span_id): call for key, call in self.rows.items()}
        assert len(found) == len(self.rows), "two rows for one span"
        return found


@cache
def make_resource(process: str = "p", service: str = "svc", **fields: Any) -> Resource:
    return Resource(process, service, "", **{"who": NOBODY, **fields})


@cache
def make_about(span_class: SpanClass = SpanClass.LLM, reporter: str = "lib", **fields: Any) -> About:
    values: dict[str, Any] = {
        "span_class": span_class,
        "resource": make_resource(),
        "scope_name": reporter.removesuffix("#2"),
        "scope_version": "1",
        "dialect": "test",
        "reporter": reporter,
        "rank": 1,
        "level": 0 if reporter.startswith("c") else 1,
        "helper": False,
        "operation": "chat" if span_class == SpanClass.LLM else "",
        "provider": "openai" if span_class == SpanClass.LLM else "",
        "request_model": "m" if span_class == SpanClass.LLM else "",
        "response_model": "",
        "model_key": "m" if span_class == SpanClass.LLM else "",
        "agent_name": None,
        "agent_placeholder": None,
        "agent_path": None,
        "agent_rule": False,
        "is_error": False,
        "error_type": "",
        "refused": False,
        "is_streaming": None,
        "finish_reason": "",
        "service_tier": "",
        "price_context": (),
    }
    return About(**(values | fields))


def span_id(number: int) -> bytes:
    return number.to_bytes(8, "big")


class Facts:
    """Makes facts of one trace after the other; times are seconds after a fixed instant."""

    about = staticmethod(make_about)
    resource = staticmethod(make_resource)

    def __call__(
        self,
        number: int,
        parent: int = 0,
        *,
        trace: int = 1,
        about: About | None = None,
        times: tuple[float, float] = (0, 1),
        tokens: tuple[int, int] | Usage | None = None,
        response_id: str | None = None,
        who: Who = NOBODY,
        **about_fields: Any,
    ) -> Fact:
        usage = Usage(*tokens) if tokens is not None and not isinstance(tokens, Usage) else tokens
        return Fact(
            bytes([trace]) * 16,
            span_id(number),
            span_id(parent) if parent else b"",
            BASE + int(times[0] * SECOND),
            BASE + int(times[1] * SECOND),
            about or make_about(**about_fields),
            who,
            usage,
            response_id,
        )


@pytest.fixture(scope="session")
def facts() -> Facts:
    return Facts()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


# ---- adversarial sets


class Generator:
    """Facts that contradict, overlap and refer to each other as badly as a seed can arrange."""

    def __init__(self, rnd: random.Random, *, conflicts: bool = True, cycles: bool = False) -> None:
        self.rnd = rnd
        self.conflicts = conflicts
        self.cycles = cycles
        self.traces = [bytes([i]) * 16 for i in range(1, rnd.choice((1, 2, 3, 6)) + 1)]
        self.reporters = rnd.sample(["ca", "cb", "fa", "fb", "fc", "logfire.x", "logfire.x#2"], rnd.randint(1, 5))
        self.processes = ["v"] if rnd.random() < 0.7 else ["v", "w"]
        self.id_share = rnd.choice((0, 0.3, 0.7, 0.95))
        self.ids = [f"rid-{i:08}" for i in range(rnd.choice((1, 3, 10)))] + ["rid-1"]
        self.span_ns = rnd.choice((10_000_000, SECOND, 200 * SECOND))
        self.tokens = [(5, 5), (5, 6), (7, 1), (None, 4)] if rnd.random() < 0.6 else [(i, i) for i in range(30)]
        self.qualities = ["ok"] * 8 + (["suspect", "bad"] if rnd.random() < 0.4 else [])
        self.failures = rnd.choice((0.05, 0.4))
        self.depth = rnd.choice((0, 0, 0.5, 0.9))

    def facts(self, count: int) -> list[Fact]:
        made: list[Fact] = []
        spans: dict[bytes, list[bytes]] = {trace: [] for trace in self.traces}
        for number in range(1, count + 1):
            trace = self.rnd.choice(self.traces)
            made.append(self.fact(trace, span_id(number), self.parent(spans[trace], count)))
            spans[trace].append(span_id(number))
            if self.conflicts and self.rnd.random() < 0.04:
                made.append(self.conflicting(made[-1], spans[trace]))
        return made

    def parent(self, spans: Sequence[bytes], count: int) -> bytes:
        if self.cycles and self.rnd.random() < 0.1:
            return span_id(self.rnd.randint(1, count))
        if spans and self.rnd.random() < self.depth:
            return spans[-1]
        if spans and self.rnd.random() < 0.75:
            return self.rnd.choice(spans)
        return self.rnd.randbytes(8) if self.rnd.random() < 0.2 else self.rnd.choice((b"", b"", bytes(8)))

    def fact(self, trace: bytes, span: bytes, parent: bytes) -> Fact:
        rnd = self.rnd
        span_class = rnd.choices(list(SpanClass), (2, 1, 1, 8, 3))[0]
        start = rnd.randint(0, self.span_ns) if rnd.random() < 0.7 else rnd.randint(0, 5) * self.span_ns // 5
        length = rnd.choice((0, 1000, self.span_ns // 3, self.span_ns, rnd.randint(0, self.span_ns)))
        usage = self.usage(span_class)
        return Fact(
            trace,
            span,
            parent,
            BASE + start,
            BASE + start + length,
            self.about(span_class),
            self.who(),
            usage,
            rnd.choice(self.ids) if span_class == SpanClass.LLM and rnd.random() < self.id_share else None,
        )

    def usage(self, span_class: SpanClass) -> Usage | None:
        rnd = self.rnd
        share = {SpanClass.LLM: 0.75, SpanClass.AGENT: 0.3}.get(span_class, 0.05)
        if rnd.random() >= share:
            return None
        given, made = rnd.choice(self.tokens)
        return Usage(
            given,
            made,
            rnd.choice((0, 0, 2)),
            cache_write_1h=rnd.choice((0, 1)),
            units=rnd.choice(((), (), (("images", 1),))),
            quality=rnd.choice(self.qualities),
        )

    def about(self, span_class: SpanClass) -> About:
        rnd = self.rnd
        is_llm = span_class == SpanClass.LLM
        named = span_class != SpanClass.OTHER or rnd.random() < 0.1
        model = rnd.choice(("m", "m", "m2", "")) if is_llm else ""
        return make_about(
            span_class,
            rnd.choice(self.reporters),
            resource=make_resource(rnd.choice(self.processes), rnd.choice(("svc", ""))),
            agent_name=rnd.choice((None, None, "ann", "bob")) if named else None,
            agent_placeholder=rnd.choice((None, None, None, "LangGraph")) if named else None,
            agent_path=rnd.choice((None, None, "path")) if is_llm else None,
            agent_rule=rnd.random() < 0.2,
            is_error=rnd.random() < self.failures,
            helper=rnd.random() < 0.1,
            model_key=model,
            request_model=model,
            provider=rnd.choice(("openai", "openai", "", "anthropic", "azure.ai.openai")) if is_llm else "",
        )

    def who(self) -> Who:
        rnd = self.rnd
        if rnd.random() < 0.8:
            return NOBODY
        return Who(
            tenant_id=rnd.choice((None, None, "t1", "t2")),
            customer_id=rnd.choice((None, "c1", "c2")),
            session_id=rnd.choice((None, "s1")),
            step=rnd.choice((None, "one", "two")),
        )

    def conflicting(self, fact: Fact, spans: Sequence[bytes]) -> Fact:
        rnd = self.rnd
        return fact._replace(
            parent_id=rnd.choice((fact.parent_id, b"", rnd.choice(spans))),
            end_ns=fact.end_ns + rnd.choice((0, 1)),
            about=rnd.choice((fact.about, make_about(SpanClass.OTHER), make_about(SpanClass.LLM, "ca"))),
            who=rnd.choice((fact.who, NOBODY)),
            usage=rnd.choice((fact.usage, None)),
            response_id=rnd.choice((fact.response_id, None)),
        )


def twin_facts(rnd: random.Random, calls: int) -> list[Fact]:
    """Calls that overlap and look alike, each told by one to four reporters in one trace or several."""
    reporters = ["client", "framework", "gateway", "logs.x", "logs.x#2", "tracer"][: rnd.randint(2, 6)]
    ids, made = itertools.count(1), []
    has_ids, silent, jitter = rnd.choice((0, 0.3, 0.8)), rnd.choice((0, 0.1, 0.6)), rnd.choice((1e-3, 0.2, 2))
    for call in range(calls):
        start = rnd.random() * rnd.choice((0.01, 3, 30))
        end = start + rnd.random() * 3
        tokens = rnd.choice(((100, 10), (100, 11), (100, 12), (7, 0)))
        trace, parent = rnd.randint(1, 4), rnd.choice((0, 900))
        for reporter in rnd.sample(reporters, rnd.randint(1, min(4, len(reporters)))):
            early, late = rnd.random() * jitter, rnd.random() * jitter
            own = rnd.random() < 0.5
            about = make_about(
                SpanClass.LLM,
                reporter,
                agent_name=f"agent-{call}" if rnd.random() < 0.3 else None,
                is_error=rnd.random() < 0.1,
                model_key=rnd.choice(("m", "m", "")),
                request_model="",
            )
            usage = None if rnd.random() < silent else Usage(*tokens, quality=rnd.choice(("ok",) * 9 + ("suspect",)))
            made.append(
                Fact(
                    bytes([10 + rnd.randint(0, 90) if own else trace]) * 16,
                    span_id(next(ids)),
                    b"" if own or not parent else span_id(parent),
                    BASE + int((start - early) * SECOND),
                    BASE + int((end + late) * SECOND),
                    about,
                    NOBODY,
                    usage,
                    f"resp_{call % 5 if rnd.random() < 0.1 else call:010}" if rnd.random() < has_ids else None,
                )
            )
    return made


def cut(rnd: random.Random, facts: Sequence[Fact]) -> list[list[Fact]]:
    """A sequence in batches of random size."""
    batches, at = [], 0
    while at < len(facts):
        size = rnd.choice((1, 1, 2, 3, 5, 8, 20, 100))
        batches.append(list(facts[at : at + size]))
        at += size
    return batches


def check(batches: Sequence[Sequence[Fact]], *, after_every_batch: bool = False) -> dict[tuple[bytes, bytes], Call]:
    """Assemble, hold the rows against the definition, return them by span."""
    assembler, ledger = Assembler(), Ledger()
    seen: list[Fact] = []
    for batch in batches:
        ledger.apply(assembler.add(batch, 0.0))
        seen += batch
        if after_every_batch:
            assert ledger.by_span() == calls_of(seen)
    rows = ledger.by_span()
    assert rows == calls_of(seen)
    return rows


class Tools:
    """The above for test modules, which cannot import a conftest."""

    Ledger = Ledger
    Generator = Generator
    twin_facts = staticmethod(twin_facts)
    cut = staticmethod(cut)
    check = staticmethod(check)


@pytest.fixture(scope="session")
def tools() -> type[Tools]:
    return Tools


@pytest.fixture(scope="session")
def calls(tools: type[Tools]) -> Callable[..., list[Call]]:
    """The calls of a few facts: the same in order, backwards and one by one, and equal to the definition."""

    def of(*given: Fact) -> list[Call]:
        rows = tools.check([given])
        for batches in ([given[::-1]], [[fact] for fact in given], [[fact] for fact in reversed(given)]):
            assert tools.check(batches, after_every_batch=True) == rows
        return sorted(rows.values(), key=lambda call: (call.start_ns, call.span_id))

    return of
