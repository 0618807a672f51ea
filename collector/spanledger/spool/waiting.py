"""How much of a spool waits to be booked, counted in blocks so that a long outage costs no memory."""

from __future__ import annotations

import sqlite3
from collections import deque
from typing import Final, NamedTuple

from spanledger.spool.database import SQL

_BLOCKS: Final = 1024
"""Up to this many records are counted one by one; beyond, blocks of this part of the bound in bytes are."""


class _Block(NamedTuple):
    last: int
    facts: int
    bytes: int
    since_ms: int


class Waiting:
    """Facts and bytes that were taken and are not confirmed. The spool's lock guards it."""

    def __init__(self, max_bytes: int) -> None:
        self._block_bytes = max_bytes // _BLOCKS
        self._blocks: deque[_Block] = deque()
        self.facts = 0
        self.bytes = 0

    @property
    def blocks(self) -> int:
        """What the counting itself takes."""
        return len(self._blocks)

    @property
    def since_ms(self) -> int | None:
        """When the oldest record came that waits, as the spool counts time; None if nothing does."""
        return self._blocks[0].since_ms if self._blocks else None

    def recover(self, opened: sqlite3.Connection, confirmed: int, last: int) -> None:
        """Count what a spool that is opened has waiting behind `confirmed`."""
        self._blocks.clear()
        self.facts = self.bytes = 0
        size = max(1, (last - confirmed) // _BLOCKS)
        for row in opened.execute(SQL["waiting"], (confirmed, confirmed + 1, size)):
            block = _Block(*row)
            self.add(block.facts, block.bytes)
            self._blocks.append(block)

    def add(self, facts: int, size: int) -> None:
        """Something was taken."""
        self.facts += facts
        self.bytes += size

    def remove(self, facts: int, size: int) -> None:
        """It was not, after all."""
        self.facts -= facts
        self.bytes -= size

    def committed(self, sequence: int, facts: int, size: int, now_ms: int) -> None:
        """What was taken is a record now."""
        if len(self._blocks) >= _BLOCKS and self._blocks[-1].bytes + size <= self._block_bytes:
            _, other_facts, other_size, now_ms = self._blocks.pop()
            facts, size = facts + other_facts, size + other_size
        self._blocks.append(_Block(sequence, facts, size, now_ms))

    def confirm(self, sequence: int) -> None:
        """Everything up to `sequence` waits no longer; a block counts until its last record is confirmed."""
        while self._blocks and self._blocks[0].last <= sequence:
            _, facts, size, _ = self._blocks.popleft()
            self.remove(facts, size)
