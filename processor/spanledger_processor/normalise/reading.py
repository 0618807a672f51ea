"""What a combination of repeating values means: class, models, agent, convention. Interpreted once, then remembered."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from operator import itemgetter
from typing import Any, Final, TypeVar

from spanledger_core.facts import NOBODY, About, Resource, SpanClass
from spanledger_processor.normalise.combination import Combination, View
from spanledger_processor.normalise.outcome import outcome_of
from spanledger_processor.normalise.providers import model_key, provider_of, region_of, restored, strip_prefix
from spanledger_processor.normalise.rules import Atom, Rule, Rules
from spanledger_processor.normalise.schema import Cache, Document, Tables, Thoughts
from spanledger_processor.normalise.tables import USAGE_FIELDS
from spanledger_processor.normalise.text import clean
from spanledger_processor.normalise.usage import Counting

_TRUE: Final = frozenset({"true", "1", "yes"})
_FALSE: Final = frozenset({"false", "0", "no"})
WORKFLOW: Final = "traceloop.workflow.name"
_REASON: Final = re.compile(r"[\w.:/-]{0,64}")
_FIRST_TOKEN: Final = ("first_token_s", "first_token_ms", "first_token_iso")
_CACHE_FIGURES: Final = frozenset({"cache_read", "cache_write", "cache_write_5m", "cache_write_1h"})
_USUAL_ORDER: Final = (
    "input",
    "output",
    "cache_read",
    "cache_write",
    "cache_write_5m",
    "cache_write_1h",
    "reasoning",
    "audio_input",
    "audio_output",
    "total",
)
_USUAL_FIGURES: Final = frozenset(_USUAL_ORDER)
NOWHERE: Final = Resource("", "", "", NOBODY)
_Convention = TypeVar("_Convention", Cache, Thoughts)
Picker = Callable[[Sequence[Any]], tuple[Any, ...]]


class Reading:
    """The interpretation of one combination: everything of a fact but its ids, times, figures and identities."""

    __slots__ = (
        "about",
        "agent_id",
        "cost",
        "counting",
        "detailed",
        "documents",
        "events",
        "figures",
        "first_token",
        "is_report",
        "keeps",
        "response_id",
        "units",
        "usual",
        "workflow",
    )

    def __init__(self, about: About) -> None:
        self.about = about
        """For a process not known yet (`NOWHERE`), or of one process (`within`)."""
        self.is_report = about.span_class in (SpanClass.LLM, SpanClass.AGENT)
        """Figures matter; of all other spans only the place and the names do."""
        self.counting = Counting()
        self.figures: Picker | None = None
        """Picks the figures of a `Usage` from the span's values and a None behind them; None: it has no figures."""
        self.usual: Picker | None = None
        """The same for `usage.usual`, with a 0 behind the values; None: the span is not usual."""
        self.units: tuple[tuple[str, int], ...] = ()
        """Bucket and index of its value."""
        self.documents: tuple[tuple[Document, int], ...] = ()
        """Usage documents and the index of their attribute."""
        self.response_id: int | None = None
        self.first_token: tuple[str, int] | None = None
        self.cost: int | None = None
        self.agent_id: tuple[str, int] | None = None
        self.keeps = False
        self.detailed = False
        """There is something for `Details`."""
        self.workflow: str | None = None
        self.events = False
        """The span failed and its attributes do not say how: its events may."""

    def within(self, about: About) -> Reading:
        """The same reading for spans of one process, whose `about` is given."""
        found = Reading.__new__(Reading)
        for name in Reading.__slots__:
            setattr(found, name, getattr(self, name))
        found.about = about
        return found


class Interpreter:
    """Builds readings for the spans of one scope, of any process."""

    def __init__(self, tables: Tables, rules: Rules, scope: tuple[str, str]) -> None:
        self._tables = tables
        self._rules = rules
        self._dialect = rules.dialect
        self._scope_name, self._scope_version = scope

    def read(self, parts: Iterable[Atom | Rule], name: str, status: int) -> Reading:
        """Interpret one combination."""
        found = Combination(parts)
        fields, marks = found.fields, found.marks
        for pattern in self._dialect.names:
            match = pattern.match(name)
            if match:
                for field, value in match.groupdict().items():
                    fields.setdefault(field, value)
        operation = fields.get("operation", "")
        operation = self._tables.classes.operations.get(operation.lower(), operation)
        view = View(self._scope_name, name, operation, marks, found.has | set(fields))
        helper = any(pattern.search(name) for pattern in self._dialect.helpers)
        span_class = self._class(view)
        provider, request_model, response_model = self._models(fields)
        agent, placeholder, path = self._agent(view, span_class, request_model)
        billable = span_class in (SpanClass.LLM, SpanClass.AGENT)
        streaming = self._streaming(fields, view)
        outcome = outcome_of(self._tables, fields.get("error_type", ""), fields.get("http_status", ""))
        failed = status == 2
        about = About(
            span_class=span_class,
            resource=NOWHERE,
            scope_name=self._scope_name,
            scope_version=self._scope_version,
            dialect=self._dialect.name,
            reporter=self._reporter(name),
            rank=self._dialect.rank,
            level=self._dialect.level,
            helper=helper,
            operation=operation,
            provider=provider if billable else "",
            request_model=request_model if billable else "",
            response_model=response_model if billable else "",
            model_key=model_key(self._tables.providers, response_model or request_model) if billable else "",
            agent_name=agent,
            agent_placeholder=placeholder,
            agent_path=path,
            agent_rule=False,
            is_error=failed,
            error_type=outcome.error_type if failed and billable else "",
            refused=failed and billable and outcome.refused,
            is_streaming=streaming if billable else None,
            finish_reason=_first_reason(fields.get("finish_reason", "")) if billable else "",
            service_tier=_tier(fields) if billable else "",
            price_context=self._price_context(fields) if billable else (),
            agent_version=fields.get("agent_version", ""),
        )
        reading = Reading(about)
        reading.counting = self._counting(about, fields.get("provider", ""), found.present)
        reading.workflow = marks.get(WORKFLOW)
        if reading.is_report:
            self._measures(reading, found)
        if span_class == SpanClass.LLM:
            reading.documents = found.documents
            reading.response_id = found.details.get("response_id")
            told = outcome.error_type and (outcome.refused or "http_status" in fields)
            reading.events = failed and not told
        return reading

    def _measures(self, reading: Reading, found: Combination) -> None:
        figures, absent = found.figures, found.count
        if figures:
            reading.figures = itemgetter(*(figures.get(field, absent) for field in USAGE_FIELDS))
            counting = reading.counting
            inclusive = counting.cache == "inclusive" or not figures.keys() & _CACHE_FIGURES
            if (
                inclusive
                and counting.quality == "ok"
                and counting.thoughts == "inside"
                and {"input", "output"} <= figures.keys() <= _USUAL_FIGURES
            ):
                reading.usual = itemgetter(*(figures.get(field, absent) for field in _USUAL_ORDER))
        reading.units = tuple((field[5:], at) for field, at in figures.items() if field.startswith("unit."))
        first = next((field for field in _FIRST_TOKEN if field in found.details), None)
        reading.first_token = (first, found.details[first]) if first else None
        reading.cost = found.details.get("reported_cost")
        reading.agent_id = found.agent_id
        reading.keeps = self._rules.keeps
        reading.detailed = bool(reading.first_token or reading.agent_id or reading.keeps) or reading.cost is not None

    # ------------------------------------------------------------------ single answers

    def _class(self, view: View) -> SpanClass:
        for rule in self._tables.classes.rules:
            if any(view.agrees(line) for line in rule.lines):
                return rule.span_class
        return SpanClass.OTHER

    def _models(self, fields: Mapping[str, str]) -> tuple[str, str, str]:
        """Provider, requested and responding model."""
        table = self._tables.providers
        request, response = fields.get("request_model", ""), fields.get("response_model", "")
        said = fields.get("provider", "")
        if response and request and response == fields.get("alias"):
            response = ""
        if self._dialect.model_prefix == "strip":
            prefix, request = strip_prefix(table, request)
            other, response = strip_prefix(table, response)
            said = said or prefix or other
        if self._dialect.provider_always:
            provider = self._dialect.provider
        else:
            provider = provider_of(table, said, fields.get("host", ""), (request, response), self._dialect.provider)
        request, response = restored(table, provider, request), restored(table, provider, response)
        return provider, request, "" if self._dialect.echoes and response == request else response

    def _agent(
        self, view: View, span_class: SpanClass, request_model: str
    ) -> tuple[str | None, str | None, str | None]:
        """Own name, placeholder, path: at most one of the first two."""
        names = self._tables.agents
        said = (view.marks.get(key) for key in ("agent_id", *self._rules.agent_names))
        name = next((name for name in said if name and name[0] not in "{[<"), None)
        if name is None and span_class == SpanClass.AGENT and not _any(names.unnamed_spans, view.name):
            marked = (view.marks[key] for key in names.agent_spans if key in view.marks)
            name = next((mark for mark in marked if not _any(names.no_names, mark)), None)
            if name is None:
                found = next((match.group(1) for p in names.span_names if (match := p.match(view.name))), None)
                name = clean(found) if found and found != request_model else None
        if name is None:
            name = self._conditional(view)
        path = None
        if span_class == SpanClass.LLM:
            path = self._path(view.marks)
        if name in names.placeholders:
            return None, name, path
        return name, None, path

    def _conditional(self, view: View) -> str | None:
        for rule in self._tables.agents.conditional:
            found = clean(view.name) if rule.name == "@span" else view.marks.get(rule.name)
            if found and view.agrees(rule.when):
                return found
        return None

    def _path(self, marks: Mapping[str, str]) -> str | None:
        table = self._tables.agents.path
        workflow = next((marks[key] for key in table.workflow if key in marks), None)
        if workflow is None:
            return None
        path = next((marks[key] for key in table.segments if key in marks), "")
        segments = [segment for segment in path.split(".") if segment not in table.generic]
        found = segments[-1] if segments else workflow
        return None if found in table.no_workflow else found

    def _streaming(self, fields: Mapping[str, str], view: View) -> bool | None:
        said = fields.get("streaming", "").lower()
        if said in _TRUE or any(view.agrees(line) for line in self._tables.classes.streaming):
            return True
        return False if said in _FALSE else None

    def _reporter(self, name: str) -> str:
        for pattern, suffix in self._dialect.reporters.items():
            if pattern.search(name):
                return self._scope_name + suffix
        return self._scope_name

    def _price_context(self, fields: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        said = {field[6:]: value.lower() for field, value in fields.items() if field.startswith("price.")}
        region = said.get("region") or region_of(self._tables.providers, fields.get("host", ""))
        return tuple(sorted({**said, "region": region}.items() if region else said.items()))

    def _counting(self, about: About, said: str, present: frozenset[str]) -> Counting:
        """`said` is the span's own word for the provider."""
        dialect, provider, streaming = self._dialect, about.provider, about.is_streaming
        cache = _declared(dialect.cache, said, provider, about.model_key)
        thoughts = _declared(dialect.thoughts, said, provider, about.model_key)
        suspect = dialect.suspect
        invented = suspect is not None and bool(
            suspect.always
            or (
                suspect.streaming
                and streaming is True
                and not suspect.without & present
                and (not suspect.with_any or suspect.with_any & present)
                and (not suspect.providers or provider in suspect.providers)
            )
        )
        return Counting(cache, thoughts, "suspect" if invented else "ok")


def _declared(table: Mapping[str, _Convention], said: str, provider: str, model: str) -> _Convention:
    """By provider and model (`gcp.vertex_ai/claude*`), by the word of the span or the provider, or for all others."""
    for key, declared in table.items():
        of, slash, models = key.partition("/")
        if slash and of == provider and fnmatchcase(model, models):
            return declared
    return table.get(said.lower()) or table.get(provider) or table["*"]


def _first_reason(said: str) -> str:
    """The first of several: some write the list as JSON. A sentence is none: it may be what a model said."""
    first = said.strip("[]").partition(",")[0].strip("\"' ") if said.startswith("[") else said
    return first if _REASON.fullmatch(first) else ""


def _tier(fields: Mapping[str, str]) -> str:
    for field in ("response_tier", "request_tier"):
        value = fields.get(field, "").lower()
        if value and value != "auto":
            return value
    return ""


def _any(patterns: Iterable[re.Pattern[str]], text: str) -> bool:
    return any(pattern.search(text) for pattern in patterns)
