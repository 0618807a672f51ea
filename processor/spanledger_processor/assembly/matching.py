"""Twins: units that report one call are matched layer by layer, and kept matched as units come and go.

Layers in order: units with a response id and usage; units with usage and no id, reporter by reporter; units without
usage; failed ones. Units of the first layer lead calls. Layer by layer, its units are matched one to one with the
leaders so far (a leader has one slot per layer); matched ones belong to the leader's call, the others become
leaders. The matching of a layer is the stable one under a strict global order of edges (`rules.weight`), hence
unique: N identical parallel calls stay N, and the order of arrival cannot matter.

Kept stable by two moves, lowest layer first. *Offer*: a unit without a leader takes the best slot that is empty or
holds a worse edge; whoever it displaces offers again. *Vacancy*: a leader whose slot has come free (or who is new)
takes the best unit of that layer that prefers it to what it has. A slot may be filled while its vacancy waits, so
the vacancy competes with the present holder.
"""

from __future__ import annotations

import heapq
from typing import Final

from spanledger_processor.assembly import rules
from spanledger_processor.assembly.lanes import Process, best_of_trace, closest, is_hopeless
from spanledger_processor.assembly.rules import Layer, Weight
from spanledger_processor.assembly.state import Leaf
from spanledger_processor.assembly.units import Unit

_OFFER: Final = 0
_VACANCY: Final = 1


class Matching:
    """The units that lead calls and the ones matched to them."""

    def __init__(self, stats: dict[str, int]) -> None:
        self.touched: dict[Unit, None] = {}
        """Units whose row may have to be written, rewritten or withdrawn."""
        self._stats = stats
        self._processes: dict[str, Process] = {}
        self._queue: list[tuple[Layer, int, int, Unit]] = []
        self._pushed = 0

    def add(self, unit: Unit) -> None:
        """A new unit; it finds its place in `settle`."""
        if unit.layer is rules.SUM_LAYER:
            unit.leads = True
            self.touched[unit] = None
            return
        alone = self._enter(unit.leaf)
        for leaf in unit.others:
            alone = self._enter(leaf) and alone
        if unit.layer[0] >= rules.SILENT_LAYERS:
            self._process(unit.leaf).lanes[unit.leaf.about.reporter].silent.add(unit.leaf)
        if alone:  # no other reporter in sight: nothing to lead or to follow
            unit.leads = True
            self.touched[unit] = None
        else:
            self._push(unit.layer, _OFFER, unit)

    def _enter(self, leaf: Leaf) -> bool:
        """Put a leaf into its process; True while that has a single reporter."""
        process = self._processes.get(leaf.about.resource.process) or self._process(leaf)
        process.add(leaf)
        return len(process.lanes) == 1

    def end(self, unit: Unit) -> None:
        """A unit ends: those matched to it and the one it was matched to look again."""
        if not unit.alive:
            return
        self.remove(unit)
        leader = unit.leader
        if leader is not None:
            unit.leader = unit.weight = None
            leader.release(unit.layer)
            self.touched[leader] = None
            self._push(unit.layer, _VACANCY, leader)
        self._dissolve(unit)
        self.touched[unit] = None

    def remove(self, unit: Unit) -> None:
        """Take a unit out of the indexes, leaving calls as they are."""
        unit.alive = False
        if unit.layer is rules.SUM_LAYER:
            return
        if unit.layer[0] >= rules.SILENT_LAYERS:
            self._process(unit.leaf).lanes[unit.leaf.about.reporter].silent.remove(unit.leaf)
        for leaf in unit.members():
            process = self._process(leaf)
            lane = process.lanes[leaf.about.reporter]
            lane.remove(leaf)
            if not lane and process.is_empty():
                del self._processes[leaf.about.resource.process]

    def settle(self) -> None:
        """Run the moves until none is left."""
        queue = self._queue
        while queue:
            layer, move, _, unit = heapq.heappop(queue)
            if not unit.alive or unit.leader is not None:
                continue
            if move == _OFFER:
                self._offer(unit)
            elif unit.leads:
                self._fill_vacancy(unit, layer)

    # ---- moves

    def _offer(self, unit: Unit) -> None:
        best = self._best_leader(unit) if unit.layer != rules.ID_LAYER else None
        if best is not None and best[1].unit is not None:
            self._match(unit, best[1].unit, best[0])
        elif not unit.leads:
            unit.leads = True
            self.touched[unit] = None
            processes = {id(process): process for process in map(self._process, unit.members())}
            layers = [layer for process in processes.values() for layer in process.later_layers(unit.layer)]
            for layer in dict.fromkeys(layers):
                self._push(layer, _VACANCY, unit)

    def _best_leader(self, unit: Unit) -> tuple[Weight, Leaf] | None:
        """The best slot among the leaders of lower layers that is empty or holds a worse edge, by a leaf of it."""
        leaf, layer = unit.leaf, unit.layer
        used = layer[0] == rules.USED_LAYERS
        may_be = rules.are_used_twins if used else rules.are_silent_twins
        reporter = leaf.about.reporter
        is_failed = layer[0] == rules.FAILED_LAYERS

        def bid(other: Leaf) -> Weight | None:
            leader = other.unit
            if (
                leader is None
                or not leader.leads
                or leader.layer >= layer
                or is_failed != (leader.layer[0] == rules.FAILED_LAYERS)
            ):
                return None
            if unit.response_id is not None and leader.response_id is not None:
                return None
            held = leader.slots.get(layer) if leader.slots is not None else None
            limit = held.weight if held is not None else None
            if limit is not None and is_hopeless(limit, leaf, other):
                return None
            self._stats["edges"] += 1
            if not may_be(leaf, other) or (leader.others and leader.is_reported_by(reporter)):
                return None
            weight = rules.weight(leaf, other)
            return weight if limit is None or weight < limit else None

        process = self._process(leaf)
        best = best_of_trace(leaf, bid, None) if process.may_have_twins else None
        for lane in process.others(leaf):
            near = lane.near_used(leaf) if used else lane.leaves.near(leaf, rules.SIBLING_NS)
            best = closest(leaf, near, bid, best)
        return best

    def _fill_vacancy(self, leader: Unit, layer: Layer) -> None:
        """Invite the best unit of a layer that prefers this leader to what it has, if it beats the present holder."""
        number, reporter = layer
        if leader.is_reported_by(reporter):
            return
        used = number == rules.USED_LAYERS
        may_be = rules.are_used_twins if used else rules.are_silent_twins

        best: tuple[Weight, Leaf] | None = None
        held = leader.held(layer)
        if held is not None and held.weight is not None:
            best = (held.weight, held.leaf)
        for member in leader.members():

            def bid(other: Leaf, member: Leaf = member) -> Weight | None:
                unit = other.unit
                if unit is None or unit.layer != layer or unit.leaf is not other:
                    return None
                if unit.response_id is not None and leader.response_id is not None:
                    return None
                if unit.weight is not None and is_hopeless(unit.weight, other, member):
                    return None
                self._stats["edges"] += 1
                if not may_be(other, member):
                    return None
                weight = rules.weight(other, member)
                return weight if unit.weight is None or weight < unit.weight else None

            lane = self._process(member).lanes.get(reporter)
            if lane is not None:
                best = best_of_trace(member, bid, best)
                near = lane.near_used(member) if used else lane.silent.near(member, rules.SIBLING_NS)
                best = closest(member, near, bid, best)
        if best is not None and best[1].unit is not None and best[1].unit is not held:
            self._match(best[1].unit, leader, best[0])

    def _match(self, unit: Unit, leader: Unit, weight: Weight) -> None:
        before = unit.leader
        if before is not None:
            before.release(unit.layer)
            self.touched[before] = None
            self._push(unit.layer, _VACANCY, before)
        self._dissolve(unit)
        displaced = leader.held(unit.layer)
        if displaced is not None:
            self._set_free(displaced)
        leader.hold(unit)
        unit.leader, unit.weight = leader, weight
        self.touched[unit] = None
        self.touched[leader] = None

    def _dissolve(self, unit: Unit) -> None:
        """A unit that leads no longer: those matched to it offer again."""
        unit.leads = False
        for matched in unit.followers():
            self._set_free(matched)
        unit.slots = None

    def _set_free(self, unit: Unit) -> None:
        unit.leader = unit.weight = None
        self._push(unit.layer, _OFFER, unit)

    def _push(self, layer: Layer, move: int, unit: Unit) -> None:
        self._pushed += 1
        heapq.heappush(self._queue, (layer, move, self._pushed, unit))

    def _process(self, leaf: Leaf) -> Process:
        digest = leaf.about.resource.process
        process = self._processes.get(digest)
        if process is None:
            process = self._processes[digest] = Process()
        return process
