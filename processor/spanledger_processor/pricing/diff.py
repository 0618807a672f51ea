"""What differs between two books: for a log line at a reload, and for review before an upgrade."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, NamedTuple

from spanledger_processor.pricing.lines import PriceLine


class Difference(NamedTuple):
    """What two books say differently about one thing."""

    kind: Literal["added", "removed", "changed"]
    layer: str
    provider: str
    model: str
    bucket: str
    variant: str
    tier_min: int
    old: tuple[str, ...]
    """What the old book says: `2.5 / 1000000 USD from … to …`; empty if nothing."""
    new: tuple[str, ...]


def diff(old: Iterable[PriceLine], new: Iterable[PriceLine]) -> list[Difference]:
    """Differences in (provider, model, bucket) order. A line that only moved to another source is none."""
    before, after = _by_subject(old), _by_subject(new)
    differences = []
    for subject in sorted(before.keys() | after.keys()):
        was, now = before.get(subject, {}), after.get(subject, {})
        if was.keys() != now.keys():
            kind: Literal["added", "removed", "changed"] = "changed" if was and now else "added" if now else "removed"
            provider, model, bucket, variant, tier_min, layer = subject
            gone = tuple(text for price_id, text in sorted(was.items()) if price_id not in now)
            come = tuple(text for price_id, text in sorted(now.items()) if price_id not in was)
            differences.append(Difference(kind, layer, provider, model, bucket, variant, tier_min, gone, come))
    return differences


def _by_subject(lines: Iterable[PriceLine]) -> dict[tuple[str, str, str, str, int, str], dict[str, str]]:
    subjects: dict[tuple[str, str, str, str, int, str], dict[str, str]] = {}
    for line in lines:
        subject = (line.provider, line.model, line.bucket, line.variant, line.tier_min, line.layer.label)
        subjects.setdefault(subject, {})[line.price_id] = says(line)
    return subjects


def says(line: PriceLine) -> str:
    """The price and interval of a line in one piece of text."""
    price = f"{line.unit_price.normalize():f}"
    text = {
        "price": f"{price} {line.currency} / {line.unit_size}",
        "factor": f"x{price}",
        "free": "free",
        "unknown": "unknown",
    }[line.kind]
    return " ".join(filter(None, (text, interval(line), line.contract)))


def interval(line: PriceLine) -> str:
    """When a line holds, in words; empty for always."""
    start, end = _iso(line.effective_from), _iso(line.effective_to)
    return " ".join(filter(None, (start and f"from {start}", end and f"to {end}", line.schedule)))


def _iso(instant: datetime | None) -> str:
    return "" if instant is None else instant.strftime("%Y-%m-%dT%H:%M:%SZ")
