"""What is held in memory: traces, their spans as nodes of a tree, and what a node inherits from above.

A bare span nobody refers to is 16 bytes in its trace; every other span is a `Node`, and one whose
figures matter a `Leaf`. A node stands for its span even before it arrives (`ABSENT`), so that late ancestors find
their children at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from spanledger_core.facts import NOBODY, About, Details, Fact, Usage, Who
from spanledger_processor.assembly import rules
from spanledger_processor.assembly.reports import Context

if TYPE_CHECKING:
    from spanledger_processor.assembly.units import Unit

ABSENT: Final = 1 << 16
"""`Node.kind` of a span that others name as their parent and that has not arrived."""

_NO_PARENT: Final = bytes(8)
_ENTRY: Final = 16
_MAX_PACKED: Final = 2048
"""Bytes of ids."""


NOTHING_INHERITED: Final[Context[Leaf]] = Context(None, False, None, NOBODY, (), (), ())


class Node:
    """A span in its trace's tree."""

    __slots__ = ("about", "below", "child", "context", "kind", "parent", "sibling", "span_id", "trace", "who")

    def __init__(self, trace: Trace, span_id: bytes) -> None:
        self.trace: Trace = trace
        self.span_id = span_id
        self.parent: Node | None = None
        self.child: Node | None = None
        self.sibling: Node | None = None
        self.kind = ABSENT
        self.below = 0
        self.about: About | None = None
        """None for an absent or a bare span."""
        self.who: Who = NOBODY
        self.context: Context[Leaf] = NOTHING_INHERITED

    @property
    def parent_id(self) -> bytes:
        """The parent's span id, empty for a root."""
        return self.parent.span_id if self.parent is not None else b""

    def children(self) -> Iterator[Node]:
        """The spans that name this one as their parent."""
        child = self.child
        while child is not None:
            yield child
            child = child.sibling

    def fact(self) -> Fact | None:
        """The essence it was made of; None for a bare span."""
        if self.about is None:
            return None
        return Fact(self.trace.trace_id, self.span_id, self.parent_id, 0, 0, self.about, self.who, None, None)

    def unlink(self) -> None:
        """Drop the references upward, so that no cycle is left and counting references alone frees it."""
        self.parent = None
        self.context = NOTHING_INHERITED


class Leaf(Node):
    """A span with figures: it may report a call."""

    __slots__ = ("details", "end_ns", "lent", "response_id", "role", "start_ns", "trace_id", "unit", "unit_id", "usage")

    about: About

    def __init__(self, trace: Trace, kind: int, fact: Fact) -> None:
        # Node.__init__ is repeated: a call to it would be a fifth of this.
        self.trace = trace
        self.trace_id = trace.trace_id
        self.parent = self.child = self.sibling = None
        self.kind = kind
        self.below = 0
        self.context = NOTHING_INHERITED
        _, self.span_id, _, self.start_ns, self.end_ns, self.about, self.who, usage, response_id, details = fact
        self.usage: Usage | None = usage
        self.response_id: str | None = response_id
        self.details: Details | None = details
        self.lent: tuple[Leaf, ...] = ()
        """Helper spans directly beneath, which lend fields to a call span."""
        self.role = rules.NOTHING
        self.unit_id: str | None = None
        """The response id under which it is grouped."""
        self.unit: Unit | None = None

    def fact(self) -> Fact:
        """The essence it was made of."""
        return Fact(
            self.trace_id,
            self.span_id,
            self.parent_id,
            self.start_ns,
            self.end_ns,
            self.about,
            self.who,
            self.usage,
            self.response_id,
            self.details,
        )


class Trace:
    """The retained spans of one trace: nodes, and (span id, parent id) of bare spans nobody refers to.

    The latter are packed into bytes, the ids of the spans before those of their parents; a dict once there are many.
    """

    __slots__ = ("_many", "_packed", "epoch", "late", "nodes", "trace_id")

    def __init__(self, trace_id: bytes, late: bool) -> None:
        self.trace_id = trace_id
        self.nodes: dict[bytes, Node] = {}
        self.epoch = -1
        """When it last received a span, in the units of `Recency`."""
        self.late = late
        """Part of it has left memory earlier."""
        self._packed = b""
        self._many: dict[bytes, bytes] | None = None

    @property
    def bare_spans(self) -> int:
        """How many spans are packed away."""
        return len(self._many) if self._many is not None else len(self._packed) // _ENTRY

    def pack(self, span_id: bytes, parent_id: bytes) -> bool:
        """Remember a bare span; False if it is known already."""
        packed = self._packed
        if not packed:
            if self._many is None:
                self._packed = span_id + (parent_id or _NO_PARENT)
                return True
            if span_id in self._many:
                return False
            self._many[span_id] = parent_id
            return True
        half = len(packed) >> 1
        if packed.find(span_id, 0, half) >= 0 and self._find(span_id) >= 0:
            return False
        self._packed = packed = b"".join((packed[:half], span_id, packed[half:], parent_id or _NO_PARENT))
        if half >= _MAX_PACKED:
            half += 8
            self._many = {packed[at : at + 8]: packed[half + at : half + at + 8] for at in range(0, half, 8)}
            self._packed = b""
        return True

    def unpack(self, span_id: bytes) -> bytes | None:
        """Take a bare span out; its parent's id, empty for a root, or None if the span is not here."""
        packed = self._packed
        if packed:
            half = len(packed) >> 1
            at = packed.find(span_id, 0, half)
            if at & 7 and at > 0:
                at = self._find(span_id)
            if at < 0:
                return None
            half += at
            parent_id = packed[half : half + 8]
            self._packed = b"".join((packed[:at], packed[at + 8 : half], packed[half + 8 :]))
        elif self._many is None or span_id not in self._many:
            return None
        else:
            parent_id = self._many.pop(span_id)
        return b"" if parent_id in (_NO_PARENT, span_id) else parent_id

    def _find(self, span_id: bytes) -> int:
        half = len(self._packed) >> 1
        at = self._packed.find(span_id, 0, half)
        while at & 7 and at >= 0:  # found across the border of two ids
            at = self._packed.find(span_id, at + 1, half)
        return at
