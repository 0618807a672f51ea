"""Marks in place of everything people and models said: found anywhere afterwards, they prove a leak.

A mark is random, so no compression shortens it, and stands at the beginning of its text, so no cut removes it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from spanledger.config.content import content_patterns

PREFIX: Final = "xQ7wKz93"
"""Of every mark; what is searched for, whatever became of its letters' case."""
_TALK: Final = frozenset(
    {
        *("arguments", "args", "body", "completion", "content", "contents", "data", "delta", "description", "document"),
        *("error", "explanation", "input", "instruction", "instructions", "kwargs", "message", "messages", "output"),
        *("parts", "prompt", "query", "question", "answer", "reasoning", "refusal", "response", "result", "results"),
        *("summary", "system", "text", "thinking", "thought", "transcript", "value"),
    }
)
"""Members of documents that hold what was said."""
_DATA: Final = frozenset(
    {
        *("model", "model_name", "modelversion", "model_version", "model_id", "ls_model_name", "ls_provider"),
        *("id", "response_id", "responseid", "run_id", "thread_id", "session_id", "user", "user_id", "customer"),
        *("service_tier", "finish_reason", "finishreason", "stop_reason", "system_fingerprint", "object", "type"),
    }
)
"""Members of documents that say what a call was, wherever they stand."""
_NAMES: Final = frozenset(
    {
        # who somebody is may consist of several words, and is kept on purpose
        "agent.name",
        "gen_ai.agent.name",
        "gen_ai.workflow.name",
        "graph.node.id",
        "service.name",
        "traceloop.entity.name",
        "traceloop.entity.path",
        "traceloop.workflow.name",
    }
)
_PROSE_LENGTH: Final = 20


class Canaries:
    """Puts marks into requests, and counts them."""

    def __init__(self, seed: int = 0) -> None:
        self._chance = random.Random(seed)
        self.placed = 0
        self.keys: set[str] = set()
        """Where: attributes, events, status messages."""

    def mark(self, body: bytes) -> bytes:
        """The request with marks instead of content."""
        message = ExportTraceServiceRequest.FromString(body)
        for group in message.resource_spans:
            for part in group.scope_spans:
                for span in part.spans:
                    self._span(span)
        encoded: bytes = message.SerializeToString()
        return encoded

    def text(self, old: str, where: str) -> str:
        """A mark in front of `old`."""
        self.placed += 1
        self.keys.add(where)
        return f"{PREFIX}{self._chance.getrandbits(96):024x} {old}"

    def _span(self, span: Any) -> None:
        for attribute in span.attributes:
            self._value(attribute.value, attribute.key, _is_content(attribute.key))
        for event in span.events:
            for attribute in event.attributes:
                talk = attribute.key not in ("exception.type", "gen_ai.system")
                self._value(attribute.value, f"event {attribute.key}", talk)
        span.status.message = self.text(span.status.message, "status message")

    def _value(self, value: AnyValue, where: str, is_content: bool) -> None:
        kind = value.WhichOneof("value")
        if kind == "string_value":
            value.string_value = self._string(value.string_value, where, is_content)
        elif kind == "bytes_value" and is_content:
            value.bytes_value = self.text("", where).encode() + value.bytes_value
        elif kind == "array_value":
            for element in value.array_value.values:
                self._value(element, where, is_content)
        elif kind == "kvlist_value":
            for member in value.kvlist_value.values:
                self._value(member.value, where, is_content or member.key in _TALK)

    def _string(self, old: str, where: str, is_content: bool) -> str:
        if old[:1] in ("{", "["):
            try:
                return json.dumps(self._document(json.loads(old), where, False))
            except ValueError:
                pass
        # what begins so is a library's way to say "nothing" where an id should be
        is_prose = len(old) >= _PROSE_LENGTH and " " in old and old[0] not in "<[" and where not in _NAMES
        return self.text(old, where) if is_content or is_prose else old

    def _document(self, node: Any, where: str, is_talk: bool) -> Any:
        if isinstance(node, dict):
            return {
                key: self._document(each, where, (is_talk or key.lower() in _TALK) and key.lower() not in _DATA)
                for key, each in node.items()
            }
        if isinstance(node, list):
            return [self._document(each, where, is_talk) for each in node]
        if isinstance(node, str):
            return self._string(node, f"{where} (document)", is_talk)
        return node


def _is_content(key: str) -> bool:
    lower = key.lower()
    return any(
        lower.startswith(pattern[:-1]) if pattern.endswith("*") else lower == pattern for pattern in content_patterns()
    )


def found_in(data: bytes) -> list[str]:
    """Marks in some bytes, with what stands around them."""
    lower, mark = data.lower(), PREFIX.lower().encode()
    places: list[str] = []
    at = lower.find(mark)
    while at >= 0 and len(places) < 20:
        places.append(repr(data[max(0, at - 60) : at + 60]))
        at = lower.find(mark, at + 1)
    return places


def found_under(folder: Path) -> list[str]:
    """Files that hold a mark, or have one in their name."""
    while True:
        try:
            return [*_found_now(folder)]
        except FileNotFoundError:
            continue  # merges take files away under our eyes


def _found_now(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if found_in(path.name.encode()):
            yield f"{path}: in its name"
        if path.is_file() and not path.is_symlink():
            yield from (f"{path}: {place}" for place in found_in(path.read_bytes()))


def found_open(pid: int) -> Iterator[str]:
    """Files that a process has open and that hold a mark, deleted ones included."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if link.is_file():
                yield from (f"{link.readlink()}: {place}" for place in found_in(link.read_bytes()))
        except OSError:
            continue  # closed meanwhile
