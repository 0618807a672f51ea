"""Traces leave memory by age, then for space. Leaving changes no row."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from spanledger_processor.assembly.arrivals import Arrivals
from spanledger_processor.assembly.recency import Recency
from spanledger_processor.assembly.state import Leaf, Trace
from spanledger_processor.assembly.units import Units

_MAX_SPANS_PER_RUN: Final = 4096
"""After a pause everything is old at once; letting it all go at once would stop booking for seconds."""


class Eviction:
    """Lets the traces heard of least recently go, each with the traces it shares calls with."""

    def __init__(
        self, arrivals: Arrivals, units: Units, recency: Recency, max_bytes: int, stats: dict[str, int]
    ) -> None:
        self._arrivals = arrivals
        self._units = units
        self._recency = recency
        self._max_bytes = max_bytes
        self._stats = stats

    def run(self) -> None:
        """Evict what is older than the horizon, and as much more as the byte budget demands."""
        recency = self._recency
        spans = 0
        over = self._arrivals.estimated_bytes > self._max_bytes
        while over or spans < _MAX_SPANS_PER_RUN:
            trace = recency.oldest()
            if trace is None or not (over or recency.is_old(trace.epoch)):
                break
            family = _family(trace)
            youngest = trace if len(family) == 1 else max(family, key=_epoch)
            is_young = not recency.is_old(youngest.epoch)
            if is_young and not over:
                recency.wait_for(trace, youngest)  # one of its calls may still change
                continue
            self._stats["forced"] += len(family) if is_young else 0
            for member, leaves in family.items():
                spans += self._evict(member, leaves)
            over = self._arrivals.estimated_bytes > self._max_bytes
        self._stats["evicted_spans"] += spans

    def _evict(self, trace: Trace, leaves: Collection[Leaf]) -> int:
        for leaf in leaves:
            unit = leaf.unit
            if unit is not None:
                if unit.booked_open and unit.booked_leaf is leaf:
                    self._stats["evicted_open"] += 1
                self._units.forget(leaf)
        self._stats["evicted_traces"] += 1
        self._recency.forget(trace)
        return self._arrivals.forget(trace, len(leaves))


def _epoch(trace: Trace) -> int:
    return trace.epoch


def _family(trace: Trace) -> dict[Trace, list[Leaf]]:
    """This trace and the ones tied to it by calls they share, which leave together; with their leaves."""
    family: dict[Trace, list[Leaf]] = {}
    pending = {trace: None}
    while pending:
        member, _ = pending.popitem()
        leaves = family[member] = [node for node in member.nodes.values() if isinstance(node, Leaf)]
        for leaf in leaves:
            unit = leaf.unit
            leader = unit.leader or unit if unit is not None else None
            if leader is None or not (leader.others or leader.slots):
                continue
            for each in (leader, *leader.followers()):
                for shared in each.members():
                    if shared.trace not in family:
                        pending[shared.trace] = None
    return family
