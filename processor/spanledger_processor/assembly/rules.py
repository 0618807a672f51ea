"""What decides which spans report one call: predicates and orders, all of them functions of facts alone.

The executable definition (`definition`) and the incremental assembler share this module and `merging` and nothing
else, so a rule is written once and the equality of the two is about maintenance only.

Vocabulary. A *call span* is an LLM span that is not a helper. Its usage is *trusted* if the instrumentation read it
from the provider (quality `ok`); usage it invented or garbled counts as no usage when calls are told apart, and is
only shown. A *barrier* is an AGENT or TOOL span: what lies beneath it belongs to other calls than what lies above.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Final, TypeAlias

from spanledger_core.facts import NOBODY, About, Fact, SpanClass, Usage, Who
from spanledger_processor.assembly.reports import Report

_AGENT: Final = int(SpanClass.AGENT)
_TOOL: Final = int(SpanClass.TOOL)
_LLM: Final = int(SpanClass.LLM)

# What a span is, as bits. The first four, in `below`, say that some such span lies beneath; those only ever turn on.
CALL: Final = 1
"""A call span. Beneath a span: with no barrier between."""
TRUSTED: Final = 2
"""A call span with trusted usage. Beneath a span: with no barrier between."""
USED: Final = 4
"""A call span with any usage. Beneath a span: at any depth."""
SUM: Final = 8
"""An AGENT span with usage. Beneath a span: at any depth."""
BARRIER: Final = 16
HELPER: Final = 32
FAILED: Final = 64
"""A call span with status error and no trusted usage."""
NAMED: Final = 128
"""A span that names an agent or an identity."""

BENEATH: Final = CALL | TRUSTED | USED | SUM
CROSSES_BARRIER: Final = USED | SUM
REPORT: Final = CALL | SUM | HELPER
"""Spans whose figures matter; of all others only the place in the tree and the names are kept."""

# what a span stands for
NOTHING: Final = 0
PRICED: Final = 1
"""A call with trusted usage."""
SILENT: Final = 2
"""A call whose usage is unknown or invented, or that failed."""
AGGREGATE: Final = 3
"""An agent's own sum where no call was seen beneath it."""

MAX_ID_BEARERS: Final = 32
"""A response id carried by more leaves than this is a constant of some gateway or stub, not an id."""
MAX_ABOVE: Final = 4
"""Spans of each kind above a report that are remembered, the nearest."""
MAX_LENT: Final = 4
"""Helpers that lend to a call."""
MAX_ABSORBED: Final = 16
"""Spans a row remembers."""

SLACK_NS: Final = 3_000_000
"""Clock readings of two instrumentations around one request differ by up to this much."""
SIBLING_NS: Final = 2_000_000_000
"""Two reports under one parent may lie this far apart (a stream's second half is started after its first)."""
FAR_NS: Final = 60_000_000_000
"""Reports whose starts lie further apart are never compared."""

_SECOND_HALF: Final = "#2"
_MIN_ID_LENGTH: Final = 8
_NO_PARENT: Final = bytes(8)

Layer: TypeAlias = tuple[int, str]
ID_LAYER: Final[Layer] = (0, "")
SUM_LAYER: Final[Layer] = (9, "")
USED_LAYERS: Final = 1
SILENT_LAYERS: Final = 2
FAILED_LAYERS: Final = 3

Weight: TypeAlias = tuple[bool, bool, int, tuple[bytes, bytes], tuple[bytes, bytes]]


# ---- one span


def kind_of(fact: Report) -> int:
    """The bits that say what a span is; 0 for a bare one, which lends nothing but its place in the tree."""
    usage, who = fact.usage, fact.who
    kind = _kind(fact.about, usage.quality if usage is not None else None)
    return kind if who is NOBODY or who == NOBODY else kind | NAMED


def kinds_by(about: About) -> tuple[About, int, int, int]:
    """The same of an `About`, identities left aside: without usage, with trusted, with other usage."""
    return about, _kind(about, None), _kind(about, "ok"), _kind(about, "suspect")


def _kind(about: About, quality: str | None) -> int:
    kind = NAMED if about.agent_name is not None or about.agent_placeholder is not None else 0
    span_class = about.span_class
    if about.helper and (span_class == _LLM or quality is not None):
        return kind | HELPER
    if span_class > _LLM:
        return kind
    if span_class < _LLM:
        if span_class == _AGENT:
            return kind | BARRIER if quality is None else kind | BARRIER | SUM
        return kind | BARRIER if span_class == _TOOL else kind
    if quality is None:
        return kind | CALL | FAILED if about.is_error else kind | CALL
    if quality == "ok":
        return kind | CALL | USED | TRUSTED
    return kind | CALL | USED | FAILED if about.is_error else kind | CALL | USED


def parent_of(fact: Fact) -> bytes:
    """The parent's id, empty for a root."""
    return parent_by(fact.span_id, fact.parent_id)


def parent_by(span_id: bytes, parent_id: bytes) -> bytes:
    """The same: a root has no parent, a parent of zeros, or itself."""
    return b"" if parent_id in (span_id, _NO_PARENT) else parent_id


def essence(fact: Fact) -> Fact | None:
    """What assembly keeps of a fact, None for a bare one: spans without figures have no times either."""
    kind = kind_of(fact)
    if not kind:
        return None
    if kind & REPORT:
        return fact._replace(parent_id=parent_of(fact))
    return Fact(fact.trace_id, fact.span_id, parent_of(fact), 0, 0, fact.about, fact.who, None, None)


def precedence(kept: Fact | None, parent_id: bytes) -> tuple[object, ...]:
    """Order among differing reports of one span (essences): the greatest is the truth, whatever came first.

    Figures before none, more trusted usage first, then the later version, then more names; the last term makes the
    order total. Of bare reports the greater parent id wins.
    """
    if kept is None:
        return (0, parent_id)
    usage, about, who = kept.usage, kept.about, kept.who
    has_figures = 2 if kind_of(kept) & REPORT else 1
    named = (about.agent_name is not None) + (about.agent_placeholder is not None) + len(who) - who.count(None)
    return (has_figures, -_distrust(usage), kept.end_ns, kept.start_ns, named, repr(kept))


def role_of(kind: int, below: int, enclosed: bool) -> int:
    """What a span stands for, from what it is, what lies beneath it and whether a call with usage encloses it.

    A report without usage inside one with usage is of the same call, unless it failed: then it is an attempt, which
    the enclosing report outlived.
    """
    if kind & TRUSTED:
        return NOTHING if below & TRUSTED else PRICED
    if kind & CALL:
        return NOTHING if below & CALL or (enclosed and not kind & FAILED) else SILENT
    if kind & SUM:
        return NOTHING if below & CROSSES_BARRIER else AGGREGATE
    return NOTHING


def _distrust(usage: Usage | None) -> int:
    if usage is None:
        return 3
    return 0 if usage.quality == "ok" else 1 if usage.quality == "suspect" else 2


# ---- response ids


def _is_long_enough(response_id: str) -> bool:
    start = response_id.find("-") + 1
    return len(response_id) - (response_id.find("_", start) + 1 or start) >= _MIN_ID_LENGTH


def usable_id(response_id: str | None) -> str | None:
    """The id, if it has at least 8 characters after its prefix: shorter ones are stubs and counters."""
    return response_id if response_id and _is_long_enough(response_id) else None


def unit_id(report: Report, kind: int, enclosing: Sequence[Report]) -> str | None:
    """The response id of a call seen from its leaf: its own, else that of the nearest enclosing equal report."""
    own = report.response_id
    if own and _is_long_enough(own) and kind & CALL:
        return own
    for outer in enclosing if kind & TRUSTED else ():
        found = usable_id(outer.response_id)
        if found is not None and _input(outer) == _input(report):
            return found
    return None


def contradict(reports: Iterable[Report]) -> bool:
    """True where reports that carry one response id cannot be of one call: other figures, or another provider.

    A gateway speaks one provider's protocol for another's model, and a client library names the protocol: two
    providers contradict only where the models do too.
    """
    pairs = combinations(reports, 2)
    return any(_figures_contradict(a.usage, b.usage) or _providers_contradict(a, b) for a, b in pairs)


def _figures_contradict(a: Usage | None, b: Usage | None) -> bool:
    if a is None or b is None or a.quality != "ok" or b.quality != "ok":
        return False
    if a.input is not None and b.input is not None and a.input != b.input:
        return True
    return a.output is not None and b.output is not None and abs(a.output - b.output) > 1


def _providers_contradict(a: Report, b: Report) -> bool:
    family, other = provider_family(a.about.provider), provider_family(b.about.provider)
    return bool(family and other and family != other and not same_model(a.about, b.about))


_HOSTS: Final = frozenset({"aws.bedrock", "azure.ai.inference", "gcp.vertex_ai", "litellm", "openrouter"})
"""Providers that serve models of others: the maker's client library may name the maker instead."""


def provider_family(provider: str) -> str:
    """Who answers behind a provider value; empty where that cannot be said."""
    if provider in _HOSTS:
        return ""
    if provider.startswith("azure.") and provider.endswith("openai"):
        return "openai"
    return "google" if provider.startswith("gcp.") else provider


# ---- two reports of one call


def same_model(a: About, b: About) -> bool:
    """True unless both name a model and the names differ after normalising and as requested."""
    return (
        not a.model_key
        or not b.model_key
        or a.model_key == b.model_key
        or (a.request_model != "" and a.request_model == b.request_model)
    )


def _comparable(x: Report, y: Report) -> bool:
    a, b = x.about, y.about
    return (
        a.reporter != b.reporter
        and -FAR_NS <= x.start_ns - y.start_ns <= FAR_NS
        and a.resource.process == b.resource.process
        and same_model(a, b)
    )


def same_figures(a: Usage, b: Usage) -> bool:
    """Equal input, output at most one apart: some reporters add a stream's first token twice."""
    return (
        a.input == b.input
        and -2 < (a.output or 0) - (b.output or 0) < 2
        and (a.input is not None or a.output is not None or a.units == b.units)
    )


def are_used_twins(x: Report, y: Report) -> bool:
    """May two leaves with trusted usage report one call?"""
    if x.usage is None or y.usage is None or x.usage.quality != "ok" or y.usage.quality != "ok":
        return False
    if not same_figures(x.usage, y.usage) or not _comparable(x, y):
        return False
    overlap = x.start_ns - SLACK_NS <= y.end_ns and y.start_ns - SLACK_NS <= x.end_ns
    return overlap or (x.parent_id != b"" and _are_siblings(x, y))


def _are_siblings(x: Report, y: Report) -> bool:
    if x.parent_id != y.parent_id or x.trace_id != y.trace_id:
        return False
    gap = y.start_ns - x.end_ns if x.start_ns <= y.start_ns else x.start_ns - y.end_ns
    return gap < SIBLING_NS


def are_silent_twins(x: Report, y: Report) -> bool:
    """The same where at least one has no trusted usage: one inside the other, or two halves of a stream."""
    if not _comparable(x, y):
        return False
    a, b = x.about.reporter, y.about.reporter
    if a + _SECOND_HALF == b:
        return _follows(x, y)
    if b + _SECOND_HALF == a:
        return _follows(y, x)
    return (x.start_ns - SLACK_NS <= y.start_ns and y.end_ns <= x.end_ns + SLACK_NS) or (
        y.start_ns - SLACK_NS <= x.start_ns and x.end_ns <= y.end_ns + SLACK_NS
    )


def _follows(first: Report, second: Report) -> bool:
    return (
        0 <= second.start_ns - first.end_ns < SIBLING_NS
        and first.parent_id == second.parent_id
        and (first.trace_id == second.trace_id or first.parent_id == b"")
    )


# ---- orders


def canonical(report: Report) -> tuple[int, int, int, int, int, bytes, bytes]:
    """Order of the reports of one call; the first is what the row is found by.

    Trusted usage first, then the reporter whose figures are best, the client library before the framework, and the
    inner one (starts last, ends first). It depends on the reports alone, never on ancestors: keys do not move when
    an ancestor arrives.
    """
    about = report.about
    return (
        _distrust(report.usage),
        about.rank,
        about.level,
        -report.start_ns,
        report.end_ns,
        report.trace_id,
        report.span_id,
    )


def weight(x: Report, y: Report) -> Weight:
    """Strict total order of edges between possible twins, least first.

    Same trace first; then a client library's span inside a framework's (not the reverse); then distance in time;
    then ids, so that no two edges are equal and the stable matching is unique.
    """
    a, b = (x.trace_id, x.span_id), (y.trace_id, y.span_id)
    if a > b:
        a, b, x, y = b, a, y, x
    starts, ends = x.start_ns - y.start_ns, x.end_ns - y.end_ns
    level, other = x.about.level, y.about.level
    nested = (level >= other and starts <= 0 <= ends) or (other >= level and ends <= 0 <= starts)
    return (a[0] != b[0], not nested, abs(starts) + abs(ends), a, b)


@lru_cache(maxsize=4096)
def layer(number: int, reporter: str) -> Layer:
    """One shared object per layer: the units of reporter `reporter` with, without usage, or failed."""
    return (number, reporter)


def layer_of(representative: Report, kind: int, response_id: str | None) -> Layer:
    """The layer of a unit in the matching: id units with usage, used ones, silent ones, failed ones by reporter."""
    if kind & TRUSTED:
        return ID_LAYER if response_id is not None else layer(USED_LAYERS, representative.about.reporter)
    return layer(FAILED_LAYERS if kind & FAILED else SILENT_LAYERS, representative.about.reporter)


def may_join(layer: Layer, leader: Layer) -> bool:
    """May a unit of `layer` join the call led by a unit of layer `leader`? A failed call is never a good one."""
    return leader < layer and (layer[0] == FAILED_LAYERS) == (leader[0] == FAILED_LAYERS)


def _input(report: Report) -> int | None:
    return report.usage.input if report.usage is not None else None


@lru_cache(maxsize=65536)
def _merged(first: Who, second: Who) -> Who:
    return Who(*(a if a is not None else b for a, b in zip(first, second, strict=True)))


def merge_who(first: Who, second: Who) -> Who:
    """Each identity from `first`, else from `second`."""
    if second is NOBODY or first is second or second == NOBODY:
        return first
    if first is NOBODY:
        return second
    return _merged(first, second)
