"""A plan: everything the book has to say about one model in one context, compiled as instants ask for it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from decimal import Decimal

from spanledger_processor.pricing.lines import FOREVER_NS, Layer, PriceLine
from spanledger_processor.pricing.rates import PLAIN, Moment, Offer, Rates, select, with_fallbacks
from spanledger_processor.pricing.schedule import Calendars, Schedule, as_datetime, boundaries, parse, stretch

MAX_SLOTS = 4096
"""A plan with schedules has a slot per stretch of a day; this many are remembered."""

MAX_COMBINATIONS = 256
"""Combinations of buckets whose price ids a tier remembers."""


class Tier:
    """Rates from one total input upwards: what is paid, and what the list says (the same object without a contract)."""

    __slots__ = ("_ids", "_ids_of", "list", "minimum", "net", "plain", "plain_list")

    def __init__(self, minimum: int, net: Rates, list_: Rates) -> None:
        self.minimum = minimum
        self.net = net
        self.list = list_
        self.plain = net.plain if list_.plain is not None else None
        """Whole rates of `PLAIN`; None where a call needs more than six multiplications."""
        self.plain_list = list_.plain if list_ is not net else None
        """The same at list prices; None where these are what is paid."""
        self._ids: dict[int, tuple[str, ...]] = {}
        self._ids_of: dict[tuple[str, ...], tuple[str, ...]] = {}

    def ids(self, buckets: tuple[str, ...]) -> tuple[str, ...]:
        """The price ids behind these buckets; remembered for the combinations met most."""
        found = self._ids_of.get(buckets)
        if found is None:
            if len(self._ids_of) >= MAX_COMBINATIONS:
                self._ids_of.clear()
            found = self._ids_of[buckets] = self.net.ids(buckets)
        return found

    def plain_ids(self, mask: int) -> tuple[str, ...]:
        """The price ids of a set of `PLAIN` buckets, a bit each; remembered (64 at most)."""
        found = self._ids.get(mask)
        if found is None:
            found = self._ids[mask] = self.net.ids(name for bit, name in enumerate(PLAIN) if mask >> bit & 1)
        return found


class Slot:
    """A stretch of time [lo, hi) in which the prices of a plan do not change."""

    __slots__ = ("hi", "lo", "next_tier", "tiers")

    def __init__(self, lo: int, hi: int, tiers: tuple[Tier, ...]) -> None:
        self.lo = lo
        self.hi = hi
        self.tiers = tiers
        self.next_tier = tiers[1].minimum if len(tiers) > 1 else FOREVER_NS

    def tier(self, total_input: int) -> Tier:
        """The tier of a whole request."""
        if total_input < self.next_tier:
            return self.tiers[0]
        return next(tier for tier in reversed(self.tiers) if tier.minimum <= total_input)


class Plan:
    """What one model costs in one context, at any time."""

    def __init__(
        self,
        model: str,
        offers: Sequence[Offer],
        *,
        context: Mapping[str, str],
        own_fallbacks: Mapping[str, str],
        fx: Mapping[str, Decimal],
        calendars: Calendars,
        thinking: Plan | None = None,
        is_special: bool = False,
    ) -> None:
        self.model = model
        self.offers = offers
        self.context = context
        self.thinking = thinking
        """The plan for calls that used reasoning tokens, where that changes the price."""
        self.is_special = is_special
        """The tokens alone do not decide: reasoning changes the price, or a reported cost goes first."""
        self.own_fallbacks = own_fallbacks
        self._fx = fx
        self._schedules = {name: parse(name, calendars) for name in sorted({o.line.schedule for o in offers} - {""})}
        self._marks = boundaries(list(self._schedules.values()))
        self._edges = sorted({edge for o in offers for edge in (o.line.from_ns, o.line.to_ns)})
        self._minimums = sorted({0} | {o.line.tier_min for o in offers})
        self._slots: dict[tuple[int, int], Slot] = {}
        self._tiers: dict[tuple[int, frozenset[str]], tuple[Tier, ...]] = {}
        self.slot = Slot(0, 0, ())

    def slot_at(self, at_ns: int) -> Slot:
        """The slot of an instant, most often the one last asked for."""
        slot = self.slot
        return slot if slot.lo <= at_ns < slot.hi else self.at(at_ns)

    @property
    def schedules(self) -> Mapping[str, Schedule]:
        """The schedules its lines name."""
        return self._schedules

    def at(self, at_ns: int) -> Slot:
        """The slot of an instant; kept as `slot` because the next call is most likely in it too."""
        position = bisect_right(self._edges, at_ns)
        lo = self._edges[position - 1] if position else -FOREVER_NS
        hi = self._edges[position] if position < len(self._edges) else FOREVER_NS
        if self._schedules:
            start, end = stretch(self._marks, at_ns)
            lo, hi = max(lo, start), min(hi, end)
        slot = self._slots.get((lo, hi))
        if slot is None:
            if len(self._slots) >= MAX_SLOTS:
                self._slots.clear()
            slot = self._slots[lo, hi] = Slot(lo, hi, self._tiers_at(position, at_ns))
        self.slot = slot
        return slot

    def _tiers_at(self, position: int, at_ns: int) -> tuple[Tier, ...]:
        instant = as_datetime(at_ns)
        on = frozenset(name for name, schedule in self._schedules.items() if schedule.covers(instant))
        tiers = self._tiers.get((position, on))
        if tiers is None:
            compiled = [self._tier(Moment(at_ns, on, minimum)) for minimum in self._minimums]
            distinct = [t for i, t in enumerate(compiled) if i == 0 or _differ(t, compiled[i - 1])]
            tiers = self._tiers[position, on] = tuple(distinct)
        return tiers

    def _tier(self, moment: Moment) -> Tier:
        net = self._rates(self.offers, moment)
        if all(offer.line.layer < Layer.CONTRACT for offer in self.offers):
            return Tier(moment.total_input, net, net)
        listed = [offer for offer in self.offers if offer.line.layer < Layer.CONTRACT]
        return Tier(moment.total_input, net, self._rates(listed, moment))

    def _rates(self, offers: Sequence[Offer], moment: Moment) -> Rates:
        return Rates(with_fallbacks(select(offers, moment, self.context, self._fx), self.own_fallbacks))

    def lines_at(self, at_ns: int, total_input: int = 0) -> tuple[PriceLine, ...]:
        """The lines that hold at an instant for a request of this size, in bucket order, each once."""
        rates = self.at(at_ns).tier(total_input).net
        return tuple(dict.fromkeys(line for rate in rates.by_bucket.values() for line in rate.lines))


def _differ(one: Tier, other: Tier) -> bool:
    return one.net.by_bucket != other.net.by_bucket or one.list.by_bucket != other.list.by_bucket
