"""Where twins are looked for: the leaves of one process, one lane per reporter, nearest in time first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from spanledger_processor.assembly import rules
from spanledger_processor.assembly.rules import Layer, Weight
from spanledger_processor.assembly.state import Leaf
from spanledger_processor.assembly.times import TimeList

_SMALL_TRACE: Final = 64
"""Nodes up to which all leaves of a trace are asked, rather than found by time."""


class Lane:
    """The leaves of one reporter in one process."""

    __slots__ = ("_unsorted", "by_input", "leaves", "silent")

    def __init__(self) -> None:
        self._unsorted: set[Leaf] = set()
        """While no second reporter makes twins possible, nobody searches: the leaves need no order."""
        self.leaves = TimeList()
        """All of them, once there is a second reporter."""
        self.silent = TimeList()
        """Representatives of units without trusted usage."""
        self.by_input: dict[int | None, Leaf | TimeList] | None = None
        """Leaves with trusted usage by input tokens, once there is a second reporter."""

    def __bool__(self) -> bool:
        """False if no leaf is left."""
        return bool(self.leaves or self._unsorted)

    def open(self) -> None:
        """Begin to sort by start, and to index by input tokens."""
        unsorted, self._unsorted = self._unsorted, set()
        self.by_input = {}
        for leaf in sorted(unsorted, key=_start):
            self.add(leaf)

    def add(self, leaf: Leaf) -> None:
        """Enter a leaf."""
        if self.by_input is None:
            self._unsorted.add(leaf)
            return
        self.leaves.add(leaf)
        if leaf.usage is None or not leaf.kind & rules.TRUSTED:
            return
        tokens = leaf.usage.input
        same = self.by_input.setdefault(tokens, leaf)
        if isinstance(same, TimeList):
            same.add(leaf)
        elif same is not leaf:
            several = self.by_input[tokens] = TimeList()
            several.add(same)
            several.add(leaf)

    def remove(self, leaf: Leaf) -> None:
        """Take a leaf out."""
        if self.by_input is None:
            self._unsorted.discard(leaf)
            return
        self.leaves.remove(leaf)
        if leaf.usage is None or not leaf.kind & rules.TRUSTED:
            return
        same = self.by_input[leaf.usage.input]
        if isinstance(same, TimeList):
            same.remove(leaf)
        if same is leaf or (isinstance(same, TimeList) and not same):
            del self.by_input[leaf.usage.input]

    def near_used(self, leaf: Leaf) -> tuple[list[Leaf], list[Leaf]]:
        """Leaves with trusted usage that may be twins of `leaf`, see `TimeList.near`."""
        same = self.by_input.get(leaf.usage.input) if self.by_input is not None and leaf.usage is not None else None
        if isinstance(same, TimeList):
            return same.near(leaf, rules.SLACK_NS if leaf.parent is None else rules.SIBLING_NS)
        return ([], [same]) if same is not None else ([], [])


class Process:
    """The lanes of one sending process."""

    __slots__ = ("lanes",)

    def __init__(self) -> None:
        self.lanes: dict[str, Lane] = {}

    @property
    def may_have_twins(self) -> bool:
        """True once a second reporter has been seen."""
        return len(self.lanes) > 1

    def add(self, leaf: Leaf) -> None:
        """Enter a leaf."""
        reporter = leaf.about.reporter
        lane = self.lanes.get(reporter)
        if lane is None:
            lane = self.lanes[reporter] = Lane()
            if len(self.lanes) > 1:
                for each in self.lanes.values():
                    if each.by_input is None:
                        each.open()
        lane.add(leaf)

    def is_empty(self) -> bool:
        """True if no leaf is left."""
        return not any(self.lanes.values())

    def others(self, leaf: Leaf) -> Iterator[Lane]:
        """The lanes of other reporters than the leaf's."""
        reporter = leaf.about.reporter
        return (lane for name, lane in self.lanes.items() if name != reporter)

    def later_layers(self, leader: Layer) -> Iterator[Layer]:
        """The layers whose units may join a call led by a unit of layer `leader`."""
        for reporter, lane in self.lanes.items():
            numbers = (rules.USED_LAYERS,) if lane.by_input else ()
            for number in (*numbers, rules.SILENT_LAYERS, rules.FAILED_LAYERS) if lane.silent else numbers:
                layer = rules.layer(number, reporter)
                if rules.may_join(layer, leader):
                    yield layer


def _start(leaf: Leaf) -> int:
    return leaf.start_ns


def closest(
    leaf: Leaf,
    near: tuple[list[Leaf], list[Leaf]],
    bid: Callable[[Leaf], Weight | None],
    best: tuple[Weight, Leaf] | None,
) -> tuple[Weight, Leaf] | None:
    """The leaf with the least weight among `near` (as `TimeList.near` gives it) and `best`.

    A pair's weight is at least the distance of its starts, so once the best lies inside `leaf` or around it, leaves
    of other traces that start farther away than its distance cannot win. Leaves of the same trace win at any
    distance, and may have been asked before (`best_of_trace`).
    """
    start, trace = leaf.start_ns, leaf.trace
    is_small = len(trace.nodes) <= _SMALL_TRACE
    for side in near:
        limit = _limit(best)
        for other in side:
            if limit is not None and abs(other.start_ns - start) > limit:
                if is_small:
                    break
                if other.trace is not trace:
                    continue
            weight = bid(other)
            if weight is not None and (best is None or weight < best[0]):
                best = (weight, other)
                limit = _limit(best)
    return best


def best_of_trace(
    leaf: Leaf, bid: Callable[[Leaf], Weight | None], best: tuple[Weight, Leaf] | None
) -> tuple[Weight, Leaf] | None:
    """The leaf with the least weight in the same trace, if that is small enough to ask them all."""
    nodes = leaf.trace.nodes
    if 1 < len(nodes) <= _SMALL_TRACE:
        for other in nodes.values():
            weight = bid(other) if isinstance(other, Leaf) and other is not leaf else None
            if weight is not None and isinstance(other, Leaf) and (best is None or weight < best[0]):
                best = (weight, other)
    return best


def _limit(best: tuple[Weight, Leaf] | None) -> int | None:
    return None if best is None or best[0][1] else best[0][2]


def is_hopeless(held: Weight, a: Leaf, b: Leaf) -> bool:
    """True where the pair cannot have a smaller weight than `held`, whatever their ends."""
    elsewhere = a.trace is not b.trace
    if elsewhere != held[0]:
        return elsewhere
    return not held[1] and abs(a.start_ns - b.start_ns) > held[2]
