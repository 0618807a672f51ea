"""Units: one leaf, or all leaves that carry one response id, in whatever trace and process.

Leaves of one id stay separate units where they contradict each other, and where there are so many of them that the id
is none (`rules.MAX_ID_BEARERS`). Both are functions of the set of leaves, so the order of arrival cannot matter.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from spanledger_processor.assembly import rules
from spanledger_processor.assembly.rules import Layer, Weight
from spanledger_processor.assembly.state import Leaf

if TYPE_CHECKING:
    from spanledger_processor.assembly.booking import Basis
    from spanledger_processor.assembly.matching import Matching


class Unit:
    """Leaves that report one call beyond doubt, and their part in the matching."""

    __slots__ = (
        "alive",
        "basis",
        "booked_agent",
        "booked_leaf",
        "booked_open",
        "booked_tenant",
        "layer",
        "leader",
        "leads",
        "leaf",
        "others",
        "response_id",
        "slots",
        "weight",
    )

    def __init__(self, leaf: Leaf, others: tuple[Leaf, ...], response_id: str | None, layer: Layer) -> None:
        self.leaf = leaf
        """The representative: the first member in canonical order."""
        self.others = others
        self.response_id = response_id
        """None also where the id is no id."""
        self.layer = layer
        self.alive = True
        self.leads = False
        self.leader: Unit | None = None
        self.weight: Weight | None = None
        self.slots: dict[Layer, Unit] | None = None
        # The row last emitted for the call this unit leads: its key and what it was a function of.
        self.booked_leaf: Leaf | None = None
        self.booked_agent = ""
        self.booked_tenant = ""
        self.basis: Basis | None = None
        self.booked_open = False
        """No span has named its agent yet."""

    def members(self) -> tuple[Leaf, ...]:
        """Its leaves in canonical order."""
        return (self.leaf, *self.others)

    def is_reported_by(self, reporter: str) -> bool:
        """True if one of its leaves comes from this reporter."""
        if not self.others:
            return self.leaf.about.reporter == reporter
        return any(leaf.about.reporter == reporter for leaf in self.members())

    def held(self, layer: Layer) -> Unit | None:
        """The unit of a layer that is matched to this one."""
        return self.slots.get(layer) if self.slots is not None else None

    def hold(self, unit: Unit) -> None:
        """Fill the slot of the unit's layer."""
        if self.slots is None:
            self.slots = {}
        self.slots[unit.layer] = unit

    def release(self, layer: Layer) -> None:
        """Empty the slot of a layer."""
        if self.slots is not None:
            del self.slots[layer]

    def followers(self) -> tuple[Unit, ...]:
        """The units matched to this one."""
        return tuple(self.slots.values()) if self.slots else ()


class _Group:
    """The leaves that carry one response id, where there are several."""

    __slots__ = ("contradicts", "members", "split", "stays_split", "unit")

    def __init__(self, members: tuple[Leaf, ...]) -> None:
        self.members = dict.fromkeys(members)
        self.unit: Unit | None = None
        self.split = False
        self.contradicts = False
        self.stays_split = False
        """Members have left memory while it was split: rows must not change for that."""


class Units:
    """Keeps every leaf in the unit it belongs to."""

    def __init__(self, matching: Matching, stats: dict[str, int]) -> None:
        self._matching = matching
        self._stats = stats
        self._groups: dict[str, Leaf | _Group] = {}
        self._changed: dict[str, None] = {}

    def update(self, leaves: Iterable[Leaf]) -> None:
        """Settle leaves whose surroundings have changed: their role, their id, their unit."""
        for leaf in leaves:
            context = leaf.context
            role = rules.role_of(leaf.kind, leaf.below, bool(context.enclosing))
            unit, unit_id = leaf.unit, leaf.unit_id
            if role != leaf.role or unit_id is None or unit_id is not leaf.response_id:
                # an id of its own, once found usable, stays that of a call whatever comes above it
                unit_id = rules.unit_id(leaf, leaf.kind, context.enclosing) if role else None
            if role == leaf.role and unit_id == leaf.unit_id:
                if unit is not None:
                    self._matching.touched[unit.leader or unit] = None
                continue
            if unit is not None:
                self.leave(leaf)
            leaf.role = role
            if unit_id is not None:
                self._join(leaf, unit_id)
            elif role:
                self._stand_alone(leaf)
        self._regroup()

    def leave(self, leaf: Leaf) -> None:
        """Take a leaf out of its unit, whose other members find a new one."""
        leaf.role = rules.NOTHING
        unit, leaf.unit = leaf.unit, None
        unit_id, leaf.unit_id = leaf.unit_id, None
        if unit is not None:
            self._matching.end(unit)
        if unit_id is None:
            return
        group = self._groups[unit_id]
        if not isinstance(group, _Group):
            del self._groups[unit_id]
            return
        del group.members[leaf]
        if len(group.members) <= rules.MAX_ID_BEARERS:
            self._changed[unit_id] = None  # of more bearers, one less changes nothing

    def forget(self, leaf: Leaf) -> None:
        """A leaf leaves memory together with all the calls it is part of; rows stay as they are."""
        unit, leaf.unit = leaf.unit, None
        if unit is not None and unit.alive:
            self._matching.remove(unit)
            unit.leader = unit.slots = unit.booked_leaf = unit.basis = None
        unit_id, leaf.unit_id = leaf.unit_id, None
        if unit_id is None:
            return
        group = self._groups[unit_id]
        if isinstance(group, _Group):
            del group.members[leaf]
            group.stays_split = group.split
            if not group.members:
                del self._groups[unit_id]
        else:
            del self._groups[unit_id]

    def _stand_alone(self, leaf: Leaf) -> None:
        layer = rules.SUM_LAYER if leaf.role == rules.AGGREGATE else rules.layer_of(leaf, leaf.kind, None)
        leaf.unit = Unit(leaf, (), None, layer)
        self._matching.add(leaf.unit)

    def _join(self, leaf: Leaf, unit_id: str) -> None:
        leaf.unit_id = unit_id
        group = self._groups.get(unit_id)
        if group is None:
            self._groups[unit_id] = leaf
            leaf.unit = Unit(leaf, (), unit_id, rules.layer_of(leaf, leaf.kind, unit_id))
            self._matching.add(leaf.unit)
            return
        if not isinstance(group, _Group):
            only = group
            group = self._groups[unit_id] = _Group((only,))
            group.unit = only.unit
        group.members[leaf] = None
        if group.split and (group.stays_split or len(group.members) > rules.MAX_ID_BEARERS + 1):
            self._stand_alone(leaf)
        else:
            self._changed[unit_id] = None

    def _regroup(self) -> None:
        changed, self._changed = self._changed, {}
        for unit_id in changed:
            group = self._groups.get(unit_id)
            if not isinstance(group, _Group):
                continue
            members = tuple(group.members)
            if not members:
                self._end(group)
                del self._groups[unit_id]
                continue
            too_many = len(members) > rules.MAX_ID_BEARERS
            contradicts = not too_many and rules.contradict(members)
            self._stats["id_contradicted"] += contradicts and not group.contradicts
            group.contradicts = contradicts
            if too_many or contradicts or group.stays_split:
                self._split(group, members)
            else:
                self._merge(group, unit_id, members)

    def _split(self, group: _Group, members: tuple[Leaf, ...]) -> None:
        self._end(group)
        group.split = True
        for leaf in members:
            if leaf.unit is None or not leaf.unit.alive:
                self._stand_alone(leaf)

    def _merge(self, group: _Group, unit_id: str, members: tuple[Leaf, ...]) -> None:
        self._end(group)
        for leaf in members:
            if leaf.unit is not None:
                self._matching.end(leaf.unit)
        group.split = False
        first, *others = sorted(members, key=rules.canonical)
        unit = Unit(first, tuple(others), unit_id, rules.layer_of(first, first.kind, unit_id))
        group.unit = unit
        for leaf in members:
            leaf.unit = unit
        self._matching.add(unit)

    def _end(self, group: _Group) -> None:
        if group.unit is not None:
            self._matching.end(group.unit)
            group.unit = None
