"""Changes: what the store must be told after a batch, from the units whose row may have moved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from spanledger_core.calls import Call, CallKey, Change
from spanledger_processor.assembly import rules
from spanledger_processor.assembly.merging import merge, merge_one
from spanledger_processor.assembly.reports import Context, Evidence
from spanledger_processor.assembly.state import Leaf
from spanledger_processor.assembly.units import Unit

_OPEN: Final = ("resource", "none")
"""Sources of an agent's name where no span has named one."""

Basis: TypeAlias = Context[Leaf] | tuple[Evidence[Leaf], ...]
"""Everything a row is a function of, beside its canonical leaf: the same basis, the same row."""


def changes_of(touched: Iterable[Unit]) -> tuple[list[Change], list[Change]]:
    """Withdrawals and rows, to be told in this order. A row that comes and goes within one batch is never told."""
    new = tuple.__new__  # a named tuple's own constructor is a slow Python function
    gone: dict[CallKey, tuple[Leaf, Basis]] = {}
    rows: list[tuple[Change, Leaf, Basis]] = []
    for unit in touched:
        before, booked = unit.basis, unit.booked_leaf
        if unit.alive and unit.leads:
            leaves = (unit.leaf,) if unit.slots is None and not unit.others else _leaves(unit)
            leaf = leaves[0]
            is_alone = len(leaves) == 1 and not leaf.lent
            basis = leaf.context if is_alone else tuple([Evidence(leaf, leaf.context, leaf.lent) for leaf in leaves])
            if leaf is booked and (basis is before or basis == before):
                continue
            if booked is not None and before is not None:
                gone[_booked_key(unit, booked)] = (booked, before)
            call = _call(unit, leaf, basis)
            tenant_id, agent_id = call.who.tenant_id or "", call.agent_id
            key = new(CallKey, (leaf.trace_id, leaf.span_id, leaf.start_ns, agent_id, tenant_id))
            rows.append((new(Change, ("put", key, call)), leaf, basis))
            unit.booked_leaf, unit.basis = leaf, basis
            unit.booked_agent, unit.booked_tenant = agent_id, tenant_id
            unit.booked_open = call.agent_source in _OPEN
        elif booked is not None and before is not None:
            gone[_booked_key(unit, booked)] = (booked, before)
            unit.booked_leaf = unit.basis = None
    if not gone:
        return [], [change for change, _, _ in rows]
    puts = [change for change, leaf, basis in rows if gone.pop(change.key, None) != (leaf, basis)]
    return [new(Change, ("delete", key, None)) for key in gone], puts


def _booked_key(unit: Unit, leaf: Leaf) -> CallKey:
    return tuple.__new__(CallKey, (leaf.trace_id, leaf.span_id, leaf.start_ns, unit.booked_agent, unit.booked_tenant))


def _leaves(unit: Unit) -> Sequence[Leaf]:
    """The reports of the call a unit leads, in canonical order."""
    leaves = [leaf for member in (unit, *unit.followers()) for leaf in member.members()]
    leaves.sort(key=rules.canonical)
    return leaves


def _call(unit: Unit, leaf: Leaf, basis: Basis) -> Call:
    is_aggregate = unit.layer is rules.SUM_LAYER
    if isinstance(basis, Context):
        if is_aggregate or not basis.enclosing:
            return merge_one(leaf, basis, is_aggregate, leaf.trace.late)
        basis = (Evidence(leaf, basis, ()),)
    late = False
    for member in basis:
        late = late or member.report.trace.late
    return merge(basis, is_aggregate, late)
