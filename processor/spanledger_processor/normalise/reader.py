"""One scope of one process: reads its spans to facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.message import DecodeError

from spanledger_core.facts import NOBODY, About, Details, Fact, Resource, SpanClass, Usage
from spanledger_processor.normalise import usage_documents
from spanledger_processor.normalise.details import first_token_ns, picodollars
from spanledger_processor.normalise.identities import Identities
from spanledger_processor.normalise.ledger import Ledger, Refused
from spanledger_processor.normalise.outcome import Outcome, outcome_from_events
from spanledger_processor.normalise.providers import model_key
from spanledger_processor.normalise.reading import Interpreter, Reading
from spanledger_processor.normalise.rulebook import Gathered, Parts, RuleBook, Said, Values
from spanledger_processor.normalise.sampling import probability_of
from spanledger_processor.normalise.schema import Tables
from spanledger_processor.normalise.text import clean
from spanledger_processor.normalise.usage import Figures, count, detailed, merge, usual
from spanledger_processor.normalise.usage_documents import Told
from spanledger_processor.normalise.wire import OddLayout, canonical, status_code

_MAX_TEMPLATES: Final = 8192
_MAX_READINGS: Final = 32768
_MAX_ABOUTS: Final = 32768
_MIN_ID: Final = 8
_new: Final = tuple.__new__
_NO_TRACE: Final = bytes(16)
_NO_SPAN: Final = bytes(8)
_ERROR: Final = 2
Context = tuple[tuple[str, str], ...]
Place = tuple[bytes, bytes, bytes, int, int]
"""Trace, span and parent id, start and end."""
_CODES: Final = {b"": 0, b"\x18\x00": 0, b"\x18\x01": 1, b"\x18\x02": 2}


class Window:
    """The times a span may have, nanoseconds since 1970."""

    __slots__ = ("earliest", "latest")

    def __init__(self, earliest: int, latest: int) -> None:
        self.earliest = earliest
        self.latest = latest


class Shared:
    """What all readers of one normaliser remember together. Bounded; old entries go all at once."""

    def __init__(self) -> None:
        self._abouts: dict[About, About] = {}
        self.readings: dict[tuple[object, ...], Reading] = {}
        """By reader and all that a reading depends on: what most spans find."""
        self.templates: dict[tuple[object, ...], Reading] = {}
        """By scope instead of reader: interpreting is dear, and many processes say the same."""

    def about(self, about: About) -> About:
        """The one object for this combination."""
        if len(self._abouts) >= _MAX_ABOUTS:
            self._abouts = {}
        return self._abouts.setdefault(about, about)

    def remember(self, key: tuple[object, ...], reading: Reading) -> None:
        """Keep a reading of one process."""
        if len(self.readings) >= _MAX_READINGS:
            self.readings = {}
        self.readings[key] = reading

    def remember_template(self, key: tuple[object, ...], reading: Reading) -> None:
        """Keep an interpretation."""
        if len(self.templates) >= _MAX_TEMPLATES:
            self.templates = {}
        self.templates[key] = reading


class ScopeReader:
    """Reads the spans of one scope of one process. Threads may share it: all it holds is remembered results."""

    def __init__(
        self,
        *,
        tables: Tables,
        book: RuleBook,
        resource: Resource,
        scope: tuple[str, str],
        shared: Shared,
        identities: Identities,
        tenant_known: bool,
        price_defaults: Mapping[str, frozenset[str]],
    ) -> None:
        self._tables = tables
        self._book = book
        self._scope_name = scope[0]
        self._shared = shared
        self._identities = identities
        self._tenant_known = tenant_known
        self._price_defaults = price_defaults
        self._resource = resource
        self._scope = scope
        self._interpreter = Interpreter(tables, book.rules, scope)
        self._tells_by_name = bool(book.dialect.names)
        lines = [line for rule in tables.classes.rules for line in rule.lines]
        self._named = frozenset(name.encode() for line in lines for name in line.span)
        self._bare = shared.about(_bare_about(resource))

    def read(self, span: Any, window: Window, ledger: Ledger) -> Fact:
        """One `wire.Span`. Raises `Refused`."""
        place = _place(span, window)
        if span.dropped_attributes_count:
            ledger.note("attributes_dropped", self._scope_name)
        try:
            return self._fact(span, place, ledger)
        except DecodeError as error:
            raise Refused("malformed", f"an attribute of span {place[1].hex()} of trace {place[0].hex()}") from error

    def _fact(self, span: Any, place: Place, ledger: Ledger) -> Fact:
        try:
            gathered = self._book.gather(span.attributes[:])
        except (OddLayout, IndexError):
            pieces = [piece for piece in map(canonical, span.attributes) if piece is not None]
            gathered = self._book.gather(pieces)
        for part in gathered[0]:
            if part.strong:
                return self._report(span, place, gathered, ledger)
        if span.name in self._named or (self._tells_by_name and _status(span.status) == _ERROR):
            return self._report(span, place, gathered, ledger)
        return self._bystander(place, gathered[2])

    def _report(self, span: Any, place: Place, gathered: Gathered, ledger: Ledger) -> Fact:
        """A span that says something about calls or agents."""
        parts, values, said, documents = gathered
        status = _status(span.status)
        key = (self, span.name, status, *parts)
        reading = self._shared.readings.get(key) or self._interpret(key, parts, span.name, status)
        about, who = reading.about, NOBODY
        if said or reading.workflow:
            who, agent = self._identities.of(self._book, tuple(said), reading.workflow, self._tenant_known)
            if agent:
                about = self._shared.about(about._replace(agent_name=agent, agent_placeholder=None, agent_rule=True))
        if not reading.is_report:
            return _new(Fact, place + (about, who, None, None, None))  # noqa: RUF005 (unpacking costs twice as much)
        usage = self._usage(reading, values, ledger)
        response_id = values[reading.response_id] if reading.response_id is not None else None
        if reading.documents:
            about, usage, response_id = self._with_documents(reading, documents, about, usage, response_id)
        if about.is_error:
            about = self._failed(reading, about, usage, span)
        details = None
        if reading.detailed or span.trace_state:
            details = self._details(reading, values, span, place[3], ledger)
        if usage is None or usage.quality != "ok":
            self._remark(about, usage, ledger)
        return _new(Fact, place + (about, who, usage, _id(response_id), details))  # noqa: RUF005

    def _bystander(self, place: Place, said: Said) -> Fact:
        """A span that is only a place in the tree, or a place with identities."""
        if said:
            who, agent = self._identities.of(self._book, tuple(said), None, self._tenant_known)
            about = self._bare
            if agent:
                about = self._shared.about(about._replace(agent_name=agent, agent_rule=True))
            if who is not NOBODY or agent:
                return _new(Fact, (*place, about, who, None, None, None))
        trace_id, span_id, parent_id, _, _ = place
        return _new(Fact, (trace_id, span_id, parent_id, 0, 0, self._bare, NOBODY, None, None, None))

    # ------------------------------------------------------------------ parts of a span

    def _interpret(self, key: tuple[object, ...], parts: Parts, name: bytes, status: int) -> Reading:
        shared, key_anywhere = self._shared, (self._scope, *key[1:])
        template = shared.templates.get(key_anywhere)
        if template is None:
            template = self._interpreter.read(parts, name.decode("utf-8", "replace"), status)
            shared.remember_template(key_anywhere, template)
        about = template.about
        nameless = about.agent_name is None and about.agent_placeholder is None
        is_bare = about.span_class == SpanClass.OTHER and nameless and not about.helper
        here = about._replace(resource=self._resource, price_context=self._stated(about.price_context))
        reading = template.within(self._bare if is_bare else shared.about(here))
        shared.remember(key, reading)
        return reading

    def _stated(self, context: Context) -> Context:
        """Without values that change no price, unless the process or a rule says otherwise: then the span is right."""
        if not context:
            return context
        defaults, process = self._price_defaults, dict(self._resource.price_context)
        return tuple(pair for pair in context if pair[0] in process or pair[1] not in defaults.get(pair[0], ()))

    def _usage(self, reading: Reading, values: Values, ledger: Ledger) -> Usage | None:
        if reading.usual is not None:
            values.append(0)
            usage = usual(reading.usual(values), reading.counting.cache)
            if usage is not None:
                return usage
            values.pop()
        if reading.figures is None:
            return None
        values.append(None)
        units = tuple(sorted((bucket, values[at]) for bucket, at in reading.units))
        counted = count(Figures._make((*reading.figures(values), units)), reading.counting)
        if counted.contradicted:
            ledger.note("convention_contradicted", self._scope_name)
        return counted.usage

    def _with_documents(
        self, reading: Reading, documents: list[bytes], about: About, usage: Usage | None, response_id: str | None
    ) -> tuple[About, Usage | None, str | None]:
        for document, at in reading.documents:
            if not usage_documents.is_wanted(document, about, usage, response_id):
                continue
            told = usage_documents.read(self._tables.documents, document, documents[at])
            usage = _completed(usage, told)
            response_id = response_id or told.response_id
            about = self._told(about, told)
        if usage is not None and reading.counting.quality == "suspect" and usage.quality == "ok":
            usage = usage._replace(quality="suspect")
        return about, usage, response_id

    def _told(self, about: About, told: Told) -> About:
        """Completed by what a document says; a response model that repeats the request's is none."""
        changed = about
        if told.response_model and about.response_model in ("", about.request_model):
            key = model_key(self._tables.providers, told.response_model)
            changed = changed._replace(response_model=told.response_model, model_key=key)
        if told.service_tier not in ("", "auto") and not about.service_tier:
            changed = changed._replace(service_tier=told.service_tier)
        return about if changed is about else self._shared.about(changed)

    def _failed(self, reading: Reading, about: About, usage: Usage | None, span: Any) -> About:
        """What a failed span says about how it failed; a call with usage was not refused."""
        if reading.events:
            outcome = outcome_from_events(
                self._tables, span.SerializeToString(), Outcome(about.error_type, about.refused)
            )
            about = about._replace(error_type=outcome.error_type, refused=outcome.refused)
        if about.refused and usage is not None:
            about = about._replace(refused=False)
        return self._shared.about(about)

    def _remark(self, about: About, usage: Usage | None, ledger: Ledger) -> None:
        if usage is not None:
            ledger.note(f"{usage.quality}_usage", self._scope_name)
        elif about.span_class == SpanClass.LLM and not about.is_error:
            ledger.note("stream_without_usage" if about.is_streaming else "no_usage", self._scope_name)

    def _details(self, reading: Reading, values: Values, span: Any, start: int, ledger: Ledger) -> Details | None:
        first_token = first_token_ns(reading.first_token, values, start)
        cost = picodollars(values[reading.cost]) if reading.cost is not None else None
        sampled = probability_of(span.trace_state) if span.trace_state else None
        if sampled is not None:
            ledger.note("sampled", self._scope_name)
        attributes: tuple[tuple[str, str], ...] = ()
        if reading.agent_id is not None:
            attributes = ((reading.agent_id[0], clean(str(values[reading.agent_id[1]]))),)
        if reading.keeps:
            attributes = tuple(sorted({*attributes, *self._book.kept(span.attributes)}))
        if first_token is None and cost is None and sampled is None and not attributes:
            return None
        return Details(first_token, cost, sampled, attributes)


def _completed(usage: Usage | None, told: Told) -> Usage | None:
    """What attributes say, completed by a document; parts without totals are no usage by themselves."""
    if told.figures is None:
        return usage
    nested = count(told.figures, told.counting).usage
    if told.figures.input is not None:
        return merge(usage, nested)
    if usage is None or nested is None:
        return usage
    return merge(usage, nested) if told.figures.output is not None else detailed(usage, nested)


def _status(encoded: bytes) -> int:
    code = _CODES.get(encoded)
    return status_code(encoded) if code is None else code


def _bare_about(resource: Resource) -> About:
    return About(
        span_class=SpanClass.OTHER,
        resource=resource,
        scope_name="",
        scope_version="",
        dialect="",
        reporter="",
        rank=1,
        level=1,
        helper=False,
        operation="",
        provider="",
        request_model="",
        response_model="",
        model_key="",
        agent_name=None,
        agent_placeholder=None,
        agent_path=None,
        agent_rule=False,
        is_error=False,
        error_type="",
        refused=False,
        is_streaming=None,
        finish_reason="",
        service_tier="",
        price_context=(),
    )


def _place(span: Any, window: Window) -> Place:
    """Ids and times. Raises `Refused`."""
    trace_id, span_id, parent_id = span.trace_id, span.span_id, span.parent_span_id
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    if not start:
        start = end  # nobody said
    if end < start:  # noqa: PLR1730 (three times as fast as max())
        end = start
    if (
        len(trace_id) != 16
        or len(span_id) != 8
        or (parent_id and len(parent_id) != 8)
        or start < window.earliest
        or end > window.latest
        or span_id == _NO_SPAN
        or trace_id == _NO_TRACE
    ):
        raise _refusal(span, window)
    return trace_id, span_id, b"" if parent_id == span_id else parent_id, start, end


def _refusal(span: Any, window: Window) -> Refused:
    """Which limit a span broke, the first in the order of `REASONS`."""
    where = f"span {span.span_id[:8].hex() or '-'} of trace {span.trace_id[:16].hex() or '-'}"
    if len(span.trace_id) != 16 or not any(span.trace_id):
        return Refused("bad_trace_id", f"{where}: {len(span.trace_id)} bytes")
    if len(span.span_id) != 8 or not any(span.span_id):
        return Refused("bad_span_id", f"{where}: {len(span.span_id)} bytes")
    if span.parent_span_id and len(span.parent_span_id) != 8:
        return Refused("bad_parent_id", f"{where}: {len(span.parent_span_id)} bytes")
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    if max(start, end) > window.latest:
        return Refused("in_future", f"{where}: from {start} to {end} ns since 1970")
    return Refused("too_old", f"{where}: started at {start or end} ns since 1970")


def _id(response_id: Any) -> str | None:
    """A response id as kept: none that is too short to tell calls apart."""
    return clean(response_id) if isinstance(response_id, str) and len(response_id) >= _MIN_ID else None
