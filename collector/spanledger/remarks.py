"""What is counted and said of the prices of booked calls: statuses, models without a price, costs that spans report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from typing import Final, TypeAlias

import structlog

from spanledger_core.calls import Call, CallKey, Priced
from spanledger_core.metrics import Metrics
from spanledger_core.ratelimit import OncePerKind

_log = structlog.get_logger(__name__)
_PICODOLLARS: Final = 10**12
_SAME_PICODOLLARS: Final = 10**6
_SAME_SHARE: Final = 1000
"""Reported costs are rounded somewhere: within a millionth of a dollar or a thousandth they are equal."""

Booked: TypeAlias = tuple[CallKey, Call, Priced]
"""A call as it was booked, and at which price."""

_PRICED: Final = itemgetter(2)
_STATUS: Final = itemgetter(Priced._fields.index("cost_status"))


class Remarks:
    """Counts, and says once an hour per kind what somebody should do about."""

    def __init__(self, metrics: Metrics, once: OncePerKind) -> None:
        self._metrics = metrics
        self._once = once

    def on(self, booked: Sequence[Booked]) -> None:
        """On the calls of one record."""
        statuses = Counter(map(_STATUS, map(_PRICED, booked)))
        for status, calls in statuses.items():
            self._metrics.booked_calls.labels(status).inc(calls)
        if len(statuses) > ("priced" in statuses):
            self._on_unpriced([one for one in booked if one[2].cost_status != "priced"])
        for _, call, priced in booked:
            if call.details is not None and call.details.reported_cost is not None:
                self._compare(priced, call.details.reported_cost)

    def _on_unpriced(self, booked: Sequence[Booked]) -> None:
        unpriced = sum(priced.cost is None and priced.cost_status != "not_billed" for _, _, priced in booked)
        if unpriced:
            self._metrics.unpriced_calls.inc(unpriced)
        wanting: dict[tuple[str, str, str], tuple[Call, Priced]] = {}
        for _, call, priced in booked:
            # a sum without a model waits for the calls it is made of: nobody could give it a price
            is_named = call.provider or call.request_model or call.response_model
            if is_named and (priced.cost_status == "unpriced_model" or priced.missing):
                wanting[call.provider, call.response_model or call.request_model, priced.cost_status] = (call, priced)
        for call, priced in wanting.values():
            self._warn_of_price(call, priced)

    def _compare(self, priced: Priced, reported: int) -> None:
        """What a span says it cost against the book; a cost that was taken from the span has nothing to compare."""
        if priced.cost is None or priced.cost_status == "reported":
            return
        gap = priced.cost - reported
        same = abs(gap) <= max(_SAME_PICODOLLARS, abs(priced.cost) // _SAME_SHARE)
        self._metrics.reported_costs.labels("equal" if same else "above" if gap > 0 else "below").inc()
        self._metrics.reported_dollars.inc(reported / _PICODOLLARS)
        self._metrics.computed_dollars.inc(priced.cost / _PICODOLLARS)

    def _warn_of_price(self, call: Call, priced: Priced) -> None:
        """Once per model and hour: the log must not pay for a busy model that nobody has a price for."""
        model = call.response_model or call.request_model
        context = dict(call.price_context) | ({"service_tier": call.service_tier} if call.service_tier else {})
        if _lacks_only_figures(call, priced):
            event, remedy = "usage incomplete", "see spanledger doctor: the spans do not say all their tokens"
        else:
            event = "no price for a model" if priced.cost_status == "unpriced_model" else "price incomplete"
            remedy = "add a line to a file under prices.files, then reprice; see docs/prices.md"
        kind = f"{event}/{call.provider}/{model}/{priced.cost_status}/{sorted(context.items())}"
        if self._once.admit(kind) is not None:
            missing = list(priced.missing)
            _log.warning(event, provider=call.provider, model=model, context=context, missing=missing, remedy=remedy)


def _lacks_only_figures(call: Call, priced: Priced) -> bool:
    """The book has the price; the span has not the amount."""
    usage = call.usage
    if usage is None:
        return False
    unsaid = {name for name, total in (("input", usage.input), ("output", usage.output)) if total is None}
    return priced.cost_status == "partial" and bool(priced.missing) and unsaid.issuperset(priced.missing)
