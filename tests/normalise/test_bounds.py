"""Everything remembered has a bound, and threads may share a normaliser."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from spanledger_processor.normalise import reader as reading
from spanledger_processor.normalise import rulebook


def flood(reader: Any, span: Callable[..., Any], spans: int) -> None:
    for start in range(0, spans, 1000):
        made = [
            span(
                f"chat {number}",
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.agent.name": f"agent {number}",
                    "gen_ai.request.model": f"model {number}",
                    f"unknown.key.{number}": number,
                    "server.port": number,
                    "user.id": f"user {number}",
                    "metadata": f'{{"customer_id": "c{number}"}}',
                },
                span_id=(number + 1).to_bytes(8, "big"),
            )
            for number in range(start, start + 1000)
        ]
        batch = reader.batch(*made, scope=f"scope {start}", resource={"service.name": f"service {start}"})
        assert len({fact.about.agent_name for fact in batch.facts}) == 1000
        assert batch.facts[5].who.customer_id == f"c{start + 5}"


def test_what_is_remembered_is_bounded(reader: Any, span: Callable[..., Any], monkeypatch: Any) -> None:
    monkeypatch.setattr(reading, "_MAX_READINGS", 500)
    monkeypatch.setattr(reading, "_MAX_TEMPLATES", 300)
    monkeypatch.setattr(reading, "_MAX_ABOUTS", 400)
    monkeypatch.setattr(rulebook, "_MAX_ATOMS", 600)
    monkeypatch.setattr(rulebook, "_MAX_KNOWN", 700)
    monkeypatch.setattr(rulebook, "_MAX_UNKNOWN_KEYS", 800)
    monkeypatch.setattr(rulebook, "_MAX_DOCUMENTS", 100)
    flood(reader, span, 4000)
    normaliser = reader.normaliser
    shared = normaliser._shared
    assert len(shared.readings) <= 500
    assert len(shared.templates) <= 300
    assert len(shared._abouts) <= 400
    for book in normaliser._books.values():
        assert len(book._atoms) <= 600
        assert len(book._known) <= 700
        assert len(book._documents) <= 100
        assert book._unknown <= 800


def test_threads_share_a_normaliser(reader: Any, span: Callable[..., Any], monkeypatch: Any) -> None:
    monkeypatch.setattr(rulebook, "_MAX_ATOMS", 50)
    monkeypatch.setattr(rulebook, "_MAX_KNOWN", 50)
    monkeypatch.setattr(reading, "_MAX_READINGS", 20)

    def work(thread: int) -> list[tuple[str | None, int | None]]:
        found = []
        for turn in range(30):
            names = [f"agent {thread}-{turn}-{number % 7}" for number in range(20)]
            made = [
                span(
                    "chat",
                    {"gen_ai.operation.name": "chat", "gen_ai.agent.name": name, "gen_ai.usage.input_tokens": turn + 1},
                )
                for name in names
            ]
            facts = reader.batch(*made).facts
            assert [fact.about.agent_name for fact in facts] == names
            found += [(fact.about.agent_name, fact.usage.input) for fact in facts]
        return found

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(work, range(4)))
    for thread, found in enumerate(results):
        assert len(found) == 600
        assert all(name is not None and name.startswith(f"agent {thread}-{tokens - 1}-") for name, tokens in found)
