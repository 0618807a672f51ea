"""Every metric the collector exposes, declared once. Counted per batch, never per span."""

from __future__ import annotations

from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from spanledger_core.calls import CostStatus
from spanledger_core.refusals import REASONS

_KNOWN: Final[dict[str, tuple[str, ...]]] = {
    "discarded_requests": ("metrics", "logs"),
    "refused_spans": tuple(REASONS),
    "booked_calls": get_args(CostStatus),
    "corrections": ("withdrawn", "swept"),
    "reported_costs": ("equal", "above", "below"),
    "insert_failures": ("unavailable", "refused", "unfit", "fault"),
    "forward_dropped_spans": (
        *("queue_full", "closed", "refused", "gave_up"),
        *("rejected", "failed", "not_booked_in_time"),
    ),
    "sql_queries": ("ok", "failed", "refused", "gone", "unread"),
}
"""Values of the only label of a counter that are there from the start: a rate does not see where a series begins."""
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """One set of metrics on one registry. Labels are bounded: no model, agent or tenant names."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

        def counter(name: str, text: str, *labels: str) -> Counter:
            made = Counter(f"spanledger_{name}", text, labels, registry=registry)
            for value in _KNOWN.get(name, ()):
                made.labels(value)
            return made

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"spanledger_{name}", text, labels, registry=registry)

        def seconds(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(f"spanledger_{name}", text, labels, registry=registry, buckets=_SECONDS)

        # receiver
        self.received_spans = counter("received_spans", "Spans in requests, before any refusal", "transport")
        self.received_bytes = counter("received_bytes", "Bytes of requests as sent, still compressed", "transport")
        self.requests = counter("requests", "Requests answered", "transport", "code")
        self.discarded_requests = counter(
            "discarded_requests", "Metrics and logs requests accepted and discarded", "signal"
        )
        self.acknowledge_seconds = seconds("acknowledge_seconds", "From request read to answer ready", "transport")
        # decode
        self.refused_spans = counter("refused_spans", "Spans refused, by reason", "reason")
        self.facts = counter("facts", "Facts kept, by span class", "span_class")
        self.notes = counter("span_quality", "Spans with a quality remark, by kind and scope", "kind", "scope")
        # spool
        self.spool_facts = gauge("spool_facts", "Facts committed and not yet booked")
        self.spool_bytes = gauge("spool_bytes", "Bytes of the records that wait to be booked")
        self.spool_kept_bytes = gauge(
            "spool_kept_bytes", "Bytes of all records on disk, booked ones within the horizon included"
        )
        self.spool_refused = counter("spool_refused_requests", "Requests refused: spool full")
        # assembly
        self.assembly_traces = gauge("assembly_traces", "Traces in memory")
        self.assembly_bytes = gauge("assembly_bytes", "Estimated bytes of traces in memory")
        self.assembly_events = counter("assembly_events", "Repeats, conflicts, evictions and the like", "kind")
        # booking
        self.booked_calls = counter("booked_calls", "Call rows made, corrections included", "cost_status")
        self.corrections = counter("corrections", "Booked rows withdrawn, by a correction or by the sweep", "op")
        self.unpriced_calls = counter("unpriced_calls", "Calls booked without a known price")
        self.reported_costs = counter(
            "reported_costs",
            "Calls with a cost on the span and one by the book: equal, or the book above or below it",
            "book",
        )
        self.reported_dollars = counter("reported_dollars", "What the spans of those calls say they cost")
        self.computed_dollars = counter("computed_dollars", "What the book says they cost")
        self.booking_lag_seconds = gauge("booking_lag_seconds", "Age of the oldest fact not yet in the store")
        # store
        self.rows_inserted = counter("rows_inserted", "Rows written", "table")
        self.insert_seconds = seconds("insert_seconds", "Duration of one insert")
        self.insert_failures = counter("insert_failures", "Failed inserts", "kind")
        self.rollup_seconds = seconds("rollup_seconds", "Duration of one rollup rebuild")
        # forwarding
        self.forwarded_spans = counter("forwarded_spans", "Spans forwarded")
        self.forward_dropped_spans = counter("forward_dropped_spans", "Spans not forwarded", "reason")
        # files read again while it runs
        self.reloads = counter(
            "reloads", "Prices, tokens, users and certificates read again: done or refused", "part", "outcome"
        )
        # sql endpoint
        self.sql_queries = counter("sql_queries", "Queries on the SQL endpoint", "outcome")
        self.sql_seconds = seconds("sql_seconds", "Duration of one query on the SQL endpoint")
