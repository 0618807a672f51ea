"""How a call ended, as far as billing cares: refused before any output, or failed on the way."""

from __future__ import annotations

from typing import Any, NamedTuple

from spanledger_core import otlp
from spanledger_processor.normalise.schema import Tables
from spanledger_processor.normalise.text import clean
from spanledger_processor.normalise.wire import scalar

_MAX_TYPE = 128
_MAX_MESSAGE = 2048


class Outcome(NamedTuple):
    """The type of an error (a name, never its message), and whether the provider refused."""

    error_type: str
    refused: bool


def outcome_of(tables: Tables, error_type: str, http_status: str) -> Outcome:
    """From attributes alone: an HTTP status decides, else the type."""
    named = type_name(error_type)
    if http_status.isdigit() and len(http_status) == 3:
        return Outcome(named or http_status, http_status[0] in "45")
    if named.isdigit() and len(named) == 3:
        return Outcome(named, named[0] in "45")
    return Outcome(named, _last(named).lower() in tables.outcomes.refused_types)


def outcome_from_events(tables: Tables, raw: bytes, known: Outcome) -> Outcome:
    """Completed by the span's exception event and status text, of which nothing but a status code is kept."""
    span = otlp.Span.FromString(raw)
    error_type, texts = known.error_type, [span.status.message]
    exception = tables.outcomes.exception
    for event in span.events[-8:]:
        if event.name == exception.event:
            error_type = error_type or type_name(_text(event, exception.type))
            texts.append(_text(event, exception.message))
    for text in texts:
        for pattern in tables.outcomes.status_in_text:
            found = pattern.search(text[:_MAX_MESSAGE])
            if found:
                return Outcome(error_type or found.group(1), True)
    return Outcome(error_type, known.refused or _last(error_type).lower() in tables.outcomes.refused_types)


def type_name(text: str) -> str:
    """An error type, bounded; empty where the text is no name (a message put in the wrong place)."""
    return clean(text) if len(text) <= _MAX_TYPE and " " not in text.strip() else ""


def _last(name: str) -> str:
    return name.rpartition(".")[2].rpartition(":")[2]


def _text(event: Any, key: str) -> str:
    if key not in event.attributes:
        return ""
    found = scalar(event.attributes[key])
    return found if isinstance(found, str) else ""
