"""Price lines: the price of one bucket of one model for one interval, and where it comes from.

A line never changes: its `price_id` is a hash of what it says, so the same line has the same id in every book and a
row that names it can always be explained. Amounts are `Decimal`, made from text; float never touches them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from fnmatch import translate
from functools import cached_property, lru_cache
from hashlib import blake2b
from re import Pattern
from re import compile as compile_regex
from typing import Final, Literal, NamedTuple

Kind = Literal["price", "factor", "free", "unknown"]
"""`factor` multiplies what layers up to its own say; `free` is a rule; `unknown` withdraws what lower layers say."""

ANY_BUCKET: Final = "*"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
FOREVER_NS: Final = 1 << 63
"""Later than any nanosecond timestamp."""


class Layer(IntEnum):
    """Who says so. A higher layer wins, bucket by bucket."""

    BASE = 0
    GAPFILL = 1
    HISTORY = 2
    OPERATOR = 3
    CONTRACT = 4

    @property
    def label(self) -> str:
        """The name in files and tables."""
        return self.name.lower()


class Condition(NamedTuple):
    """One `key=value` of a variant: globs joined by `|`; `negated` (`key=!value`): present and none of them."""

    key: str
    value: str
    negated: bool

    def holds(self, actual: str) -> bool:
        """Does a context value satisfy this?"""
        return any(glob(choice).match(actual) for choice in self.value.split("|")) != self.negated


@lru_cache(maxsize=4096)
def glob(pattern: str) -> Pattern[str]:
    """A shell pattern (`*`, `?`, `[ab]`), compiled; whole string, case as given."""
    return compile_regex(translate(pattern))


def is_glob(text: str) -> bool:
    """Does `text` contain pattern characters?"""
    return any(character in text for character in "*?[")


@lru_cache(maxsize=4096)
def conditions(variant: str) -> tuple[Condition, ...]:
    """The conditions of a variant string such as `batch=true&region=!global`; a bare word is that service tier.

    Lower case, as contexts are. Raises ValueError for anything else.
    """
    parsed = []
    for part in filter(None, (piece.strip() for piece in variant.lower().split("&"))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            key, value = ("batch", "true") if key == "batch" else ("service_tier", key)
        negated = value.startswith("!")
        value = value.removeprefix("!")
        if not key or not value:
            raise ValueError(f"variant {variant!r}: expected key=value joined by '&'")
        parsed.append(Condition(key, value, negated))
    return tuple(sorted(parsed))


def canonical_variant(variant: str) -> str:
    """The one spelling of a variant, so that equal lines get equal ids."""
    return "&".join(f"{c.key}={'!' if c.negated else ''}{c.value}" for c in conditions(variant))


def instant_ns(instant: datetime | None, default: int) -> int:
    """Nanoseconds since 1970 UTC; `default` for an open end."""
    return default if instant is None else (instant - _EPOCH) // _MICROSECOND * 1000


@dataclass(frozen=True)
class PriceLine:
    """What one source says one bucket of one model costs during one interval."""

    layer: Layer
    provider: str
    """Semantic-convention value, a family of them (`google`, `azure`), or a glob; lower case."""
    model: str
    """Exact or a glob; lower case."""
    bucket: str
    """A name of `spanledger_core.buckets`, or `*` for all of them (not for a price)."""
    unit_price: Decimal
    """Price of `unit_size` units in `currency`; the multiplier of a `factor`."""
    kind: Kind = "price"
    unit_size: int = 1_000_000
    currency: str = "USD"
    variant: str = ""
    """What must be true of the call beside its model, canonical: `batch=true&region=!global`."""
    tier_min: int = 0
    """Smallest total input of a request (cached tokens included) this applies to; inclusive."""
    effective_from: datetime | None = None
    effective_to: datetime | None = None
    """UTC instants, [from, to); None is open."""
    schedule: str = ""
    """When within the week (see `spanledger_processor.pricing.schedule`); empty is always."""
    contract: str = ""
    source: str = ""
    confidence: str = ""

    @cached_property
    def price_id(self) -> str:
        """16 hex digits over what the line says; `source` and `confidence` are evidence and may be corrected."""
        says = (
            self.layer.label,
            self.kind,
            self.provider,
            self.model,
            self.bucket,
            format(self.unit_price.normalize(), "f"),
            str(self.unit_size),
            self.currency,
            self.variant,
            str(self.tier_min),
            _iso(self.effective_from),
            _iso(self.effective_to),
            self.schedule,
            self.contract,
        )
        return blake2b("\x1f".join(says).encode(), digest_size=8).hexdigest()

    @cached_property
    def from_ns(self) -> int:
        """Start of the interval, nanoseconds since 1970 UTC."""
        return instant_ns(self.effective_from, -FOREVER_NS)

    @cached_property
    def to_ns(self) -> int:
        """End of the interval, exclusive."""
        return instant_ns(self.effective_to, FOREVER_NS)

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """The variant, parsed."""
        return conditions(self.variant)

    def holds(self, context: Mapping[str, str]) -> bool:
        """Does the context of a call satisfy the variant?"""
        return all(c.key in context and c.holds(context[c.key]) for c in self.conditions)


def _iso(instant: datetime | None) -> str:
    return "" if instant is None else instant.astimezone(UTC).isoformat()
