"""What both servers do with a request once its bytes are here: parse, hand on, count, say what was refused."""

from __future__ import annotations

from typing import Final, Literal

import structlog

from spanledger_core.clock import Clock
from spanledger_core.errors import SpanledgerError
from spanledger_core.facts import Refusal
from spanledger_core.metrics import Metrics
from spanledger_core.ratelimit import OncePerKind
from spanledger_core.refusals import REASONS
from spanledger_core.stages import Receipt, TraceConsumer
from spanledger_receiver.envelope import Encoding, parse_body
from spanledger_receiver.status import Failure, failure_of

_log = structlog.get_logger(__name__)

Transport = Literal["grpc", "http"]

_ONCE: Final = float("inf")
_NOTHING: Final = Receipt(0, 0, "")


class Intake:
    """The way from bytes to the consumer, for one transport. Called from many threads."""

    def __init__(self, transport: Transport, consumer: TraceConsumer, metrics: Metrics, clock: Clock) -> None:
        self._transport = transport
        self._consumer = consumer
        self._metrics = metrics
        self._clock = clock
        self._received_spans = metrics.received_spans.labels(transport)
        self._received_bytes = metrics.received_bytes.labels(transport)
        self._acknowledge_seconds = metrics.acknowledge_seconds.labels(transport)
        self._once_a_minute = OncePerKind(clock)
        self._once = OncePerKind(clock, interval_s=_ONCE)

    def traces(self, body: bytes, encoding: Encoding, tenant: str | None) -> Receipt:
        """Take one export request. Raises what the consumer raises, and `InvalidRequest` if the body is not OTLP."""
        started = self._clock.monotonic_s()
        request, spans, refusals = parse_body(body, encoding)
        self._received_spans.inc(spans + sum(refusal.spans for refusal in refusals))
        receipt = self._consumer.consume(request, tenant) if spans else _NOTHING
        self._acknowledge_seconds.observe(self._clock.monotonic_s() - started)
        return self._with_refusals(receipt, refusals) if refusals else receipt

    def discard(self, signal: str) -> None:
        """Count a metrics or logs request that is accepted and thrown away, and say so once."""
        self._metrics.discarded_requests.labels(signal).inc()
        if self._once.admit(signal) is not None:
            _log.info(
                "signal accepted and discarded: spanledger reads traces only",
                signal=signal,
                transport=self._transport,
                advice=f"set OTEL_{signal.upper()}_EXPORTER=none in the application to save the traffic",
            )

    def count_bytes(self, size: int) -> None:
        """Count the bytes of a request."""
        self._received_bytes.inc(size)

    def count_answer(self, code: str) -> None:
        """Count an answered request under its protocol code."""
        self._metrics.requests.labels(self._transport, code).inc()

    def broken_off(self, code: str, limit: int) -> None:
        """Count and, once a minute, log a request that never arrived whole."""
        self.count_answer(code)
        quiet = self._once_a_minute.admit("broken off")
        if quiet is not None:
            reason = f"the sender left, was too slow, or sent more than {limit} bytes"
            _log.warning("request broken off", transport=self._transport, reason=reason, suppressed=quiet)

    def failure(self, error: BaseException) -> Failure:
        """What to answer for an error; logs it, once a minute per kind, without the text of unforeseen ones."""
        failure = failure_of(error)
        kind = type(error).__name__
        quiet = self._once_a_minute.admit(kind)
        if quiet is not None:
            foreseen = isinstance(error, SpanledgerError)
            (_log.warning if foreseen else _log.error)(
                "request refused" if foreseen else "request failed",
                transport=self._transport,
                kind=kind,
                reason=failure.message if foreseen else _place_of(error),
                suppressed=quiet,
            )
        return failure

    def _with_refusals(self, receipt: Receipt, refusals: tuple[Refusal, ...]) -> Receipt:
        messages = [receipt.message] if receipt.message else []
        for refusal in refusals:
            meaning = REASONS[refusal.reason]
            messages.append(f"{refusal.spans} refused: {refusal.reason} ({meaning}), for example {refusal.example}")
            self._metrics.refused_spans.labels(refusal.reason).inc(refusal.spans)
            quiet = self._once_a_minute.admit(refusal.reason)
            if quiet is not None:
                _log.warning("spans refused", meaning=meaning, suppressed=quiet, **refusal._asdict())
        rejected = receipt.rejected + sum(refusal.spans for refusal in refusals)
        return Receipt(receipt.accepted, rejected, "; ".join(messages))


def _place_of(error: BaseException) -> str:
    """File, line and function where an error arose: enough to find it, and nothing of what was being read."""
    trace = error.__traceback__
    if trace is None:
        return "unknown place"
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return f"{code.co_filename}:{trace.tb_lineno} in {code.co_name}"
