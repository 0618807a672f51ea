"""The incremental assembler: after every batch the live rows equal `definition.calls_of` the retained facts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from spanledger_core.calls import Change
from spanledger_core.facts import Fact
from spanledger_processor.assembly.arrivals import Arrivals
from spanledger_processor.assembly.booking import changes_of
from spanledger_processor.assembly.eviction import Eviction
from spanledger_processor.assembly.matching import Matching
from spanledger_processor.assembly.recency import Recency
from spanledger_processor.assembly.tree import Tree
from spanledger_processor.assembly.units import Units

COUNTERS = (
    "spans",
    "repeats",
    "conflicts",
    "cycles",
    "id_contradicted",
    "edges",
    "puts",
    "deletes",
    "evicted_traces",
    "evicted_spans",
    "evicted_open",
    "forced",
    "late",
)
"""Keys of `Assembler.stats`.

`repeats`: reports that said nothing new; `conflicts`: differing reports of one span; `cycles`: parent cycles closed
(of up to 64 spans); `id_contradicted`: response ids whose bearers cannot be one call; `edges`: pairs compared as
twins; `evicted_open`: rows that left memory without an agent; `forced`: traces evicted for space before their age;
`late`: traces of which a part had left earlier.
"""


@dataclass(frozen=True)
class AssemblySettings:
    """Bounds of what assembly remembers."""

    horizon_s: float = 3600.0
    """How long a trace is kept after its last span."""
    max_bytes: int = 1 << 30
    """Estimated memory beyond which the oldest traces leave early."""
    max_forgotten: int = 1_000_000
    """Traces that left memory and are still recognised when they come back."""


class Assembler:
    """Facts in, changes of calls out; one instance per booking process, not thread-safe.

    Traces hold their spans in reference cycles that are broken on eviction, so counting references frees everything.
    The cyclic collector only costs time here (a full collection walks every retained span): the booking process
    should call `gc.freeze()` after start, `gc.disable()`, and collect by hand when idle.
    """

    def __init__(self, settings: AssemblySettings | None = None) -> None:
        settings = settings or AssemblySettings()
        self.stats: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        self._recency = Recency(settings.horizon_s, settings.max_forgotten)
        self._tree = Tree(self.stats)
        self._matching = Matching(self.stats)
        self._units = Units(self._matching, self.stats)
        self._arrivals = Arrivals(self._tree, self._units, self._recency, self.stats)
        self._eviction = Eviction(self._arrivals, self._units, self._recency, settings.max_bytes, self.stats)

    @property
    def traces(self) -> int:
        """Traces in memory."""
        return len(self._arrivals.traces)

    @property
    def bytes(self) -> int:
        """Estimated memory of what is retained."""
        return self._arrivals.estimated_bytes

    def add(self, facts: Iterable[Fact], now_s: float) -> list[Change]:
        """Take the facts of one spool record that arrived at `now_s` seconds; say what has changed.

        The changes are a function of the records so far and this one. After a restart, replay the retained records
        one by one (never several as one batch) and drop the changes of those the store has confirmed.
        """
        self._recency.advance(now_s)
        self._arrivals.take(facts)
        dirty, self._tree.dirty = self._tree.dirty, {}
        self._units.update(dirty)
        self._matching.settle()
        touched, self._matching.touched = self._matching.touched, {}
        deletes, puts = changes_of(touched)
        self.stats["deletes"] += len(deletes)
        self.stats["puts"] += len(puts)
        self._eviction.run()
        return deletes + puts
