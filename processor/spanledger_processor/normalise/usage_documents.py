"""The figures in usage documents: JSON strings, maps and reprs that attributes hold (documents.yaml)."""

from __future__ import annotations

from typing import NamedTuple

from spanledger_core.facts import About, Usage
from spanledger_processor.normalise.documents import at, first, from_object_repr, load, shape_of
from spanledger_processor.normalise.schema import Document, Documents
from spanledger_processor.normalise.text import clean
from spanledger_processor.normalise.usage import Counting, Figures, figures_from
from spanledger_processor.normalise.wire import count_of


class Told(NamedTuple):
    """What a usage document says."""

    figures: Figures | None = None
    counting: Counting = Counting()
    """The convention of the document's shape."""
    response_id: str | None = None
    response_model: str = ""
    service_tier: str = ""


def is_wanted(document: Document, about: About, usage: Usage | None, response_id: str | None) -> bool:
    """Whether the document may say something that the attributes do not."""
    if usage is None or usage.input is None:
        return True
    return any(
        field in document.wants and not said
        for field, said in (
            ("response_id", response_id),
            ("response_model", about.response_model),
            ("service_tier", about.service_tier),
            ("cache_read", usage.cache_read),
            ("cache_write", usage.cache_write_5m or usage.cache_write_1h),
            ("cache_write_1h", usage.cache_write_1h),
            ("reasoning", usage.reasoning),
            ("audio_input", usage.audio_input),
        )
    )


def read(table: Documents, document: Document, piece: bytes) -> Told:
    """Read the attribute `piece`, which holds such a document."""
    parsed = load(piece)
    usage = _usage_object(document, parsed)
    beside = {field: first(parsed, paths) for field, paths in document.also.items()}
    also = {field: clean(text) for field, text in beside.items() if isinstance(text, str)}
    response_id = also.get("response_id") or None
    for path in document.raw:
        text = at(parsed, path)
        if isinstance(text, str):
            inner, identifier = from_object_repr(text)
            usage = (inner or usage) if document.prefer_raw else (usage or inner)
            response_id = response_id or identifier
    told = Told(None, Counting(), response_id, also.get("response_model", ""), also.get("response_tier", "").lower())
    shape = shape_of(table.shapes, usage) if usage else None
    if usage is None or shape is None:
        return told
    found = {field: count_of(first(usage, paths)) for field, paths in shape.figures.items()}
    numbers = {field: number for field, number in found.items() if number is not None}
    if not numbers:
        return told
    return told._replace(
        figures=figures_from(numbers), counting=Counting(shape.cache, shape.thoughts, audio=shape.audio)
    )


def _usage_object(document: Document, parsed: object) -> dict[str, object] | None:
    if document.under:
        return {document.under: parsed} if isinstance(parsed, dict) else None
    for path in document.at or ((),):
        found = at(parsed, path)
        if isinstance(found, dict) and found:
            return found
    return None
