"""Figures and names inside JSON strings and Python reprs, read without evaluating anything and within bounds."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import orjson

from spanledger_processor.normalise.schema import Shape
from spanledger_processor.normalise.wire import document_value

MAX_JSON: Final = 1 << 20
"""Characters of a JSON document that is still parsed (one with content may be large)."""
MAX_REPR: Final = 1 << 16
"""Characters of a Python literal that is still parsed."""
_MAX_REPR_BRACKETS: Final = 400
_MAX_LEAVES: Final = 256
_MAX_OBJECT_REPR: Final = 4096
_OBJECT_USAGE: Final = re.compile(r"\busage=[A-Za-z_]\w{0,64}\(|'usage': \{")
_OBJECT_ID: Final = re.compile(r"^[A-Za-z_]\w{0,64}\(id='([\w.:-]{8,200})'")
_OBJECT_TOKEN: Final = re.compile(r"\b(\w{1,64})(?:=|': )(?:(\d{1,18})\b|((?:[A-Za-z_]\w{0,64}\()|\{)|)|([)}])")


def parse(text: str) -> Any:
    """A JSON document, or a Python literal of dicts, lists and scalars; None where it is neither or too large."""
    text = text.strip()
    if not text or text[0] not in "{[":
        return None
    if len(text) <= MAX_JSON:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass
    if len(text) > MAX_REPR or sum(map(text.count, "{[(")) > _MAX_REPR_BRACKETS:
        return None
    try:
        # literal_eval runs no code; its own failures on deep or odd input are all of these
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def load(piece: bytes) -> Any:
    """The document an attribute holds: text to be parsed, or a map as it is; None for anything else."""
    value = document_value(piece)
    return parse(value) if isinstance(value, str) else value


def leaves(document: Any) -> Iterator[tuple[str, str | int | float]]:
    """The scalars at the top of a document that is a map, a bounded number of them."""
    if isinstance(document, dict):
        for key, value in islice(document.items(), _MAX_LEAVES):
            if isinstance(key, str) and isinstance(value, (str, int, float)):
                yield key, value


def at(document: Any, path: Sequence[str]) -> Any:
    """What stands under a path; None if nothing does. `0` picks from a list, `?key=value` the element that says so."""
    for step in path:
        if isinstance(document, Mapping):
            document = document.get(step)
        elif isinstance(document, list):
            document = _element(document, step)
        else:
            return None
    return document


def from_object_repr(text: str) -> tuple[dict[str, Any] | None, str | None]:
    """The usage and the id in the repr of a client's response object: `ChatCompletion(id='...', usage=Usage(...))`.

    The usage may be a map as well. The last one counts: what a model wrote stands before it.
    """
    identifier = _OBJECT_ID.match(text)
    starts = list(_OBJECT_USAGE.finditer(text, max(0, len(text) - _MAX_OBJECT_REPR)))
    found = _object_fields(text, starts[-1].end()) if starts else None
    return found, identifier.group(1) if identifier else None


def _object_fields(text: str, position: int) -> dict[str, Any]:
    top: dict[str, Any] = {}
    stack = [top]
    for token in _OBJECT_TOKEN.finditer(text, position):
        name, number, opens, closes = token.groups()
        if closes:
            stack.pop()
            if not stack:
                break
        elif opens:
            inner: dict[str, Any] = {}
            stack[-1][name] = inner
            stack.append(inner)
        elif number is not None:
            stack[-1][name] = int(number)
    return top


def shape_of(shapes: Sequence[Shape], usage: Mapping[str, Any]) -> Shape | None:
    """How this usage object spells its figures."""
    for shape in shapes:
        if (
            all(key in usage for key in shape.all_of)
            and (not shape.any_of or any(key in usage for key in shape.any_of))
            and not any(key in usage for key in shape.none_of)
        ):
            return shape
    return None


def first(document: Any, paths: Sequence[Sequence[str]]) -> Any:
    """What stands under the first path that leads to something."""
    for path in paths:
        found = at(document, path)
        if found is not None:
            return found
    return None


def _element(listed: list[Any], step: str) -> Any:
    if step.startswith("?"):
        key, _, wanted = step[1:].partition("=")
        for element in listed[:64]:
            if isinstance(element, dict) and str(element.get(key, "")).upper().endswith(wanted):
                return element
        return None
    return listed[int(step)] if step.isdigit() and int(step) < len(listed) else None
