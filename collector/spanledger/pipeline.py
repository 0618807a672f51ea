"""Receiving: decode a request to facts, commit them, say what was taken. Knows nothing of money."""

from __future__ import annotations

from collections import Counter
from operator import itemgetter
from typing import Any, Protocol

import structlog

from spanledger_core.clock import Clock
from spanledger_core.errors import Busy
from spanledger_core.facts import About, Fact, FactBatch, SpanClass
from spanledger_core.metrics import Metrics
from spanledger_core.ratelimit import OncePerKind
from spanledger_core.refusals import REASONS
from spanledger_core.stages import Receipt, Spool

_log = structlog.get_logger(__name__)
_ABOUT = itemgetter(Fact._fields.index("about"))
_SPAN_CLASS = itemgetter(About._fields.index("span_class"))
_MAX_SCOPES = 200
"""Scope names become a metric label; beyond this many they are counted together."""


class Normalise(Protocol):
    """What the pipeline needs of the normaliser."""

    def batch(self, request: Any, tenant: str | None = None) -> FactBatch:
        """The facts of one request."""


class Forwards(Protocol):
    """Keeps requests until their calls are booked, then sends them on."""

    def received(self, sequence: int, request: Any) -> None:
        """A request was committed under `sequence`; must not block."""

    def unbooked(self, request: Any) -> None:
        """Nothing of the request was committed; must not block."""


class Pipeline:
    """The consumer behind every receiver (`TraceConsumer`)."""

    def __init__(
        self,
        normaliser: Normalise,
        spool: Spool,
        metrics: Metrics,
        clock: Clock,
        forwards: Forwards | None = None,
    ) -> None:
        self._normaliser = normaliser
        self._spool = spool
        self._metrics = metrics
        self._forwards = forwards
        self._once = OncePerKind(clock)
        self._scopes: set[str] = set()

    def consume(self, request: Any, tenant: str | None = None) -> Receipt:
        """Decode, commit, then answer. Raises `Busy` when the spool is full: nothing of the request was taken then."""
        return self.commit(request, tenant)[0]

    def commit(self, request: Any, tenant: str | None = None) -> tuple[Receipt, int]:
        """`consume` that also tells the sequence of the record; 0 where there was nothing to commit."""
        sequence = 0
        batch = self._normaliser.batch(request, tenant)
        if batch.facts:
            try:
                sequence = self._spool.append(batch)
            except Busy:
                self._metrics.spool_refused.inc()
                raise
            if self._forwards is not None:
                self._forwards.received(sequence, request)
        elif self._forwards is not None:
            self._forwards.unbooked(request)
        self._count(batch)
        return Receipt(len(batch.facts), batch.refused, _refusal_message(batch)), sequence

    def _count(self, batch: FactBatch) -> None:
        metrics = self._metrics
        classes = Counter(map(_SPAN_CLASS, map(_ABOUT, batch.facts)))
        for span_class, spans in classes.items():
            metrics.facts.labels(SpanClass(span_class).name.lower()).inc(spans)
        for refusal in batch.refusals:
            metrics.refused_spans.labels(refusal.reason).inc(refusal.spans)
            quiet = self._once.admit(refusal.reason)
            if quiet is not None:
                _log.warning(
                    "spans refused",
                    reason=refusal.reason,
                    meaning=REASONS[refusal.reason],
                    spans=refusal.spans,
                    example=refusal.example,
                    suppressed=quiet,
                )
        for note in batch.notes:
            metrics.notes.labels(note.kind, self._scope_label(note.scope_name)).inc(note.spans)

    def _scope_label(self, scope_name: str) -> str:
        if scope_name not in self._scopes:
            if len(self._scopes) >= _MAX_SCOPES:
                return "(other)"
            self._scopes.add(scope_name)
        return scope_name


def _refusal_message(batch: FactBatch) -> str:
    """What OTLP's partial success says: each reason with its count and one example."""
    return "; ".join(
        f"{refusal.spans} refused: {refusal.reason} ({REASONS[refusal.reason]}), for example {refusal.example}"
        for refusal in batch.refusals
    )
