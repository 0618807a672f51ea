"""Export requests to batches of facts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final

from google.protobuf.message import DecodeError

from spanledger_core.clock import Clock
from spanledger_core.facts import Fact, FactBatch, Resource
from spanledger_processor.normalise.identities import Identities
from spanledger_processor.normalise.ledger import Ledger, Refused
from spanledger_processor.normalise.reader import ScopeReader, Shared, Window
from spanledger_processor.normalise.rulebook import RuleBook
from spanledger_processor.normalise.rules import IDENTITY, Rule, Rules
from spanledger_processor.normalise.settings import NormaliserSettings
from spanledger_processor.normalise.tables import dialect_of, tables
from spanledger_processor.normalise.text import clean
from spanledger_processor.normalise.wire import Span, scalar, spans_of

_DAY_NS: Final = 86_400_000_000_000
_MAX_RESOURCES: Final = 4096
_MAX_READERS: Final = 16384
_MAX_BOOKS: Final = 512
_MAX_TOGETHER: Final = 8192
"""Spans decoded at once, all in memory then: what the batch processor of an OpenTelemetry Collector sends at once."""
_MAX_BYTES_TOGETHER: Final = 4 << 20
"""And their bytes: content, mostly, of which nothing is kept."""


class Normaliser:
    """Reads export requests; called from several threads at once. Content never leaves it."""

    def __init__(self, settings: NormaliserSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._tables = tables()
        self._shared = Shared()
        self._identities = Identities(settings, self._tables)
        self._price_defaults = {
            name: values
            for name, values in self._tables.outcomes.price_defaults.items()
            if name not in settings.ruled_contexts
        }
        self._books: dict[str, RuleBook] = {}
        self._resources: dict[tuple[bytes, str | None], Resource] = {}
        self._readers: dict[tuple[Resource, str, str], ScopeReader] = {}

    def batch(self, request: Any, tenant: str | None = None) -> FactBatch:
        """The facts of one `TracesRequest`, in order, and what was refused of it.

        `tenant` is what the credentials say; with it, what spans claim to be their tenant is not read.
        """
        ledger = Ledger()
        facts: list[Fact] = []
        now = self._clock.now_ns()
        window = Window(
            now - self._settings.retention_days * _DAY_NS, now + self._settings.future_tolerance_s * 1_000_000_000
        )
        for group in request.resource_spans:
            resource = self._resource(group.resource, tenant)
            for part in group.scope_spans:
                read = self._reader(resource, part.scope.name, part.scope.version, tenant is not None).read
                for span in _spans(part, ledger):
                    try:
                        facts.append(read(span, window, ledger))
                    except Refused as refused:
                        ledger.refuse(refused)
        return FactBatch(tuple(facts), ledger.refusals(), ledger.notes())

    def _reader(self, resource: Resource, scope_name: str, scope_version: str, tenant_known: bool) -> ScopeReader:
        key = (resource, scope_name, scope_version)
        reader = self._readers.get(key)
        if reader is None:
            if len(self._readers) >= _MAX_READERS:
                self._readers = {}
            name, version = clean(scope_name), clean(scope_version)
            book = self._book(name, version)
            reader = ScopeReader(
                tables=self._tables,
                book=book,
                resource=resource,
                scope=(name, version),
                shared=self._shared,
                identities=self._identities,
                tenant_known=tenant_known,
                price_defaults=self._price_defaults,
            )
            self._readers[key] = reader
        return reader

    def _book(self, scope_name: str, scope_version: str) -> RuleBook:
        dialect = dialect_of(self._tables, scope_name, scope_version)
        readable = [
            bool(document.scopes and document.scopes.match(scope_name)) for document in self._tables.documents.documents
        ]
        key = f"{dialect.name} {readable}"
        book = self._books.get(key)
        if book is None:
            if len(self._books) >= _MAX_BOOKS:
                self._books = {}
            book = self._books.setdefault(
                key, RuleBook(self._tables, Rules(self._tables, dialect, scope_name, self._settings))
            )
        return book

    def _resource(self, message: Any, tenant: str | None) -> Resource:
        key = (message.SerializeToString(), tenant)
        resource = self._resources.get(key)
        if resource is None:
            if len(self._resources) >= _MAX_RESOURCES:
                self._resources = {}
            resource = self._resources.setdefault(key, self._read_resource(message, tenant))
        return resource

    def _read_resource(self, message: Any, tenant: str | None) -> Resource:
        attributes = {}
        for key in sorted(message.attributes):
            value = scalar(message.attributes[key])
            if value is not None and value != "":
                attributes[key] = str(value)
        digest = hashlib.blake2b(digest_size=16)
        for key, text in (("", tenant or ""), *attributes.items()):
            if not key.startswith("telemetry."):
                digest.update(f"{len(key)}:{key}={len(text)}:{text};".encode("utf-8", "replace"))
        book = self._book("", "")
        said: list[Rule | str] = []
        for field, names in self._tables.attributes.identity.items():
            for rank, key in enumerate((*self._settings.attributes.get(field, ()), *names.exact)):
                if key in attributes:
                    said += (Rule(IDENTITY, field, key, rank), attributes[key])
        who, _ = self._identities.read(book, tuple(said), None, tenant is not None)
        if tenant is not None:
            who = who._replace(tenant_id=clean(tenant))
        prefix = "spanledger.price."
        return Resource(
            process=digest.hexdigest(),
            service_name=clean(attributes.get("service.name", "")),
            environment=clean(
                attributes.get("deployment.environment.name", attributes.get("deployment.environment", ""))
            ),
            who=who,
            price_context=tuple(
                sorted(
                    (clean(key[len(prefix) :]), clean(text.lower()))
                    for key, text in attributes.items()
                    if key.startswith(prefix)
                )
            ),
        )


def _spans(part: Any, ledger: Ledger) -> Iterable[Any]:
    """The spans of a ScopeSpans, decoded; those that are malformed go to `ledger`."""
    if len(part.spans) <= _MAX_TOGETHER:
        encoded = part.SerializeToString()
        if len(encoded) <= _MAX_BYTES_TOGETHER:
            with suppress(DecodeError):
                return spans_of(encoded)  # type: ignore[no-any-return]
    return _one_by_one(part, ledger)


def _one_by_one(part: Any, ledger: Ledger) -> Iterator[Any]:
    for raw in part.spans:
        try:
            yield Span.FromString(raw)
        except DecodeError:
            ledger.refuse(Refused("malformed", f"a span of {len(raw)} bytes in scope {clean(part.scope.name)!r}"))
