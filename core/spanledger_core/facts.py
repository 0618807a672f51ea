"""Facts: what is kept of a span after normalising.

A fact is small, carries no content and holds everything that later decides which call a span reports, who made
it and what it cost. What repeats over many spans (scope, models, names) is one shared object per distinct
combination, so a fact is a few references: see `About`, `Who` and `Resource`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class SpanClass(IntEnum):
    """What a span is. Exactly one class per span; only LLM spans (and AGENT spans as a fall-back) are billed."""

    AGENT = 0
    TOOL = 1
    CHAIN = 2
    LLM = 3
    OTHER = 4


class Usage(NamedTuple):
    """What a span says was used, already brought to one convention.

    `input` and `output` are TOTALS: cached, cache-written and audio tokens are inside `input`, reasoning and audio
    inside `output`; None where the span did not say. The detail figures are parts of them. `units` holds
    everything that is not one of these (`images`, `web_searches`, ..., see `spanledger_core.buckets`).
    """

    input: int | None = None
    output: int | None = None
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0
    audio_input: int = 0
    audio_output: int = 0
    units: tuple[tuple[str, int], ...] = ()
    convention: str = "assumed"
    """How the span counted: `inclusive`, `exclusive` (cache outside input; added here) or `assumed`."""
    quality: str = "ok"
    """`ok`; `suspect`: the instrumentation invented the figures; `bad`: negative or absurd, never priced."""


class Who(NamedTuple):
    """Identities, each None where unknown. A span without one inherits it from its nearest ancestor that has it."""

    tenant_id: str | None = None
    customer_id: str | None = None
    team: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    run_id: str | None = None
    workflow: str | None = None
    step: str | None = None
    feature: str | None = None
    prompt_version: str | None = None


NOBODY = Who()


class Resource(NamedTuple):
    """The process that sent a span."""

    process: str
    """Digest of all resource attributes except `telemetry.*`: same service is not same process."""
    service_name: str
    environment: str
    who: Who
    """Identities stated by the resource: the last resort after the span and its ancestors."""
    price_context: tuple[tuple[str, str], ...] = ()
    """What changes prices and is known per process (`region`, ...)."""


class About(NamedTuple):
    """Everything of a span that repeats: one shared object per distinct combination (compare with `is`)."""

    span_class: SpanClass
    resource: Resource
    scope_name: str
    scope_version: str
    dialect: str
    reporter: str
    """Scope name as far as twins are concerned: two halves of one streamed call differ (`scope#2`)."""
    rank: int
    """Whose figures win among twins: 0 splits cache writes by TTL, 1 normal, 2 known to count too high."""
    level: int
    """0 a provider's client library, 1 a framework: the client's span lies inside the framework's."""
    helper: bool
    """True for spans that never stand for a call by themselves (raw request copies, usage recorders)."""
    operation: str
    provider: str
    """Semantic-convention value, or empty where the span does not really say."""
    request_model: str
    response_model: str
    model_key: str
    """Normalised model (vendor prefix and date suffix off) for recognising twins; empty if unknown."""
    agent_name: str | None
    """The agent the span itself names; placeholders excluded."""
    agent_placeholder: str | None
    """A library's default name ("LangGraph"): used only if nothing better is found on the way up."""
    agent_path: str | None
    """Last resort of old instrumentations: a workflow or entity path."""
    agent_rule: bool
    """True where `agent_name` comes from an operator rule or the `agent:NAME` convention."""
    is_error: bool
    error_type: str
    refused: bool
    """The provider refused before any output (HTTP 4xx/5xx): not billed."""
    is_streaming: bool | None
    finish_reason: str
    service_tier: str
    price_context: tuple[tuple[str, str], ...]
    """What else changes the price: (`batch`, `true`), (`region`, `eu`), (`speed`, `fast`), ..., sorted."""
    agent_version: str = ""


class Details(NamedTuple):
    """What a row shows and nothing decides on. None on a fact where there is nothing to show."""

    time_to_first_token_ns: int | None = None
    reported_cost: int | None = None
    """A cost the instrumentation or gateway put on the span, integer picodollars (1e-12 USD)."""
    sampling_probability: float | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    """Only keys the operator asked to keep."""


class Fact(NamedTuple):
    """One span, normalised. Times are nanoseconds since 1970 UTC; ids are raw bytes (16 and 8)."""

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    """Empty for a root span; a span that names itself as its parent is a root."""
    start_ns: int
    end_ns: int
    about: About
    who: Who
    usage: Usage | None
    """None where the span carries no non-zero usage."""
    response_id: str | None
    details: Details | None = None

    @property
    def is_bare(self) -> bool:
        """True where only the place in the tree matters."""
        about = self.about
        return (
            about.span_class == SpanClass.OTHER
            and self.usage is None
            and self.who is NOBODY
            and about.agent_name is None
            and about.agent_placeholder is None
        )


class Refusal(NamedTuple):
    """Spans that were not taken, by name."""

    reason: str
    """One of `spanledger_core.refusals.REASONS`."""
    spans: int
    example: str
    """Which span and what was wrong, without content; goes into the reply and, rate-limited, the log."""


class Note(NamedTuple):
    """Something about the quality of what a scope sends, counted."""

    kind: str
    """`convention_contradicted`, `attributes_dropped`, `sampled`, `suspect_usage`, `bad_usage`, ..."""
    scope_name: str
    spans: int


class FactBatch(NamedTuple):
    """The facts of one request, and what of it was refused. One batch is one spool record."""

    facts: tuple[Fact, ...]
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def refused(self) -> int:
        """How many spans were refused."""
        return sum(refusal.spans for refusal in self.refusals)
