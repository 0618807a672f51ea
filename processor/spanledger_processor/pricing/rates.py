"""Exact arithmetic: the lines that hold for a call at an instant, and what a usage costs by them.

Rates are picodollars (1e-12 USD) per unit. Nearly all of them are whole numbers ($0.000001 a million tokens is one),
so a call costs a handful of integer multiplications; the rest are exact fractions, rounded half-even once per part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from math import lcm
from typing import Final, NamedTuple

from spanledger_core.buckets import BUCKETS, COUNT_BUCKETS, TOKEN_BUCKETS
from spanledger_processor.pricing.lines import ANY_BUCKET, Layer, PriceLine

PICODOLLARS: Final = 10**12

PARTS: Final = ("input", "output", "cache_read", "cache_write", "other")
"""The parts a cost is split into, in the order of `Priced`'s columns."""

PART_OF: Final[Mapping[str, int]] = {
    "input": 0,
    "input_audio": 0,
    "input_image": 0,
    "output": 1,
    "reasoning": 1,
    "output_audio": 1,
    "output_image": 1,
    "citation": 1,
    "cache_read": 2,
    "cache_read_audio": 2,
    "cache_write_5m": 3,
    "cache_write_1h": 3,
    **dict.fromkeys(COUNT_BUCKETS, 4),
}

FALLBACKS: Final[Mapping[str, str]] = {
    "cache_read": "input",
    "cache_write_5m": "input",
    "cache_write_1h": "cache_write_5m",
    "cache_read_audio": "input_audio",
    "input_image": "input",
    "reasoning": "output",
}
"""Where a bucket without a price of its own takes it from. Never from audio to text, nor from image to text output."""

PLAIN: Final = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning")
"""The buckets of ordinary text calls."""

UNCACHED: Final[Mapping[str, str]] = {
    "cache_read": "input",
    "cache_read_audio": "input_audio",
    "cache_write_5m": "input",
    "cache_write_1h": "input",
}
"""As what a cached token would have been billed without the cache."""

RESTATED: Final = frozenset({"requests", "characters"})
"""Counts that only say once more what text tokens say: not missing where those have a price."""

TOKENS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "images": ("input_image", "output_image"),
    "pages": ("input_image",),
    "audio_seconds": ("input_audio", "cache_read_audio", "output_audio"),
}
"""Counts that say once more what these tokens say: not missing where such tokens were counted, nor where the model
bills them. Elsewhere they were billed apart."""

_IMAGE_TOKENS: Final = frozenset({"output", "output_image"})
"""Where these are counted and the model bills image tokens, a count of images says the same thing again."""

DEMANDING: Final = frozenset({"batch", "service_tier", "speed"})
"""Contexts that always have a price of their own: where no line of a model names them, the price is not known."""


FactorKind = tuple[Layer, str, frozenset[str]]
"""Whose factor it is (layer and contract) and what it depends on: two of one kind never multiply."""


class Offer(NamedTuple):
    """A line whose provider, model and variant fit a call; `rank` orders how closely."""

    line: PriceLine
    rank: tuple[int, ...]


class Rate(NamedTuple):
    """What one unit of a bucket costs, and the lines that say so: the price first, then the factors."""

    picodollars: Fraction
    lines: tuple[PriceLine, ...]


class Moment(NamedTuple):
    """When and how large: what selects among the offers of a model."""

    at_ns: int
    schedules: frozenset[str]
    """Those that are on."""
    total_input: int

    def fits(self, line: PriceLine) -> bool:
        """Does the line hold at this moment?"""
        return (
            line.from_ns <= self.at_ns < line.to_ns
            and line.tier_min <= self.total_input
            and (not line.schedule or line.schedule in self.schedules)
        )


def select(
    offers: Iterable[Offer], moment: Moment, context: Mapping[str, str], fx: Mapping[str, Decimal]
) -> dict[str, Rate]:
    """The rate of every bucket that has one at a moment, before fall-backs."""
    return rates_of([offer for offer in offers if moment.fits(offer.line)], context, fx)


def rates_of(holding: Sequence[Offer], context: Mapping[str, str], fx: Mapping[str, Decimal]) -> dict[str, Rate]:
    """The rate of every bucket these offers price; none where what the context demands is not known."""
    prices = [offer for offer in holding if offer.line.kind != "factor"]
    factors = [offer for offer in holding if offer.line.kind == "factor"]
    demanded = {key for key in DEMANDING if key in context}
    named = {c.key for offer in holding for c in offer.line.conditions}
    rates: dict[str, Rate] = {}
    for bucket in BUCKETS:
        best = max((o for o in prices if o.line.bucket in (bucket, ANY_BUCKET)), key=_closeness, default=None)
        if best is None or best.line.kind == "unknown":
            continue
        if best.line.layer < Layer.OPERATOR and not demanded <= named and best.line.kind != "free":
            continue
        applied = _factors(factors, best.line, bucket)
        rates[bucket] = Rate(_picodollars(best.line, applied, fx), (best.line, *applied))
    return rates


def _closeness(offer: Offer) -> tuple[object, ...]:
    line = offer.line
    return (
        line.layer,
        *offer.rank,
        len(line.conditions),
        bool(line.schedule),
        line.bucket != ANY_BUCKET,
        line.tier_min,
        line.from_ns,
        line.price_id,
    )


def _factors(factors: Sequence[Offer], price: PriceLine, bucket: str) -> tuple[PriceLine, ...]:
    """The factors on a price: from its own layer up, the closest of each kind; not for what it already prices in.

    They multiply, but for those that say the same thing more or less particularly: there the closer one counts. A
    negotiated price is net: a discount on everything does not lower it further, one with a condition (batch) does.
    """
    priced_in = {c.key for c in price.conditions}
    closest: dict[FactorKind, Offer] = {}
    for offer in factors:
        line = offer.line
        if line.layer < price.layer or line.bucket not in (bucket, ANY_BUCKET):
            continue
        if line.conditions and {c.key for c in line.conditions} <= priced_in:
            continue
        if not line.conditions and price.layer == Layer.CONTRACT:
            continue
        kind = (line.layer, line.contract, frozenset(c.key for c in line.conditions))
        if kind not in closest or _closeness(offer) > _closeness(closest[kind]):
            closest[kind] = offer
    applied = [offer.line for kind, offer in closest.items() if not any(_refines(other, kind) for other in closest)]
    return tuple(sorted(applied, key=lambda line: (line.layer, line.price_id)))


def _refines(one: FactorKind, other: FactorKind) -> bool:
    """`one` says more particularly what `other` says already (data zone of a region; data zone)."""
    return one[:2] == other[:2] and bool(other[2]) and other[2] < one[2]


def _picodollars(price: PriceLine, factors: Sequence[PriceLine], fx: Mapping[str, Decimal]) -> Fraction:
    rate = Fraction(price.unit_price) * PICODOLLARS / price.unit_size
    if price.currency != "USD":
        rate *= Fraction(fx[price.currency])
    for factor in factors:
        rate *= Fraction(factor.unit_price)
    return rate


def with_fallbacks(rates: Mapping[str, Rate], own: Mapping[str, str]) -> dict[str, Rate]:
    """Rates completed by the allowed fall-backs and those `own` to the model (bucket -> bucket)."""
    complete = dict(rates)
    for bucket in TOKEN_BUCKETS:
        source = bucket
        seen: set[str] = set()
        while source and source not in rates and source not in seen:
            seen.add(source)
            source = own.get(source) or FALLBACKS.get(source, "")
        if source in rates:
            complete[bucket] = rates[source]
    return complete


def half_even(numerator: int, denominator: int) -> int:
    """The nearest integer to a fraction; a half goes to the even neighbour."""
    whole, rest = divmod(numerator, denominator)
    twice = 2 * rest
    return whole + (twice > denominator or (twice == denominator and whole & 1 == 1))


class Amounts(NamedTuple):
    """What a usage costs, integer picodollars."""

    parts: tuple[int, ...]
    """In the order of `PARTS`."""
    savings: int | None
    missing: tuple[str, ...]
    priced: bool
    """At least one bucket had a price."""


class Rates:
    """Compiled rates of one model for one stretch of time, context and input size."""

    __slots__ = ("_denominators", "_is_whole", "_numerators", "by_bucket", "is_free", "plain")

    def __init__(self, by_bucket: Mapping[str, Rate]) -> None:
        self.by_bucket = by_bucket
        self.is_free = bool(by_bucket) and all(rate.lines[0].kind == "free" for rate in by_bucket.values())
        denominators = [1] * len(PARTS)
        for bucket, rate in by_bucket.items():
            part = PART_OF[bucket]
            denominators[part] = lcm(denominators[part], rate.picodollars.denominator)
        self._denominators = tuple(denominators)
        self._is_whole = all(below == 1 for below in denominators)
        self._numerators = {
            bucket: rate.picodollars.numerator * (denominators[PART_OF[bucket]] // rate.picodollars.denominator)
            for bucket, rate in by_bucket.items()
        }
        self.plain = self._plain()

    def _plain(self) -> tuple[int, int, int, int, int, int] | None:
        """Whole rates of `PLAIN`; None where one is missing or not whole."""
        numerators = self._numerators
        if self.is_free or "requests" in numerators or not all(name in numerators for name in PLAIN):
            return None
        if any(self._denominators[part] != 1 for part in range(4)):
            return None
        text, cached, written, hourly, output, reasoning = (numerators[name] for name in PLAIN)
        return text, cached, written, hourly, output, reasoning

    def amounts(self, quantities: Mapping[str, int]) -> Amounts:
        """Parts, savings and what had no price. Each part is rounded half-even once."""
        sums = [0] * len(PARTS)
        missing: list[str] = []
        numerators = self._numerators
        if "images" in quantities and "output_image" in numerators and quantities.keys() & _IMAGE_TOKENS:
            quantities = {bucket: quantity for bucket, quantity in quantities.items() if bucket != "images"}
        for bucket, quantity in quantities.items():
            numerator = numerators.get(bucket)
            if numerator is None:
                missing.append(bucket)
            else:
                sums[PART_OF[bucket]] += quantity * numerator
        parts = tuple(sums) if self._is_whole else self._rounded(sums)
        priced = len(missing) < len(quantities)
        if missing and priced:
            missing = [bucket for bucket in missing if not self._restates(bucket, quantities)]
        return Amounts(parts, self._savings(quantities, parts), tuple(missing), priced)

    def _restates(self, bucket: str, quantities: Mapping[str, int]) -> bool:
        tokens = TOKENS_OF.get(bucket, ())
        return bucket in RESTATED or any(token in quantities or self._bills(token) for token in tokens)

    def _bills(self, token: str) -> bool:
        """Does the model bill such tokens at a price of their own, not at that of text?"""
        rate = self.by_bucket.get(token)
        return rate is not None and rate.lines[0].bucket != FALLBACKS.get(token)

    def _rounded(self, sums: Sequence[int]) -> tuple[int, ...]:
        return tuple(half_even(total, below) for total, below in zip(sums, self._denominators, strict=True))

    def _savings(self, quantities: Mapping[str, int], parts: tuple[int, ...]) -> int | None:
        """What cached tokens would have cost uncached, less what they did cost; all of these are parts of the input."""
        uncached = 0
        cached = False
        for bucket, plain in UNCACHED.items():
            if quantity := quantities.get(bucket):
                numerator = self._numerators.get(plain)
                if numerator is None:
                    return None
                cached = True
                uncached += quantity * numerator
        return half_even(uncached, self._denominators[0]) - parts[2] - parts[3] if cached else 0

    def ids(self, buckets: Iterable[str]) -> tuple[str, ...]:
        """Price ids of the lines behind these buckets, each once, in bucket order."""
        lines = (line for bucket in buckets if bucket in self.by_bucket for line in self.by_bucket[bucket].lines)
        return tuple(dict.fromkeys(line.price_id for line in lines))
