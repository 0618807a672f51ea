"""The shape of the declared data (`data/*.yaml`): one class per table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import translate
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from spanledger_core.facts import SpanClass

Cache = Literal["inclusive", "exclusive", "assumed"]
Thoughts = Literal["inside", "outside", "rest", "twice"]


def globs(patterns: tuple[str, ...] | list[str] | None) -> re.Pattern[str] | None:
    """One regular expression for a list of globs; None for an empty list."""
    return re.compile("|".join(f"(?:{translate(pattern)})" for pattern in patterns)) if patterns else None


def _paths(values: list[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(() if path == "." else tuple(path.split(".")) for path in values)


def _class(name: object) -> object:
    return SpanClass[name] if isinstance(name, str) else name


def squeezed(name: str) -> str:
    """A name without what stands between its words: libraries differ in that most."""
    return re.sub(r"[._\- ]", "", name)


Names = tuple[str, ...]
Pattern = re.Pattern[str]
Globs = Annotated[re.Pattern[str] | None, BeforeValidator(globs)]
Path = tuple[str, ...]
Paths = Annotated[tuple[Path, ...], BeforeValidator(_paths)]


class Table(BaseModel):
    """What every declared table has in common: unknown keys are a fault, and nothing changes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Line(Table):
    """One condition: all it names must agree. Keys that are no fields here are attributes and their values."""

    scope: Globs = None
    name: Pattern | None = None
    span: frozenset[str] = frozenset()
    has: Names = ()
    values: Mapping[str, frozenset[str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _attributes(cls, entry: Mapping[str, Any]) -> dict[str, Any]:
        own = {key: value for key, value in entry.items() if key in ("scope", "name", "span", "has")}
        marks = {key: [value.lower() for value in listed] for key, listed in entry.items() if key not in own}
        return {**own, "values": marks}


class ClassRule(Table):
    """A class and the lines of which one must match."""

    span_class: Annotated[SpanClass, BeforeValidator(_class)] = Field(alias="class")
    lines: tuple[Line, ...] = Field(alias="any")


class Classes(Table):
    """classes.yaml."""

    operations: Mapping[str, str]
    rules: tuple[ClassRule, ...]
    streaming: tuple[Line, ...]


class Suspect(Table):
    """When a dialect's figures are its own invention."""

    always: bool = False
    streaming: bool = False
    with_any: frozenset[str] = Field(frozenset(), alias="with")
    without: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()


class Dialect(Table):
    """One instrumentation family (dialects.yaml)."""

    name: str
    instrumentation: str = ""
    seen: str = ""
    loses: Names = ()
    advice: str = ""
    scopes: Names = ()
    versions: Names = ()
    level: int
    rank: int
    provider: str = ""
    provider_always: bool = False
    echoes: bool = False
    cache: Mapping[str, Cache]
    thoughts: Mapping[str, Thoughts]
    fields_: Mapping[str, Names] = Field({}, alias="fields")
    prefer: Mapping[str, Names] = {}
    ignore: frozenset[str] = frozenset()
    reporters: Mapping[Pattern, str] = {}
    helpers: tuple[Pattern, ...] = ()
    names: tuple[Pattern, ...] = ()
    model_prefix: Literal["keep", "strip"] = "keep"
    suspect: Suspect | None = None


class Dialects(Table):
    """dialects.yaml; what a dialect does not say is taken from `defaults`."""

    defaults: Dialect
    dialects: tuple[Dialect, ...]

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, entry: Mapping[str, Any]) -> dict[str, Any]:
        defaults = entry["defaults"]
        return {
            "defaults": {"name": "semconv", **defaults},
            "dialects": [
                {**defaults, **dialect, "thoughts": {**defaults["thoughts"], **dialect.get("thoughts", {})}}
                for dialect in entry["dialects"]
            ],
        }


class Identity(Table):
    """How one identity is spelled."""

    exact: Names
    leaves: Names
    no_values: Names = ()


class NoValues(Table):
    """What instrumentations write where there is nothing."""

    exact: frozenset[str]
    prefixes: Names


class Attributes(Table):
    """attributes.yaml."""

    about: Mapping[str, Names]
    about_if_relevant: Mapping[str, Names]
    usage: Mapping[str, Names]
    details: Mapping[str, Names]
    identity: Mapping[str, Identity]
    families: Names
    family_leaves: Mapping[str, str]
    no_values: NoValues
    content: Globs


class Document(Table):
    """An attribute that holds a document worth reading."""

    attributes: Names
    kind: Literal["usage", "settings"]
    scopes: Globs = None
    at: Paths = ()
    under: str = ""
    raw: Paths = ()
    prefer_raw: bool = False
    wants: frozenset[str] = frozenset()
    also: Mapping[str, Paths] = {}
    about: Mapping[str, Paths] = {}
    marks: Mapping[str, Paths] = {}
    identity: Mapping[str, Paths] = {}
    leaves: Paths = ()
    needles: tuple[bytes, ...] = ()
    requires: Names = ()


class Shape(Table):
    """How a usage object spells its figures."""

    name: str
    all_of: Names = Field((), alias="all")
    any_of: Names = Field((), alias="any")
    none_of: Names = Field((), alias="none")
    cache: Cache
    thoughts: Thoughts = "inside"
    audio: Literal["inside", "outside"] = "inside"
    figures: Mapping[str, Paths] = Field(alias="fields")


class Documents(Table):
    """documents.yaml."""

    documents: tuple[Document, ...]
    shapes: tuple[Shape, ...]


class Conditional(Table):
    """A name that counts under a condition."""

    when: Line
    name: str


class AgentPath(Table):
    """Where old instrumentations hide an agent."""

    segments: Names
    workflow: Names
    generic: frozenset[str]
    no_workflow: frozenset[str]


class Agents(Table):
    """agents.yaml."""

    names: Names
    agent_spans: Names
    no_names: tuple[Pattern, ...]
    conditional: tuple[Conditional, ...]
    span_names: tuple[Pattern, ...]
    unnamed_spans: tuple[Pattern, ...]
    placeholders: frozenset[str]
    path: AgentPath
    user_prefix: str
    ids: Names


class ModelRule(Table):
    """A provider by the look of a model id."""

    match: Pattern
    provider: str
    route: bool = False


class HostRule(Table):
    """A provider by a host."""

    match: Pattern
    provider: str


class Restored(Table):
    """A vendor prefix to put back."""

    match: Pattern
    prefix: str


class ModelKey(Table):
    """What is taken off a model id for comparing."""

    prefixes: tuple[Pattern, ...]
    suffixes: tuple[Pattern, ...]


class Providers(Table):
    """providers.yaml."""

    names: Mapping[str, str]
    interfaces: frozenset[str]
    unknown: frozenset[str]
    hosts: tuple[HostRule, ...]
    regions: tuple[Pattern, ...]
    clients: frozenset[str]
    restore: Mapping[str, tuple[Restored, ...]]
    models: tuple[ModelRule, ...]
    model_key: ModelKey
    model_prefixes: frozenset[str]

    @cached_property
    def squeezed(self) -> Mapping[str, str]:
        """`names` by the letters and digits of their spelling alone."""
        return {squeezed(name): provider for name, provider in self.names.items()}


class ExceptionEvent(Table):
    """Where an exception event says what it is."""

    event: str
    type: str
    message: str


class Outcomes(Table):
    """outcomes.yaml."""

    refused_types: frozenset[str]
    status_in_text: tuple[Pattern, ...]
    exception: ExceptionEvent
    price_defaults: Mapping[str, frozenset[str]]


class Tables(Table):
    """All of it."""

    attributes: Attributes
    dialects: Dialects
    classes: Classes
    agents: Agents
    providers: Providers
    documents: Documents
    outcomes: Outcomes

    @property
    def content(self) -> re.Pattern[str]:
        """Matches attributes that hold what people wrote or models answered: never kept."""
        assert self.attributes.content is not None
        return self.attributes.content
