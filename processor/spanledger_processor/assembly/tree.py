"""The tree of a trace: what lies beneath a span goes up as bits, names and enclosing reports go down.

Bits only ever turn on, and a late ancestor extends a path only at its top, so a nearest value once found stays
nearest: both cost a constant amount per span, whatever the depth, size and order of arrival.
"""

from __future__ import annotations

from typing import Final

from spanledger_processor.assembly import rules
from spanledger_processor.assembly.reports import Context
from spanledger_processor.assembly.state import NOTHING_INHERITED, Leaf, Node

_CYCLE_WALK: Final = 64
_HANDS_DOWN: Final = rules.CALL | rules.BARRIER
"""Spans that hand down something else than they have."""

_new = tuple.__new__
"""A named tuple's own constructor is a Python function and costs four times as much as filling the tuple."""


class Tree:
    """Keeps `below` and `context` of every node, and collects the leaves whose part in a call may have changed."""

    def __init__(self, stats: dict[str, int]) -> None:
        self.dirty: dict[Leaf, None] = {}
        self._stats = stats

    def arrive(self, node: Node) -> None:
        """Settle a node that has just become present and is linked to its parent."""
        parent, kind = node.parent, node.kind
        if parent is None:
            inherited = NOTHING_INHERITED
        else:
            inherited = _handed_down(parent) if parent.kind & _HANDS_DOWN else parent.context
        node.context = _with_own(node, inherited) if kind & rules.NAMED else inherited
        if isinstance(node, Leaf):
            self.dirty[node] = None
            if kind & rules.HELPER:
                self._lend(node, parent)
        if node.child is not None:
            self._meet_children(node)
        if parent is not None:
            self._up(node, parent)

    def _meet_children(self, node: Node) -> None:
        """Children that came before their parent: they inherit now, and may lend what they have."""
        if node.parent is not None and _closes_cycle(node):
            self._stats["cycles"] += 1
        self._down(node)
        if node.kind & rules.CALL:
            for child in node.children():
                if isinstance(child, Leaf) and child.kind & rules.HELPER:
                    self._lend(child, node)

    def _up(self, node: Node, parent: Node | None) -> None:
        """Tell the ancestors what lies beneath them, until one knows already."""
        while parent is not None:
            known, kind = parent.below, node.kind
            # what a span has beneath it goes up; through a barrier only what is seen at any depth
            beneath = node.below & rules.CROSSES_BARRIER if kind & rules.BARRIER else node.below
            below = known | kind & rules.BENEATH | beneath
            if below == known:
                return
            parent.below = below
            if isinstance(parent, Leaf):
                self.dirty[parent] = None
            node, parent = parent, parent.parent

    def _down(self, node: Node) -> None:
        """Hand on what is inherited from a node that has arrived, until it changes nothing."""
        pending = [node]
        while pending:
            node = pending.pop()
            inherited = _handed_down(node)
            child = node.child
            while child is not None:
                context = _with_own(child, inherited) if child.kind & rules.NAMED else inherited
                if context is not child.context and context != child.context:
                    child.context = context
                    if isinstance(child, Leaf):
                        self.dirty[child] = None
                    if child.child is not None:
                        pending.append(child)
                child = child.sibling

    def _lend(self, helper: Leaf, caller: Node | None) -> None:
        if isinstance(caller, Leaf) and caller.kind & rules.CALL and helper not in caller.lent:
            lent = sorted((*caller.lent, helper), key=rules.canonical)
            caller.lent = tuple(lent[: rules.MAX_LENT])
            self.dirty[caller] = None


def _closes_cycle(node: Node) -> bool:
    above = node.parent
    for _ in range(_CYCLE_WALK):
        if above is None:
            return False
        if above is node:
            return True
        above = above.parent
    return False


def _with_own(node: Node, inherited: Context[Leaf]) -> Context[Leaf]:
    """What a node that names something adds to what it inherits."""
    about = node.about
    if about is None:
        return inherited
    agent, by_rule, placeholder, who, enclosing, muted, sums = inherited
    if about.agent_name is not None:
        agent, by_rule = about.agent_name, about.agent_rule
    placeholder = about.agent_placeholder or placeholder
    return _new(Context, (agent, by_rule, placeholder, rules.merge_who(node.who, who), enclosing, muted, sums))


def _handed_down(node: Node) -> Context[Leaf]:
    """What the children of a node inherit: its own context, itself as a report, no calls past a barrier."""
    context, kind = node.context, node.kind
    if not kind & _HANDS_DOWN:
        return context
    agent, by_rule, placeholder, who, enclosing, muted, sums = context
    if kind & rules.BARRIER:
        if not (enclosing or muted or kind & rules.SUM):
            return context
        enclosing = muted = ()
        if kind & rules.SUM and isinstance(node, Leaf):
            sums = (node, *sums[: rules.MAX_ABOVE - 1])
    elif isinstance(node, Leaf):
        if kind & rules.TRUSTED:
            enclosing = (node, *enclosing[: rules.MAX_ABOVE - 1])
        else:
            muted = (node, *muted[: rules.MAX_ABOVE - 1])
    return _new(Context, (agent, by_rule, placeholder, who, enclosing, muted, sums))
