"""The definition of assembly: the calls of a set of facts, as a pure function of that set.

Slow, recursive and without state; the specification that the incremental `Assembler` is tested against after any
batching, repetition and order of arrival. Only predicates and orders (`rules`) and the merging of reports into a call
(`merging`) are shared.

For a span x with children c (least fixpoints, so a parent cycle cannot go on for ever; the words are in `rules`):

    trusted(x)  some c is a call span with trusted usage, or c is no barrier and trusted(c)
    called(x)   the same for call spans of any kind
    used(x)     some c is a call span with any usage, or used(c)
    summed(x)   some c is an AGENT span with usage, or summed(c)

    PRICED     a call span with trusted usage, not trusted(x)
    SILENT     a call span without trusted usage (none, invented, or failed), not called(x), and failed or not
               enclosed by a call span with trusted usage up to the next barrier
    AGGREGATE  an AGENT span with usage, neither used(x) nor summed(x)

PRICED and SILENT leaves are grouped into units by response id, units are matched as twins layer by layer
(`matching` has the words), and every unit that leads is a call.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeAlias

from spanledger_core.calls import Call
from spanledger_core.facts import NOBODY, Fact
from spanledger_processor.assembly import rules
from spanledger_processor.assembly.merging import merge
from spanledger_processor.assembly.reports import Context, Evidence
from spanledger_processor.assembly.rules import Layer, Weight

SpanKey: TypeAlias = tuple[bytes, bytes]


class _Unit(NamedTuple):
    members: tuple[Fact, ...]
    response_id: str | None

    @property
    def layer(self) -> Layer:
        first = self.members[0]
        return rules.layer_of(first, rules.kind_of(first), self.response_id)


def calls_of(facts: Iterable[Fact]) -> dict[SpanKey, Call]:
    """The calls that a set of facts reports, by the trace and span id of their canonical span."""
    return _Definition(facts).calls()


class _Definition:
    def __init__(self, facts: Iterable[Fact]) -> None:
        kept: dict[SpanKey, tuple[Fact | None, bytes]] = {}
        for fact in facts:
            key, offered = (fact.trace_id, fact.span_id), (rules.essence(fact), rules.parent_of(fact))
            if key not in kept or rules.precedence(*offered) > rules.precedence(*kept[key]):
                kept[key] = offered
        self._kept = kept
        self._children: dict[SpanKey, list[SpanKey]] = defaultdict(list)
        for (trace_id, span_id), (_, parent_id) in kept.items():
            if parent_id:
                self._children[trace_id, parent_id].append((trace_id, span_id))

    def calls(self) -> dict[SpanKey, Call]:
        leaves: dict[int, list[Fact]] = defaultdict(list)
        for key, (fact, _) in self._kept.items():
            if fact is not None:
                enclosing = self._evidence(fact).context.enclosing
                leaves[rules.role_of(self._kind(key), self._below(key), bool(enclosing))].append(fact)
        calls: dict[SpanKey, Call] = {}
        for members in _matched(self._units(leaves[rules.PRICED] + leaves[rules.SILENT])):
            members.sort(key=rules.canonical)
            call = merge([self._evidence(fact) for fact in members], is_aggregate=False, needs_lookup=False)
            calls[call.trace_id, call.span_id] = call
        for fact in leaves[rules.AGGREGATE]:
            call = merge([self._evidence(fact)], is_aggregate=True, needs_lookup=False)
            calls[call.trace_id, call.span_id] = call
        return calls

    def _kind(self, key: SpanKey) -> int:
        fact = self._kept[key][0]
        return rules.kind_of(fact) if fact is not None else 0

    # ---- beneath and above a span

    def _below(self, key: SpanKey) -> int:
        def some(is_hit: Callable[[int], bool], crosses_barriers: bool) -> bool:
            pending, seen = list(self._children[key]), set()
            while pending:
                child = pending.pop()
                if child in seen:
                    continue
                seen.add(child)
                kind = self._kind(child)
                if is_hit(kind):
                    return True
                if crosses_barriers or not kind & rules.BARRIER:
                    pending.extend(self._children[child])
            return False

        return (
            rules.TRUSTED * some(lambda kind: bool(kind & rules.TRUSTED), crosses_barriers=False)
            | rules.CALL * some(lambda kind: bool(kind & rules.CALL), crosses_barriers=False)
            | rules.USED * some(lambda kind: bool(kind & rules.USED), crosses_barriers=True)
            | rules.SUM * some(lambda kind: bool(kind & rules.SUM), crosses_barriers=True)
        )

    def _ancestors(self, key: SpanKey) -> Iterator[SpanKey]:
        """The contiguously present ancestors, nearest first, each once."""
        seen = {key}
        while True:
            parent_id = self._kept[key][1]
            key = (key[0], parent_id)
            if not parent_id or key in seen or key not in self._kept:
                return
            seen.add(key)
            yield key

    def _evidence(self, fact: Fact) -> Evidence[Fact]:
        key = (fact.trace_id, fact.span_id)
        agent, by_rule, placeholder, who = None, False, None, NOBODY
        enclosing: list[Fact] = []
        muted: list[Fact] = []
        sums: list[Fact] = []
        passed_barrier = False
        for step, span in enumerate((key, *self._ancestors(key))):
            node = self._kept[span][0]
            if node is None:
                continue
            if agent is None and node.about.agent_name is not None:
                agent, by_rule = node.about.agent_name, node.about.agent_rule
            placeholder = placeholder or node.about.agent_placeholder
            who = rules.merge_who(who, node.who)
            kind = self._kind(span) if step else 0
            if kind & rules.CALL and not passed_barrier:
                (enclosing if kind & rules.TRUSTED else muted).append(node)
            if kind & rules.SUM:
                sums.append(node)
            passed_barrier = passed_barrier or bool(kind & rules.BARRIER)
        above = (tuple(spans[: rules.MAX_ABOVE]) for spans in (enclosing, muted, sums))
        return Evidence(fact, Context(agent, by_rule, placeholder, who, *above), self._lent(key))

    def _lent(self, key: SpanKey) -> tuple[Fact, ...]:
        if not self._kind(key) & rules.CALL:
            return ()
        helpers = [child for child in self._children[key] if self._kind(child) & rules.HELPER and child != key]
        found = [fact for fact in (self._kept[helper][0] for helper in helpers) if fact is not None]
        return tuple(sorted(found, key=rules.canonical)[: rules.MAX_LENT])

    # ---- units

    def _units(self, leaves: list[Fact]) -> list[_Unit]:
        groups: dict[str, list[Fact]] = defaultdict(list)
        units: list[_Unit] = []
        for fact in leaves:
            kind = rules.kind_of(fact)
            response_id = rules.unit_id(fact, kind, self._evidence(fact).context.enclosing)
            if response_id is None:
                units.append(_Unit((fact,), None))
            else:
                groups[response_id].append(fact)
        for response_id, members in groups.items():
            if len(members) > rules.MAX_ID_BEARERS or rules.contradict(members):
                units += (_Unit((fact,), None) for fact in members)
            else:
                units.append(_Unit(tuple(sorted(members, key=rules.canonical)), response_id))
        return units


# ---- twins


def _matched(units: list[_Unit]) -> Iterator[list[Fact]]:
    """The members of every call: layered stable matching, greedy over strictly ordered edges."""
    leaders: list[tuple[_Unit, list[Fact]]] = []
    for layer in sorted({unit.layer for unit in units}):
        free = [unit for unit in units if unit.layer == layer]
        edges = sorted(_edges(free, leaders))
        taken: set[int] = set()
        matched: set[int] = set()
        for _, mine, theirs in edges:
            if mine not in matched and theirs not in taken:
                matched.add(mine)
                taken.add(theirs)
                leaders[theirs][1].extend(free[mine].members)
        leaders += [(unit, list(unit.members)) for index, unit in enumerate(free) if index not in matched]
    return (members for _, members in leaders)


def _edges(free: list[_Unit], leaders: list[tuple[_Unit, list[Fact]]]) -> Iterator[tuple[Weight, int, int]]:
    for mine, unit in enumerate(free):
        first = unit.members[0]
        is_used = unit.layer[0] == rules.USED_LAYERS
        may_be = rules.are_used_twins if is_used else rules.are_silent_twins
        for theirs, (leader, _) in enumerate(leaders):
            if unit.layer == rules.ID_LAYER or not rules.may_join(unit.layer, leader.layer):
                continue
            if unit.response_id is not None and leader.response_id is not None:
                continue
            if any(member.about.reporter == first.about.reporter for member in leader.members):
                continue
            weights = [rules.weight(first, member) for member in leader.members if may_be(first, member)]
            if weights:
                yield min(weights), mine, theirs
