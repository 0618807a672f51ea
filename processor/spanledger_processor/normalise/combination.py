"""The parts of a span that repeat, each field by its best attribute, and what conditions see of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from spanledger_processor.normalise.rules import DOCUMENT, FIGURE, Atom, Rule
from spanledger_processor.normalise.schema import Document, Line
from spanledger_processor.normalise.text import unquoted

_WORST: Final = (1 << 30, "")


class Combination:
    """The parts of a combination, each field by its best attribute."""

    def __init__(self, parts: Iterable[Atom | Rule]) -> None:
        self.fields: dict[str, str] = {}
        self.marks: dict[str, str] = {}
        self.figures: dict[str, int] = {}
        self.details: dict[str, int] = {}
        self.agent_id: tuple[str, int] | None = None
        self.count = 0
        """Number of values; the index of the None that stands for every figure not given."""
        best: dict[str, tuple[int, str]] = {}
        """By field or mark: rank and, so that the order of attributes never decides, value or name."""
        present = set()
        documents: list[tuple[int, str, int, Document]] = []
        for part in parts:
            if isinstance(part, Atom):
                rule, name = part.rule, part.rule.field or part.rule.key
                value = unquoted(part.value)
                if (rule.rank, value) < best.get(name, _WORST):
                    best[name] = (rule.rank, value)
                    (self.fields if rule.field else self.marks)[name] = value
                continue
            present.add(part.key)
            if part.kind == DOCUMENT:
                if part.document is not None:
                    documents.append((part.rank, part.key, len(documents), part.document))
                continue
            if part.field == "agent_id":
                if self.agent_id is None or part.key < self.agent_id[0]:
                    self.agent_id = (part.key, self.count)
            elif (part.rank, part.key) < best.get(part.field, _WORST):
                best[part.field] = (part.rank, part.key)
                (self.figures if part.kind == FIGURE else self.details)[part.field] = self.count
            self.count += 1
        ordered = sorted(documents, key=lambda entry: entry[:3])
        self.documents = tuple((document, at) for _, _, at, document in ordered)
        """Usage documents in the order of documents.yaml, with the index of their attribute."""
        if "agent_id" in self.fields:
            self.marks["agent_id"] = self.fields.pop("agent_id")
        self.present = frozenset(present | self.marks.keys())
        self.has = {"usage"} if self.figures else set()


class View:
    """What conditions look at."""

    def __init__(self, scope: str, name: str, operation: str, marks: Mapping[str, str], has: set[str]) -> None:
        self.scope = scope
        self.name = name
        self.operation = operation
        self.marks = marks
        self.has = has

    def agrees(self, line: Line) -> bool:
        """True if all the line names agree."""
        if line.scope is not None and not line.scope.match(self.scope):
            return False
        if line.name is not None and not line.name.search(self.name):
            return False
        if line.span and self.name not in line.span:
            return False
        if not all(field in self.has for field in line.has):
            return False
        return all(self._value(key).lower() in wanted for key, wanted in line.values.items())

    def _value(self, key: str) -> str:
        return self.operation if key == "operation" else self.marks.get(key, "")
