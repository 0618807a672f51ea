"""The reports of one call become one `Call`: each field from the first report that has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from spanledger_core.calls import AgentSource, Call
from spanledger_core.facts import NOBODY, Details, Usage, Who
from spanledger_processor.assembly import rules
from spanledger_processor.assembly.reports import Context, Evidence, Report

UNATTRIBUTED: Final = "unattributed"
"""The agent of a call that neither a span nor its service names."""

_new = tuple.__new__
"""A named tuple's own constructor is a Python function and costs four times as much as filling the tuple."""


def merge(members: Sequence[Evidence[Report]], is_aggregate: bool, needs_lookup: bool) -> Call:
    """The call that `members` (in canonical order, not empty) report."""
    first = members[0].report
    agent_id, agent_source = _agent(members)
    reports = _reports(members, is_aggregate)
    provider = request_model = response_model = service_tier = finish_reason = response_id = ""
    is_streaming: bool | None = None
    details: Details | None = None
    for report in _nearest_to_provider(members, reports):
        about = report.about
        provider = provider or about.provider
        request_model = request_model or about.request_model
        response_model = response_model or about.response_model
    for report in reports:
        about = report.about
        service_tier = service_tier or about.service_tier
        finish_reason = finish_reason or about.finish_reason
        response_id = response_id or report.response_id or ""
        is_streaming = about.is_streaming if is_streaming is None else is_streaming
        details = report.details if details is None else _joined(details, report.details)
    return _new(
        Call,
        (
            first.trace_id,
            first.span_id,
            first.parent_id,
            first.start_ns,
            first.end_ns,
            first.about,
            _who(members),
            agent_id,
            agent_source,
            provider,
            request_model,
            response_model,
            service_tier,
            _price_context(reports),
            is_streaming,
            finish_reason,
            _usage(reports),
            response_id or None,
            details,
            is_aggregate,
            _absorbed(members),
            needs_lookup,
        ),
    )


def merge_one(report: Report, context: Context[Report], is_aggregate: bool, needs_lookup: bool) -> Call:
    """`merge` of a single report that nothing equal encloses and no helper lends to: by far the most calls."""
    about = report.about
    # a tuple taken apart costs a fifth of its fields asked for one by one
    (
        _, resource, _, _, _, _, _, _, _, _, provider, request_model, response_model, _, agent_name, _, agent_path,
        agent_rule,
        _, _, _, is_streaming, finish_reason, service_tier, price_context, _,
    ) = about  # fmt: skip
    inherited, by_rule, _, who, _, muted, sums = context
    agent_source: AgentSource
    if agent_name is not None:
        agent_id, agent_source = agent_name, "rule" if agent_rule else "span"
    elif inherited is not None:
        agent_id, agent_source = inherited, "rule" if by_rule else "ancestor"
    elif agent_path is None and resource.service_name:
        agent_id, agent_source = resource.service_name, "resource"
    else:
        agent_id, agent_source = _unnamed_agent((_new(Evidence, (report, context, ())),))
    return _new(
        Call,
        (
            report.trace_id,
            report.span_id,
            report.parent_id,
            report.start_ns,
            report.end_ns,
            about,
            rules.merge_who(who, resource.who),
            agent_id,
            agent_source,
            provider,
            request_model,
            response_model,
            service_tier,
            _price_context((report,)) if resource.price_context else price_context,
            is_streaming,
            finish_reason,
            report.usage,
            report.response_id or None,
            report.details,
            is_aggregate,
            _absorbed((_new(Evidence, (report, context, ())),)) if muted or sums else (),
            needs_lookup,
        ),
    )


def _reports(members: Sequence[Evidence[Report]], is_aggregate: bool) -> list[Report]:
    """Every report that may lend a field: the members, equal reports that enclose them, helpers beneath them."""
    reports = [member.report for member in members]
    lenders: list[Report] = []
    first = reports[0].usage
    for member in members:
        enclosing = member.context.enclosing
        if enclosing and first is not None and first.quality == "ok" and not is_aggregate:
            for outer in enclosing:
                if outer.usage is not None and outer.usage.input == first.input:
                    lenders.append(outer)
    for member in members:
        lenders += member.lent
    if lenders:
        found: dict[tuple[bytes, bytes], Report] = {}
        for report in (*reports, *lenders):
            found.setdefault((report.trace_id, report.span_id), report)
        return list(found.values())
    return reports


def _nearest_to_provider(members: Sequence[Evidence[Report]], reports: Sequence[Report]) -> Sequence[Report]:
    """The order in which reports may say the model: a client knows a gateway's alias, the gateway the true name.

    Of reports that name different models the shortest is innermost; lengths compare across machines, times do not.
    """
    first = members[0].report.about
    for member in members[1:]:
        if not rules.same_model(first, member.report.about):
            return sorted(reports, key=lambda report: report.end_ns - report.start_ns)
    return reports


def _agent(members: Sequence[Evidence[Report]]) -> tuple[str, AgentSource]:
    """The agent and where it comes from: a name on the reports themselves or on a helper, else the nearest above."""
    first = members[0]
    for member in members:
        about = member.report.about
        if about.agent_name is not None:
            return about.agent_name, "rule" if about.agent_rule else "span" if member is first else "twin"
    for member in members:
        for helper in member.lent:
            if helper.about.agent_name is not None:
                return helper.about.agent_name, "rule" if helper.about.agent_rule else "twin"
    for member in members:
        context = member.context
        if context.agent is not None:
            return context.agent, "rule" if context.by_rule else "ancestor" if member is first else "twin"
    return _unnamed_agent(members)


def _unnamed_agent(members: Sequence[Evidence[Report]]) -> tuple[str, AgentSource]:
    """Where no span names an agent: the path old instrumentations give, else the service, else a library's placeholder.

    The operator chose the service's name, so it says more than a default of a library.
    """
    first = members[0]
    for member in members:
        path = member.report.about.agent_path
        if path is not None:
            return path, "span" if member is first else "twin"
    for member in members:
        if member.report.about.resource.service_name:
            return member.report.about.resource.service_name, "resource"
    for member in members:
        if member.context.placeholder is not None:
            own = member.report.about.agent_placeholder is not None
            return member.context.placeholder, ("span" if own else "ancestor") if member is first else "twin"
    return UNATTRIBUTED, "none"


def _who(members: Sequence[Evidence[Report]]) -> Who:
    """Each identity from the reports and what is above them, else from their helpers, else from the process."""
    who = NOBODY
    for member in members:
        who = rules.merge_who(who, member.context.who)
    for member in members:
        for helper in member.lent:
            who = rules.merge_who(who, helper.who)
    for member in members:
        who = rules.merge_who(who, member.report.about.resource.who)
    return who


def _price_context(reports: Sequence[Report]) -> tuple[tuple[str, str], ...]:
    """What changes the price: of each report in turn, then of the process; the first value of a key wins."""
    merged: dict[str, str] = {}
    for report in reports:
        for key, value in report.about.price_context:
            merged.setdefault(key, value)
    for key, value in reports[0].about.resource.price_context:
        merged.setdefault(key, value)
    return tuple(sorted(merged.items())) if merged else ()


def _joined(details: Details, other: Details | None) -> Details:
    """Each detail from the first that has it."""
    if other is None:
        return details
    first_token, cost, probability, attributes = details
    return Details(
        other.time_to_first_token_ns if first_token is None else first_token,
        other.reported_cost if cost is None else cost,
        other.sampling_probability if probability is None else probability,
        tuple(sorted((dict(other.attributes) | dict(attributes)).items())),
    )


# ---- usage


def _usage(reports: Sequence[Report]) -> Usage | None:
    """The first figures there are (canonical order: the best), with the details that equal reports have beside."""
    usage: Usage | None = None
    for report in reports:
        other = report.usage
        if other is None:
            continue
        if usage is None:
            usage = other
        elif usage.quality == "ok" and other.quality == "ok" and other != usage and _agrees(usage, other):
            usage = _filled(usage, other)
    return usage


def _agrees(usage: Usage, other: Usage) -> bool:
    return usage.input is None or other.input is None or usage.input == other.input


def _filled(usage: Usage, other: Usage) -> Usage:
    """`usage` with what `other` has beside; a detail that does not fit into its total is left out."""
    total = usage.input if usage.input is not None else other.input
    output = usage.output if usage.output is not None else other.output
    writes = (usage.cache_write_5m, usage.cache_write_1h)
    if _tells_more(usage, other):
        writes = (other.cache_write_5m, other.cache_write_1h)
    cache_read = usage.cache_read or other.cache_read
    if total is not None and cache_read + sum(writes) > total:
        cache_read, writes = usage.cache_read, (usage.cache_write_5m, usage.cache_write_1h)
    units = dict(other.units) | dict(usage.units) if other.units else None
    return usage._replace(
        input=total,
        output=output,
        cache_read=cache_read,
        cache_write_5m=writes[0],
        cache_write_1h=writes[1],
        reasoning=usage.reasoning or min(other.reasoning, output or 0),
        audio_input=usage.audio_input or min(other.audio_input, total or 0),
        audio_output=usage.audio_output or min(other.audio_output, output or 0),
        units=usage.units if units is None else tuple(sorted(units.items())),
    )


def _tells_more(usage: Usage, other: Usage) -> bool:
    """True where `other` knows of more cache writes, or splits the same amount by lifetime and `usage` does not."""
    ours, theirs = usage.cache_write_5m + usage.cache_write_1h, other.cache_write_5m + other.cache_write_1h
    return theirs > ours or (theirs == ours and other.cache_write_1h > 0 and usage.cache_write_1h == 0)


# ---- what the call makes redundant


def _absorbed(members: Sequence[Evidence[Report]]) -> tuple[tuple[bytes, bytes], ...]:
    """Twins, and the spans above that would become rows if they came alone."""
    found: dict[tuple[bytes, bytes], None] = {}
    for member in members[1:]:
        found[member.report.trace_id, member.report.span_id] = None
    for member in members:
        context = member.context
        if context.enclosing or context.muted or context.sums:
            for report in redundant(member.report, context):
                found[report.trace_id, report.span_id] = None
    return tuple(sorted(list(found)[: rules.MAX_ABSORBED]))


def redundant(leaf: Report, context: Context[Report]) -> Iterator[Report]:
    """Which spans above a leaf would be rows, and are not because of it."""
    kind = rules.kind_of(leaf)
    if kind & rules.TRUSTED:
        yield from context.enclosing
    if kind & rules.CALL:
        yield from context.muted
    if kind & (rules.USED | rules.SUM):
        yield from context.sums
