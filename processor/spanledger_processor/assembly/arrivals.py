"""Arrival of facts: into the trace they belong to, repeats ignored, differing reports of one span settled.

Which of several differing reports of one span is kept is decided by a total order on what they say, so arrival order
and repetition cannot matter. Bits beneath a span cannot be turned off again, so the trace of a span whose report
is replaced is rebuilt once after the batch; that is rare.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from spanledger_core.facts import NOBODY, About, Fact
from spanledger_processor.assembly import rules
from spanledger_processor.assembly.recency import Recency
from spanledger_processor.assembly.state import ABSENT, Leaf, Node, Trace
from spanledger_processor.assembly.tree import Tree
from spanledger_processor.assembly.units import Units

# Estimated bytes of what is kept, calibrated with tracemalloc (tests/assembly/test_bounds.py).
_TRACE_BYTES: Final = 450
_NODE_BYTES: Final = 245
_LEAF_BYTES: Final = 600
_BARE_BYTES: Final = 16
_MAX_KINDS: Final = 8192

Kept: TypeAlias = tuple[Fact | None, bytes]
"""The essence of a span, None if it is bare, and its parent's id."""


class Arrivals:
    """Takes facts into traces and keeps their trees."""

    def __init__(self, tree: Tree, units: Units, recency: Recency, stats: dict[str, int]) -> None:
        self.traces: dict[bytes, Trace] = {}
        self._tree = tree
        self._units = units
        self._recency = recency
        self._stats = stats
        self._replaced: dict[bytes, dict[bytes, Kept]] = {}
        self._kinds: dict[int, tuple[About, int, int, int]] = {}
        """`rules.kinds_by` by the identity of what it was made of: abouts are shared, and dear to compare."""
        self._nodes = 0
        self._leaves = 0
        self._bare = 0

    @property
    def estimated_bytes(self) -> int:
        """Estimated memory of everything retained."""
        return (
            len(self.traces) * _TRACE_BYTES
            + self._nodes * _NODE_BYTES
            + self._leaves * _LEAF_BYTES
            + self._bare * _BARE_BYTES
        )

    def take(self, facts: Iterable[Fact]) -> None:
        """Take the facts of one spool record."""
        traces, recency, kinds = self.traces, self._recency, self._kinds
        epoch = recency.epoch
        spans = packed = 0
        for fact in facts:
            spans += 1
            # a tuple taken apart costs a fifth of its fields asked for one by one
            trace_id, span_id, parent_id, _, _, about, who, usage, _, _ = fact
            trace = traces.get(trace_id)
            if trace is None:
                trace = self._new_trace(trace_id)
            if trace.epoch != epoch:
                recency.touch(trace)
            known = kinds.get(id(about)) or self._kinds_of(about)
            kind = known[1] if usage is None else known[2] if usage.quality == "ok" else known[3]
            if who is not NOBODY and who != NOBODY:
                kind |= rules.NAMED
            node = trace.nodes.get(span_id)
            if node is not None and node.kind != ABSENT:
                self._take_again(trace, node, fact)
            elif kind:
                if node is None and trace.unpack(span_id) is not None:
                    packed -= 1
                    self._stats["conflicts"] += 1  # a fuller report of a bare span replaces it
                self._fill(trace, node, kind, fact)
            elif node is not None:
                self._fill_bare(trace, node, rules.parent_of(fact))
            elif trace.pack(span_id, parent_id):
                packed += 1
            else:
                self._pack_again(trace, fact)
        self._bare += packed
        self._stats["spans"] += spans
        while self._replaced:
            trace_id, replaced = self._replaced.popitem()
            self._rebuild(self.traces[trace_id], replaced)

    def forget(self, trace: Trace, leaves: int) -> int:
        """Drop a trace, `leaves` of whose nodes are leaves; returns how many of its spans had been kept."""
        nodes, trace.nodes = trace.nodes, {}
        del self.traces[trace.trace_id]
        spans = trace.bare_spans + len(nodes)
        self._bare -= trace.bare_spans
        self._nodes -= len(nodes)
        self._leaves -= leaves
        for node in nodes.values():
            node.unlink()
            if node.kind == ABSENT:
                spans -= 1
        return spans

    def _kinds_of(self, about: About) -> tuple[About, int, int, int]:
        if len(self._kinds) >= _MAX_KINDS:
            self._kinds.clear()
        known = self._kinds[id(about)] = rules.kinds_by(about)
        return known

    def _new_trace(self, trace_id: bytes) -> Trace:
        late = self._recency.was_forgotten(trace_id)
        trace = self.traces[trace_id] = Trace(trace_id, late)
        self._stats["late"] += late
        return trace

    # ---- bare spans

    def _pack_again(self, trace: Trace, fact: Fact) -> None:
        """Another report of a bare span nobody refers to: the greater parent id is the truth."""
        known, offered = trace.unpack(fact.span_id) or b"", rules.parent_of(fact)
        self._stats["repeats" if known == offered else "conflicts"] += 1
        trace.pack(fact.span_id, max(known, offered))

    def _fill_bare(self, trace: Trace, node: Node, parent_id: bytes) -> None:
        node.kind = 0
        self._link(trace, node, parent_id)

    # ---- spans with names or figures

    def _fill(self, trace: Trace, absent: Node | None, kind: int, fact: Fact) -> None:
        node: Node
        if kind & rules.REPORT:
            node = trace.nodes[fact.span_id] = Leaf(trace, kind, fact)
            self._leaves += 1
            if absent is None:
                self._nodes += 1
            else:
                _replace(absent, node)
        else:
            node = absent or self._new_node(trace, fact.span_id)
            node.kind = kind
            node.about = fact.about
            node.who = fact.who
        self._link(trace, node, rules.parent_by(fact[1], fact[2]))

    def _link(self, trace: Trace, node: Node, parent_id: bytes) -> None:
        """Hang a present node under its parent, which may be absent, or bare and packed away."""
        parent = trace.nodes.get(parent_id) if parent_id else None
        if parent is not None:
            node.parent, node.sibling, parent.child = parent, parent.child, node
        elif parent_id:
            self._link_to_new(trace, node, parent_id)
            return
        self._tree.arrive(node)

    def _link_to_new(self, trace: Trace, node: Node, parent_id: bytes) -> None:
        """The same where the parent is no node yet; unpacked parents arrive too, the uppermost first."""
        unpacked = []
        while parent_id:
            parent = trace.nodes.get(parent_id)
            grandparent_id: bytes | None = None
            if parent is None:
                parent = self._new_node(trace, parent_id)
                grandparent_id = trace.unpack(parent_id)
            node.parent, node.sibling, parent.child = parent, parent.child, node
            if grandparent_id is None:
                break
            self._bare -= 1
            parent.kind = 0
            unpacked.append(node)
            node, parent_id = parent, grandparent_id
        self._tree.arrive(node)
        while unpacked:
            self._tree.arrive(unpacked.pop())

    def _new_node(self, trace: Trace, span_id: bytes) -> Node:
        node = trace.nodes[span_id] = Node(trace, span_id)
        self._nodes += 1
        return node

    # ---- differing reports of one span

    def _take_again(self, trace: Trace, node: Node, fact: Fact) -> None:
        """Another report of a span that is present: a repeat, a lesser one, or one that replaces it."""
        pending = self._replaced.get(trace.trace_id)
        current = pending.get(node.span_id) if pending is not None else None
        if current is None:
            current = (node.fact(), node.parent_id)
        offered = (rules.essence(fact), rules.parent_of(fact))
        if offered == current:
            self._stats["repeats"] += 1
            return
        self._stats["conflicts"] += 1
        if rules.precedence(*offered) > rules.precedence(*current):
            self._replaced.setdefault(trace.trace_id, {})[node.span_id] = offered

    def _rebuild(self, trace: Trace, replaced: dict[bytes, Kept]) -> None:
        old = trace.nodes
        kept: dict[bytes, Kept] = {}
        for node in old.values():
            if isinstance(node, Leaf):
                self._units.leave(node)
                self._tree.dirty.pop(node, None)
                self._leaves -= 1
            if node.kind != ABSENT:
                kept[node.span_id] = (node.fact(), node.parent_id)
        kept.update(replaced)
        self._nodes -= len(old)
        trace.nodes = {}
        for span_id, (fact, parent_id) in kept.items():
            before = trace.nodes.get(span_id)
            if fact is not None:
                self._fill(trace, before, rules.kind_of(fact), fact)
            else:
                self._fill_bare(trace, before or self._new_node(trace, span_id), parent_id)
        for node in old.values():
            node.unlink()


def _replace(absent: Node, node: Node) -> None:
    """Put a node where an absent one held its place."""
    node.child, node.below = absent.child, absent.below
    for child in node.children():
        child.parent = node
    absent.unlink()
