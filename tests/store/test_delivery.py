"""When a refusal is believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from spanledger_core.clock import SystemClock
from spanledger_core.errors import StoreRefused
from spanledger_exporter.blocks import Block
from spanledger_exporter.dead_letters import DeadLetters
from spanledger_exporter.delivery import Delivery
from spanledger_exporter.outbox import Outbox


class Refusing:
    """A store that refuses in the given words, then takes."""

    def __init__(self, words: Iterator[str]) -> None:
        self._words = words
        self.taken = 0

    def prepare(self, rows: Any, tombstones: Any, token: str) -> list[Block]:
        return [Block(token, 0, len(rows), b"")]

    def insert(self, block: Block) -> None:
        for said in self._words:
            raise StoreRefused(said, 62)
        self.taken += block.rows


@pytest.mark.parametrize(
    ("words", "taken"),
    [
        (["constraint violated"] * 2, 1),
        (["constraint violated"] * 3, 0),
        (["syntax error at 7", "syntax error at 7", "unknown setting asynd_insert", "syntax error at 9"], 1),
        ([f"syntax error at {place}" for place in range(99)], 0),
    ],
    ids=["twice", "three times the same", "damage", "too often"],
)
def test_only_what_is_said_again_in_the_same_words_is_believed(
    row: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], taken: int
) -> None:
    store, letters = Refusing(iter(words)), DeadLetters(tmp_path, 1 << 20)
    monkeypatch.setattr(Event, "wait", lambda self, timeout=None: self.is_set())
    delivery = Delivery(store, Outbox(None), letters, SystemClock(), giving_up=Event(), metrics=None)
    delivery.deliver([row(1)], [], 1)
    assert store.taken == taken
    assert len(letters.paths()) == 1 - taken
