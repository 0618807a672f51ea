"""Leaves sorted by start, searched by nearness in time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Final

from spanledger_processor.assembly import rules
from spanledger_processor.assembly.state import Leaf

_LONGEST_STRETCH: Final = 1024
_BEFORE_ALL: Final = -(1 << 64)


class TimeList:
    """Leaves by start, in stretches of bounded length.

    Spans arrive when they end, not in the order of their starts, and leave memory from the front. In one long list
    each of these would move half of it: at thousands of calls a second that would cost more than everything else.
    """

    __slots__ = ("_firsts", "_longest", "_stretches")

    def __init__(self) -> None:
        self._stretches: list[tuple[list[int], list[Leaf]]] = [([], [])]
        """Starts and the leaves that have them, none empty unless it is the only one."""
        self._firsts: list[int] = [_BEFORE_ALL]
        """From where on leaves belong into each stretch: the first takes all that come before the second."""
        self._longest = 0

    def __iter__(self) -> Iterator[Leaf]:
        return (leaf for _, leaves in self._stretches for leaf in leaves)

    def __bool__(self) -> bool:
        """False if no leaf is left."""
        return bool(self._stretches[0][0])

    def add(self, leaf: Leaf) -> None:
        """Enter a leaf."""
        start = leaf.start_ns
        number = bisect_right(self._firsts, start) - 1
        starts, leaves = self._stretches[number]
        at = bisect_right(starts, start)
        starts.insert(at, start)
        leaves.insert(at, leaf)
        duration = leaf.end_ns - start
        if duration > self._longest:  # noqa: PLR1730 - a call of max() for every leaf
            self._longest = duration
        if len(starts) > _LONGEST_STRETCH:
            self._halve(number)

    def _halve(self, number: int) -> None:
        starts, leaves = self._stretches[number]
        half = len(starts) // 2
        self._stretches.insert(number + 1, (starts[half:], leaves[half:]))
        self._firsts.insert(number + 1, starts[half])
        del starts[half:], leaves[half:]

    def remove(self, leaf: Leaf) -> None:
        """Take out a leaf that is in the list."""
        number = bisect_left(self._firsts, leaf.start_ns) - 1
        starts, leaves = self._stretches[number]
        at = bisect_left(starts, leaf.start_ns)
        while at == len(leaves) or leaves[at] is not leaf:
            at += 1
            if at >= len(leaves):  # of leaves that start together some may stand in the next stretch
                number, at = number + 1, 0
                starts, leaves = self._stretches[number]
        del starts[at], leaves[at]
        if not starts and len(self._stretches) > 1:
            del self._stretches[number], self._firsts[number]
            self._firsts[0] = _BEFORE_ALL

    def near(self, leaf: Leaf, slack_ns: int) -> tuple[list[Leaf], list[Leaf]]:
        """Leaves that start before `leaf` and ones that start with it or later, the nearest first in both.

        All whose interval comes within `slack_ns` of its interval and whose start is at most a minute away; more may
        be returned: the caller compares exactly.
        """
        start = leaf.start_ns
        before = self._between(start - min(rules.FAR_NS, self._longest + slack_ns), start)
        before.reverse()
        return before, self._between(start, min(start + rules.FAR_NS, leaf.end_ns + slack_ns) + 1)

    def _between(self, low: int, high: int) -> list[Leaf]:
        """The leaves that start in [low, high)."""
        number = bisect_left(self._firsts, low) - 1
        starts, leaves = self._stretches[number]
        here, end = bisect_left(starts, low), bisect_left(starts, high)
        found = leaves[here:end]
        while end == len(starts) and number + 1 < len(self._stretches):
            number += 1
            starts, leaves = self._stretches[number]
            end = bisect_left(starts, high)
            found += leaves[:end]
        return found
