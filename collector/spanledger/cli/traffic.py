"""What instrumentation loses, told from the booked calls and from the collector's own metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from spanledger.cli.findings import Finding, ok, warn


class Loss(NamedTuple):
    """One way in which instrumentation falls short: the column that counts it, and what to do."""

    column: str
    check: str
    says: str
    remedy: str


LOSSES: Final = (
    Loss(
        "no_usage_streams", "streams without usage", "streamed calls carry no token counts, so no cost",
        "OpenAI-like APIs: pass stream_options={'include_usage': True}; else update the instrumentation",
    ),
    Loss(
        "no_usage", "missing usage", "calls carry no token counts, so no cost",
        "update the instrumentation, or record gen_ai.usage.input_tokens and output_tokens",
    ),
    Loss(
        "doubtful_usage", "doubtful usage", "calls carry token counts that were invented or cannot be",
        "see cost_status in calls; the instrumentation counts by itself instead of reading the provider's answer",
    ),
    Loss(
        "no_model", "missing model", "calls name no model, so no price",
        "raise OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT (128) if attributes were dropped; else update the instrumentation",
    ),
    Loss(
        "no_agent", "missing agent", "calls are put on their service because no span names an agent",
        "wrap the work in spanledger.track(agent=...), or map a name with attributes: {agent: [...]}",
    ),
    Loss(
        "sampled", "sampling", "calls come from a sampled trace: totals hold only what was sent",
        "keep GenAI spans out of sampling; sampling_probability in calls says how much was kept",
    ),
    Loss(
        "ahead_of_us", "sender's clock", "calls started after they arrived: that machine's clock is ahead of this one",
        "synchronise it (chrony, ntpd)",
    ),
)  # fmt: skip

NOTES: Final[Mapping[str, tuple[str, str]]] = {
    "attributes_dropped": (
        "spans lost attributes to the SDK's limit",
        "raise OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT (default 128) where the application runs",
    ),
    "convention_contradicted": (
        "spans count tokens in another way than their instrumentation does",
        "report it with the scope's version; rows say what was assumed in usage_convention",
    ),
    "sampled": ("spans were sampled before they came here", "keep GenAI spans out of sampling"),
    "suspect_usage": ("spans carry invented token counts", "update the instrumentation"),
    "bad_usage": ("spans carry token counts that cannot be", "report it to the instrumentation's authors"),
}
"""Kinds of `spanledger_span_quality` -> what they mean and what to do."""


def of_scopes(found: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Findings from the rows of `doctor_scopes.sql`."""
    clean = True
    for loss in LOSSES:
        for row in found:
            count = int(row[loss.column])
            if loss.column == "no_usage":
                count -= int(row["no_usage_streams"])
            if count:
                clean = False
                yield warn(loss.check, f"{_sender(row)}: {count:,} of {int(row['calls']):,} {loss.says}", loss.remedy)
    if clean and found:
        yield ok("instrumentation", f"nothing missing in {sum(int(row['calls']) for row in found):,} calls of 7 days")


def _sender(row: Mapping[str, Any]) -> str:
    return f"{row['scope'] or 'unnamed scope'} in {row['service'] or 'unnamed service'}"


def of_unpriced(found: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    """Findings from the rows of `doctor_unpriced.sql`."""
    for row in found:
        part = "some parts have no price" if int(row["partly"]) else "no price is known"
        yield warn(
            "prices",
            f"{row['named']} of {row['provider'] or 'unknown provider'}: {part}, {int(row['calls']):,} calls in 7 days",
            "add a line to a file under prices.files, then reprice; spanledger prices unpriced lists them all",
        )


def of_metrics(metrics: Sequence[tuple[str, Mapping[str, str], float]]) -> Iterator[Finding]:
    """Findings from (name, labels, value) of the collector's metrics since it started."""
    for name, labels, value in metrics:
        if not value:
            continue
        if name == "spanledger_refused_spans_total":
            reason = labels.get("reason", "")
            yield warn("refused spans", f"{value:,.0f} refused: {reason}", "the log names an example of each reason")
        elif name == "spanledger_span_quality_total":
            kind = labels.get("kind", "")
            says, remedy = NOTES.get(kind, (kind.replace("_", " "), "see docs/instrumentations.md"))
            yield warn("span quality", f"{labels.get('scope') or 'unnamed scope'}: {value:,.0f} {says}", remedy)
        elif name == "spanledger_spool_refused_requests_total":
            yield warn(
                "spool", f"{value:,.0f} requests were sent away: full", "raise spool.max_bytes; is the store slow?"
            )
        elif name == "spanledger_insert_failures_total":
            yield warn("store", f"{value:,.0f} inserts failed ({labels.get('kind', '')})", "see the collector's log")
        elif name == "spanledger_forward_dropped_spans_total":
            yield warn(
                "forwarding", f"{value:,.0f} spans dropped ({labels.get('reason', '')})", "is the other side slow?"
            )
