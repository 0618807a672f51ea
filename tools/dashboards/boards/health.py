"""Is the collector well: does everything that is sent arrive, in time?"""

from __future__ import annotations

from tools.dashboards.model import Board, Panel, Prom, Query, Row, prometheus_variable
from tools.dashboards.panels import graph, line_of, stat
from tools.dashboards.style import BLUE, COUNT, ORANGE, PURPLE, SECONDS, Step

_LATE: tuple[Step, ...] = ((None, "text"), (120.0, "orange"), (600.0, "red"))
_ANY: tuple[Step, ...] = ((None, "text"), (0.5, "red"))
_NO_METRICS = "no metrics: choose a Prometheus that scrapes the collector"
_RATE = "[$__rate_interval]"


def board() -> Board:
    """Rows in the store, and the collector's own metrics beside them."""
    return Board(
        "health",
        "Collector health",
        "Rows arriving in the store and how late, and the collector's own counters: refused, waiting, failed.",
        [
            Row(4, [(4, each) for each in (*_store_figures(), *_collector_figures())]),
            Row(8, [(12, _rate()), (12, _delays())]),
            Row(8, [(8, _received()), (8, _refused()), (8, _answers())], title="Coming in"),
            Row(8, [(8, _spool()), (8, _lag()), (8, _assembly())], title="In between"),
            Row(8, [(8, _inserts()), (8, _failures()), (8, _corrections())], title="Going out"),
            Row(8, [(12, _forwarding()), (12, _sql())], title="Beside"),
        ],
        extra_variables=[prometheus_variable()],
        start="now-6h",
        refresh="30s",
    )


def _store_figures() -> list[Panel]:
    return [
        stat("Since the last row", "Age of the newest row at the end of the range; rows older than a day are not "
             "looked at. Orange from 2 minutes, red from 10.", Query("silence"), SECONDS, decimals=0, warn=_LATE,
             nothing="none in a day"),
        stat("Rows a minute", "Written in the last 15 minutes of the range.", Query("rows_written"), COUNT,
             decimals=1),
        stat("p95 delay", "From the end of a call to its row, over the last 15 minutes: the application's batching is "
             "in it. Orange from 2 minutes, red from 10.", Query("delay"), SECONDS, decimals=1, warn=_LATE,
             nothing="no rows"),
        stat("Provisional", "Rows that a later span may still correct.", Query("provisional"), COUNT),
    ]  # fmt: skip


def _collector_figures() -> list[Panel]:
    refused = Prom("sum(increase(spanledger_refused_spans_total[1h]))", instant=True)
    failed = Prom("sum(increase(spanledger_insert_failures_total[1h]))", instant=True)
    return [
        stat("Refused, 1 h", "Spans refused in the last hour, for any reason. Red from one.", refused, COUNT,
             decimals=0, warn=_ANY, nothing="no metrics"),
        stat("Failed inserts, 1 h", "Inserts that the store did not take in the last hour; they are tried again. Red "
             "from one.", failed, COUNT, decimals=0, warn=_ANY, nothing="no metrics"),
    ]  # fmt: skip


def _metrics(
    title: str, text: str, queries: list[Prom], unit: str = COUNT, *, stacked: bool = False, nothing: str = _NO_METRICS
) -> Panel:
    return graph(
        title,
        f"{text} From the collector's metrics.",
        queries,
        unit,
        stacked="normal" if stacked else "none",
        interval="30s",
        nothing=nothing,
    )


def _rate() -> Panel:
    return graph(
        "Rows written a minute",
        "By the time they were written; silence shows as zero.",
        [Query("rate", "timeseries")],
        COUNT,
        overrides=[line_of("made", "rows", BLUE)],
        interval="1m",
    )


def _delays() -> Panel:
    return graph(
        "From the end of a call to its row",
        "By the time the row was written. A row that was corrected counts with its correction.",
        [Query("delays", "timeseries")],
        SECONDS,
        overrides=[line_of("p50", "p50", BLUE), line_of("p95", "p95", ORANGE), line_of("p99", "p99", PURPLE)],
        interval="1m",
    )


def _received() -> Panel:
    rate = Prom(f"sum by (transport) (rate(spanledger_received_spans_total{_RATE}))", "{{transport}}")
    return _metrics("Spans received a second", "Before any refusal.", [rate])


def _refused() -> Panel:
    rate = Prom(f"sum by (reason) (rate(spanledger_refused_spans_total{_RATE}))", "{{reason}}")
    return _metrics("Spans refused a second", "By reason; the log has an example of each.", [rate])


def _answers() -> Panel:
    slow = Prom(
        f"histogram_quantile(0.99, sum by (le, transport) (rate(spanledger_acknowledge_seconds_bucket{_RATE})))",
        "{{transport}} p99",
    )
    return _metrics("Time to acknowledge", "From a request read to its answer: the disk is in it.", [slow], SECONDS)


def _spool() -> Panel:
    waiting = Prom("sum(spanledger_spool_facts)", "waiting")
    full = Prom(f"sum(rate(spanledger_spool_refused_requests_total{_RATE}))", "requests refused a second")
    return _metrics("Acknowledged and not yet booked", "Grows while the store is away.", [waiting, full])


def _lag() -> Panel:
    lag = Prom("max(spanledger_booking_lag_seconds)", "oldest")
    return _metrics("Age of the oldest fact not in the store", "Alerts begin at 10 minutes.", [lag], SECONDS)


def _assembly() -> Panel:
    memory = Prom("sum(spanledger_assembly_bytes)", "traces in memory")
    disk = Prom("sum(spanledger_spool_kept_bytes)", "spool on disk")
    return _metrics("Memory and disk", "Traces that can still correct rows, and the spool.", [memory, disk], "bytes")


def _inserts() -> Panel:
    slow = Prom(f"histogram_quantile(0.95, sum by (le) (rate(spanledger_insert_seconds_bucket{_RATE})))", "insert p95")
    roll = Prom(f"histogram_quantile(0.95, sum by (le) (rate(spanledger_rollup_seconds_bucket{_RATE})))", "rollup p95")
    return _metrics("Time to write", "One insert; one rebuild of the rollups.", [slow, roll], SECONDS)


def _failures() -> Panel:
    rate = Prom(f"sum by (kind) (increase(spanledger_insert_failures_total{_RATE}))", "{{kind}}")
    return _metrics("Failed inserts", "unavailable is tried again; refused rows are set aside.", [rate])


def _corrections() -> Panel:
    rate = Prom(f"sum by (op) (rate(spanledger_corrections_total{_RATE}))", "{{op}}")
    booked = Prom(f"sum(rate(spanledger_booked_calls_total{_RATE}))", "booked")
    return _metrics("Rows booked and corrected a second", "A correction replaces or withdraws a row.", [booked, rate])


def _forwarding() -> Panel:
    sent = Prom(f"sum(rate(spanledger_forwarded_spans_total{_RATE}))", "sent")
    lost = Prom(f"sum by (reason) (rate(spanledger_forward_dropped_spans_total{_RATE}))", "dropped: {{reason}}")
    return _metrics("Spans forwarded a second", "To the next OTLP endpoint, where one is set.", [sent, lost])


def _sql() -> Panel:
    asked = Prom(f"sum by (outcome) (rate(spanledger_sql_queries_total{_RATE}))", "{{outcome}}")
    return _metrics("SQL queries a second", "On the endpoint of the embedded store, by outcome.", [asked])
