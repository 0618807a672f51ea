"""What is wrong with a configuration, in sentences: where, what, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from spanledger.config.tree import child, keys, paths, section_of
from spanledger.config.yaml_file import KeyPath, dotted


class Origin(NamedTuple):
    """Where values came from, for naming them in faults."""

    file: Path | None
    lines: Mapping[KeyPath, int]
    variables: Mapping[KeyPath, str]

    def of(self, path: KeyPath) -> str:
        """`SPANLEDGER_SQL__ENDPOINT`, or `spanledger.yaml:7: sql.endpoint`."""
        for length in range(len(path), 0, -1):
            variable = self.variables.get(path[:length])
            if variable is not None:
                return variable if length == len(path) else f"{variable}: {dotted(path)}"
        line = self.line(path)
        return f"{self.file}:{line}: {dotted(path)}" if line else dotted(path)

    def line(self, path: KeyPath) -> int:
        """The line of the file that sets `path` or the section it is missing from; 0 if none does."""
        return next((self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), 0)


def fault_lines(error: ValidationError, model: type[BaseModel], origin: Origin) -> list[str]:
    """One line per fault that validation found. Values are never shown: they may be secrets."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    found.sort(key=lambda each: origin.line(tuple(each["loc"])))
    return [": ".join(filter(None, (origin.of(tuple(each["loc"])), _sentence(each, model)))) for each in found]


def _sentence(each: ErrorDetails, model: type[BaseModel]) -> str:
    if each["type"] == "extra_forbidden":
        return unknown_key(model, tuple(each["loc"]), dotted)
    if each["type"] == "missing":
        return "must be set"
    if each["type"] == "tuple_type":
        return "must be a list, for example [a, b]"
    message = each["msg"].removeprefix("Value error, ").replace("Input should", "must")
    return message[:1].lower() + message[1:]


def unknown_key(model: type[BaseModel], path: KeyPath, spell: Callable[[KeyPath], str]) -> str:
    """That the last part of `path` is no key, and which one was probably meant."""
    *parent, wrong = path
    section = section_of(child(model, tuple(parent)))
    known = list(keys(section)) if section is not None else []
    close = difflib.get_close_matches(str(wrong), known, n=1, cutoff=0.6)
    if close:
        return f"unknown key; did you mean {spell((*parent, close[0]))}?"
    elsewhere = [other for other in paths(model) if other[-1] == wrong]
    if elsewhere:
        return f"unknown key here; did you mean {spell(elsewhere[0])}?"
    if not known:
        return f"unknown key; {spell(tuple(parent))} is a single value"
    return f"unknown key; known here: {', '.join(known)}"
