"""Made-up traffic: two days of the demo's fleet at once, then every minute what it does in a minute.

python traffic.py http://spanledger:4317
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Final

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from spanledger.demo import Fleet
from spanledger_core.clock import Clock, SystemClock

_SECOND_NS: Final = 10**9
_EVERY_S: Final = 60
# no run of the fleet takes longer
_LONGEST_S: Final = 60
_BATCH: Final = 512


def history(now_ns: int) -> Iterator[Sequence[ReadableSpan]]:
    """The spans of the two days before `now_ns`, hour by hour."""
    fleet = Fleet(now_ns)
    try:
        yield from fleet.hours()
    finally:
        fleet.close()


def recent(now_ns: int, seed: int) -> list[ReadableSpan]:
    """The spans of the runs of the last minute, those left out that would not be over yet."""
    fleet = Fleet(now_ns, seed)
    try:
        hour = list(fleet.hours())[-1]
    finally:
        fleet.close()
    until_ns = now_ns - _LONGEST_S * _SECOND_NS
    since_ns = until_ns - _EVERY_S * _SECOND_NS
    begun = {
        span.context.trace_id for span in hour if span.parent is None and since_ns <= (span.start_time or 0) < until_ns
    }
    return [span for span in hour if span.context.trace_id in begun]


def send(exporter: SpanExporter, spans: Sequence[ReadableSpan]) -> bool:
    """In batches; False when the collector did not take all of them."""
    batches = (spans[start : start + _BATCH] for start in range(0, len(spans), _BATCH))
    return all(exporter.export(batch) is SpanExportResult.SUCCESS for batch in batches)


def run(exporter: SpanExporter, clock: Clock) -> None:
    """For ever. A collector that is away later on costs the demo a minute of traffic and no more."""
    if not all(send(exporter, hour) for hour in history(clock.now_ns())):
        raise SystemExit("the collector did not take the history; see its log")
    for seed in count(1):
        clock.sleep(_EVERY_S)
        if not send(exporter, recent(clock.now_ns(), seed)):
            sys.stderr.write("a minute of traffic was not taken\n")


if __name__ == "__main__":
    run(OTLPSpanExporter(endpoint=sys.argv[1], insecure=True), SystemClock())
