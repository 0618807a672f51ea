"""The declared data (`data/*.yaml`), loaded and checked once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import translate
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

import yaml

from spanledger_core.buckets import BUCKETS
from spanledger_processor.normalise.schema import Attributes, Classes, Dialect, Tables
from spanledger_processor.normalise.settings import IDENTITIES

USAGE_FIELDS: Final = (
    "input",
    "output",
    "total",
    "uncached_input",
    "cache_read",
    "cache_write",
    "cache_write_5m",
    "cache_write_1h",
    "reasoning",
    "audio_input",
    "audio_output",
    "tool_input",
)
"""The figures that make up a `Usage`, in the order of `usage.Figures`; `unit.X` beside them."""
ABOUT_FIELDS: Final = (
    "operation",
    "alias",
    "agent_version",
    "provider",
    "request_model",
    "response_model",
    "streaming",
    "finish_reason",
    "response_tier",
    "request_tier",
    "error_type",
    "http_status",
    "host",
)
DETAIL_FIELDS: Final = ("response_id", "first_token_s", "first_token_ms", "first_token_iso", "reported_cost")


def dialect_of(tables: Tables, scope_name: str, scope_version: str) -> Dialect:
    """The dialect whose scope pattern is the most specific match; the defaults where none matches."""
    best, weight = tables.dialects.defaults, -1
    for dialect in tables.dialects.dialects:
        if dialect.versions and not any(re.match(translate(glob), scope_version) for glob in dialect.versions):
            continue
        for pattern in dialect.scopes:
            specific = len(pattern.rstrip("*")) * 4 + ("*" not in pattern) * 2 + bool(dialect.versions)
            if specific > weight and re.match(translate(pattern), scope_name):
                best, weight = dialect, specific
    return best


@lru_cache(maxsize=1)
def tables() -> Tables:
    """The declared data. Raises ValueError where it contradicts itself: a fault of the package, found by its tests."""
    loaded = Tables.model_validate({name: _read(name) for name in Tables.model_fields})
    faults = list(_faults(loaded.attributes, loaded.classes))
    if faults:
        raise ValueError("; ".join(faults))
    return loaded


def _faults(attributes: Attributes, classes: Classes) -> Iterator[str]:
    usage = {name for name in attributes.usage if not name.startswith("unit.")}
    if usage != set(USAGE_FIELDS):
        yield f"usage: {sorted(usage ^ set(USAGE_FIELDS))} are not the figures of a Usage"
    yield from (f"usage: {name} is no bucket" for name in set(attributes.usage) - usage if name[5:] not in BUCKETS)
    about = {name for name in (*attributes.about, *attributes.about_if_relevant) if not name.startswith("price.")}
    if about - {"marks"} != set(ABOUT_FIELDS):
        yield f"about: {sorted((about - {'marks'}) ^ set(ABOUT_FIELDS))} is not what About is made of"
    if set(attributes.details) != set(DETAIL_FIELDS):
        yield f"details: expected {DETAIL_FIELDS}"
    if tuple(attributes.identity) != IDENTITIES:
        yield f"identity: expected the fields of Who in order, {IDENTITIES}"
    marks = set(attributes.about["marks"])
    seen: dict[str, str] = {}
    for section in (attributes.about, attributes.about_if_relevant, attributes.usage, attributes.details):
        for field, names in section.items():
            yield from (f"{name} stands for {seen[name]} and for {field}" for name in names if name in seen)
            seen |= dict.fromkeys(names, field)
    for field, identity in attributes.identity.items():
        yield from (f"{name} is both {seen[name]} and {field}" for name in set(identity.exact) & set(seen) - marks)
    lost = set(classes.operations.values()) - set(classes.operations)
    if lost:
        yield f"operations: {sorted(lost)} lead nowhere"


def _read(name: str) -> Any:
    text = (files(__package__) / "data" / f"{name}.yaml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 (both are safe)
