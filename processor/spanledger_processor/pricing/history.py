"""The project's own price facts: dated, sourced, layered over the base (schemas/prices/*.yaml).

One entry states prices of one or several models for one interval and names its source:

    - models: [o3, o3-2025-04-16]
      to: 2025-06-10
      prices: {input: 10, cache_read: 2.50, output: 40}
      source: openai-launch
      confidence: secondary

`prices` values are `price` (per million; token buckets only), `price/unit_size`, `x0.5`, `free` or `unknown`; the key
`tokens` stands for every token bucket. `above` gives prices from a total input on. `when` is the variant. Values are
read as text: no amount is ever a float.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from importlib.resources.abc import Traversable
from typing import Any, Final, NamedTuple, Protocol

import yaml

from spanledger_core.assets import folder
from spanledger_core.buckets import BUCKETS, TOKEN_BUCKETS
from spanledger_processor.pricing.lines import Kind, Layer, PriceLine, canonical_variant

CONFIDENCE: Final = ("official", "transcription", "vendor", "secondary", "derived", "policy")
"""From the provider's own page, to derived by us from a stated rule; `policy` is our decision (what counts as free)."""

_FACTS: Final = "facts"


class Digest(Protocol):
    """A running hash."""

    def update(self, data: bytes, /) -> None:
        """Take in more."""


class Same(NamedTuple):
    """A bucket that a provider bills at the price of another, for models that match."""

    provider: str
    model: str
    bucket: str
    billed_as: str
    source: str


class History(NamedTuple):
    """Everything under schemas/prices."""

    lines: tuple[PriceLine, ...]
    same: tuple[Same, ...]
    aliases: Mapping[str, Mapping[str, str]]
    """Provider -> spelling -> the id it means."""
    providers: Mapping[str, Mapping[str, Any]]
    nonsense: frozenset[str]
    """What instrumentations write in the provider's place although it names none."""
    calendars: Mapping[str, frozenset[date]]
    reported: Mapping[str, str]
    """Provider -> what a reported cost counts for: `book`, `fallback` or `reported`."""
    digest: str
    """Hash of the files."""


def prices_folder() -> Traversable:
    """Where the files are, in a wheel or a checkout."""
    return folder("spanledger_core", "schemas") / "prices"


def load_history(source: Traversable | None = None) -> History:
    """Read the folder. Its files are ours and tested: a fault in them raises."""
    source = source or prices_folder()
    read = sha256()
    documents = {name.removesuffix(".yaml"): _document(content, read) for name, content in _yaml_files(source)}
    facts = [(name, _document(content, read)) for name, content in _yaml_files(source / _FACTS)]
    rules = documents["rules"]
    return History(
        lines=tuple(line for name, document in facts for line in _lines(name, document)),
        same=tuple(_same(row) for row in rules["same"]),
        aliases=documents["aliases"],
        providers=documents["providers"],
        nonsense=frozenset(rules["nonsense"]),
        calendars={
            name: frozenset(date.fromisoformat(day) for day in days) for name, days in documents["holidays"].items()
        },
        reported=rules["reported"],
        digest=read.hexdigest(),
    )


def fact_files(source: Traversable) -> Iterator[tuple[str, Iterator[PriceLine]]]:
    """The files of facts by name, with their lines."""
    for name, content in _yaml_files(source / _FACTS):
        yield name, _lines(name, _document(content, sha256()))


def _yaml_files(source: Traversable) -> Iterator[tuple[str, bytes]]:
    for file in sorted(source.iterdir(), key=lambda item: item.name):
        if file.name.endswith(".yaml"):
            yield file.name, file.read_bytes()


def _document(content: bytes, read: Digest) -> Any:
    read.update(content)
    return yaml.load(content, Loader=yaml.CBaseLoader)  # noqa: S506 - yields text, lists and dicts only


def _same(row: Mapping[str, str]) -> Same:
    return Same(row["provider"], row["model"], row["bucket"], row["as"], row["source"])


def _lines(name: str, document: Mapping[str, Any]) -> Iterator[PriceLine]:
    layer = Layer[document["layer"].upper()]
    for number, entry in enumerate(document["entries"], 1):
        try:
            yield from _entry_lines(layer, document, entry)
        except (KeyError, ValueError, ArithmeticError) as error:
            raise ValueError(f"{name}, entry {number}: {error!r}") from error


def _entry_lines(layer: Layer, document: Mapping[str, Any], entry: Mapping[str, Any]) -> Iterator[PriceLine]:
    unknown = set(entry) - _ENTRY_KEYS
    if unknown:
        raise ValueError(f"unknown keys {sorted(unknown)}")
    source = document["sources"][entry["source"]]
    confidence = entry["confidence"]
    if confidence not in CONFIDENCE:
        raise ValueError(f"confidence {confidence!r}")
    tiers = {0: entry.get("prices", {}), **{int(minimum): prices for minimum, prices in entry.get("above", {}).items()}}
    for provider in _list(entry.get("provider", document.get("provider"))):
        for model in _list(entry["models"]):
            for tier_min, prices in tiers.items():
                for bucket, kind, price, unit_size in _prices(prices):
                    yield PriceLine(
                        layer=layer,
                        provider=provider,
                        model=model.lower(),
                        bucket=bucket,
                        unit_price=price,
                        kind=kind,
                        unit_size=unit_size,
                        variant=canonical_variant(entry.get("when", "")),
                        tier_min=tier_min,
                        effective_from=_instant(entry.get("from")),
                        effective_to=_instant(entry.get("to")),
                        schedule=entry.get("schedule", ""),
                        source=source,
                        confidence=confidence,
                    )


_ENTRY_KEYS: Final = frozenset(
    ("provider", "models", "prices", "above", "when", "from", "to", "schedule", "source", "confidence", "note")
)


_WORDS: Final[Mapping[str, Kind]] = {"free": "free", "unknown": "unknown"}


def _prices(prices: Mapping[str, str]) -> Iterator[tuple[str, Kind, Decimal, int]]:
    for name, text in prices.items():
        kind, price, unit_size = _price(text)
        if name == "tokens":
            yield from ((bucket, kind, price, unit_size) for bucket in TOKEN_BUCKETS)
            continue
        if name not in BUCKETS and name != "*":
            raise ValueError(f"bucket {name!r}")
        if kind == "price" and name not in TOKEN_BUCKETS and "/" not in text:
            raise ValueError(f"{name}: say for how many units ({text}/1000)")
        yield name, kind, price, unit_size


def _price(text: str) -> tuple[Kind, Decimal, int]:
    if text in _WORDS:
        return _WORDS[text], Decimal(0), 1_000_000
    if text.startswith("x"):
        return "factor", Decimal(text[1:]), 1_000_000
    price, _, unit_size = text.partition("/")
    return "price", Decimal(price), int(unit_size or 1_000_000)


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    instant = datetime.fromisoformat(text)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
