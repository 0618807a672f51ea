"""Which spans are a call, by example: every claim holds in any order of arrival and by the definition."""

from __future__ import annotations

import pytest

from spanledger_core.facts import Details, SpanClass, Usage, Who

AGENT, TOOL, CHAIN, LLM, OTHER = SpanClass


def spans_of(calls):
    return [int.from_bytes(call.span_id) for call in calls]


def absorbed_of(call):
    return [int.from_bytes(span_id) for _, span_id in call.absorbed]


# ---- nesting


def test_the_inner_of_two_nested_reports_is_the_call_and_the_outer_is_absorbed(facts, calls):
    outer = facts(1, tokens=(10, 5), times=(0, 3))
    inner = facts(2, parent=1, tokens=(10, 5), times=(1, 2), reporter="client")
    (call,) = calls(outer, inner)
    assert spans_of([call]) == [2]
    assert absorbed_of(call) == [1]


def test_a_call_inside_a_tool_inside_a_call_is_a_call_of_its_own(facts, calls):
    given = (
        facts(1, tokens=(100, 5), times=(0, 9)),
        facts(2, parent=1, span_class=TOOL, times=(1, 8)),
        facts(3, parent=2, span_class=AGENT, agent_name="writer", times=(1, 8)),
        facts(4, parent=3, tokens=(20, 5), times=(2, 3)),
    )
    assert spans_of(calls(*given)) == [1, 4]


def test_an_agents_sum_is_billed_only_where_no_call_was_seen_beneath_it(facts, calls):
    lone = facts(1, span_class=AGENT, agent_name="a", tokens=(30, 9))
    above_a_sum = facts(2, span_class=AGENT, agent_name="b", tokens=(30, 9))
    below = facts(3, parent=2, span_class=AGENT, agent_name="c", tokens=(20, 6))
    above_a_call = facts(4, span_class=AGENT, agent_name="d", tokens=(30, 9))
    call = facts(5, parent=4, tokens=(30, 9), response_id="resp_00000001")
    rows = calls(lone, above_a_sum, below, above_a_call, call)
    assert [(row.is_aggregate, row.agent_id) for row in rows] == [(True, "a"), (True, "c"), (False, "d")]
    assert absorbed_of(rows[1]) == [2], "the sum above must not come back as a row"
    assert absorbed_of(rows[2]) == [4]


def test_an_agents_sum_is_absorbed_however_many_reports_lie_between(facts, calls):
    agent = facts(1, span_class=AGENT, agent_name="a", tokens=(30, 9))
    nested = [facts(n, n - 1, tokens=(30, 9) if n % 2 else None, times=(n / 10, 3 - n / 10)) for n in range(2, 12)]
    (call,) = calls(agent, *nested)
    assert spans_of([call]) == [11]
    assert absorbed_of(call) == [1, 3, 4, 5, 6, 7, 8, 9, 10], "the nearest four of each kind, and the sum"


def test_usage_on_spans_of_other_classes_is_never_a_call(facts, calls):
    assert (
        calls(
            facts(1, span_class=CHAIN, tokens=(1, 1)),
            facts(2, span_class=TOOL, tokens=(1, 1)),
            facts(3, span_class=OTHER, tokens=(1, 1)),
        )
        == []
    )


def test_a_call_without_usage_is_a_row_with_unknown_usage(facts, calls):
    (call,) = calls(facts(1))
    assert call.usage is None


def test_a_call_without_usage_inside_or_around_a_call_with_usage_is_no_row(facts, calls):
    outer = facts(1, times=(0, 5))
    middle = facts(2, parent=1, tokens=(5, 5), times=(1, 4))
    inner = facts(3, parent=2, times=(2, 3))
    (call,) = calls(outer, middle, inner)
    assert spans_of([call]) == [2]
    assert absorbed_of(call) == [1]


def test_spans_in_a_parent_cycle_are_counted_and_do_not_hang(facts, tools):
    from spanledger_processor.assembly.assembler import Assembler

    given = [facts(1, parent=3, tokens=(5, 5)), facts(2, parent=1), facts(3, parent=2, span_class=AGENT)]
    tools.check([given], after_every_batch=True)
    assembler = Assembler()
    assembler.add(given, 0.0)
    assert assembler.stats["cycles"] == 1


# ---- failures


def test_a_failed_call_is_a_row_with_its_error(facts, calls):
    (call,) = calls(facts(1, is_error=True, error_type="RateLimitError", refused=True))
    assert call.about.is_error
    assert call.usage is None


def test_every_failed_attempt_beside_a_success_is_a_row(facts, calls):
    agent = facts(1, span_class=AGENT, agent_name="a", times=(0, 9))
    failed = facts(2, parent=1, is_error=True, times=(1, 2))
    good = facts(3, parent=1, tokens=(7, 7), times=(3, 4))
    assert [call.about.is_error for call in calls(agent, failed, good)] == [True, False]


def test_two_reports_of_one_failed_call_are_one_row(facts, calls):
    framework = facts(1, is_error=True, times=(0, 3), reporter="framework")
    client = facts(2, trace=2, is_error=True, times=(1, 2), reporter="client")
    (call,) = calls(framework, client)
    assert absorbed_of(call) == [1]


def test_a_failed_attempt_inside_a_report_that_succeeded_is_a_row_too(facts, calls):
    outer = facts(1, tokens=(7, 7), times=(0, 9))
    attempt = facts(2, parent=1, is_error=True, times=(1, 2))
    fallback = facts(3, parent=1, tokens=(7, 7), times=(3, 8))
    assert [(call.about.is_error, absorbed_of(call)) for call in calls(outer, attempt, fallback)] == [
        (True, []),
        (False, [1]),
    ]


def test_a_failed_outer_report_of_a_retry_that_succeeded_stays_suppressed(facts, calls):
    outer = facts(1, is_error=True, times=(0, 5))
    inner = facts(2, parent=1, tokens=(7, 7), times=(3, 4), reporter="client")
    (call,) = calls(outer, inner)
    assert not call.about.is_error


def test_a_failed_attempt_never_vanishes_in_a_good_call_of_another_instrumentation(facts, calls):
    framework = facts(1, tokens=(7, 7), times=(0, 9), reporter="framework")
    attempt = facts(2, trace=2, is_error=True, times=(1, 2), reporter="client")
    success = facts(3, trace=3, tokens=(7, 7), times=(3, 8), reporter="client")
    assert spans_of(calls(framework, attempt, success)) == [2, 3]


# ---- response ids


def test_one_response_id_is_one_call_in_whatever_trace_process_and_service(facts, calls):
    client = facts(1, tokens=(10, 5), response_id="resp_00000001", resource=facts.resource("p1", "shop"))
    gateway = facts(
        2,
        trace=2,
        tokens=(10, 5),
        response_id="resp_00000001",
        resource=facts.resource("p2", "gateway"),
        times=(70, 71),
    )
    assert len(calls(client, gateway)) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"tokens": (11, 5)},
        {"tokens": (10, 7)},
        {"tokens": (10, 5), "provider": "anthropic", "model_key": "claude", "request_model": "claude"},
    ],
    ids=["other input", "output more than one apart", "other provider and model"],
)
def test_one_response_id_stays_two_calls_where_the_reports_contradict(facts, tools, calls, other):
    from spanledger_processor.assembly.assembler import Assembler

    first = facts(1, tokens=(10, 5), response_id="resp_00000001")
    second = facts(2, trace=2, response_id="resp_00000001", **other)
    assert len(calls(first, second)) == 2
    assembler = Assembler()
    assembler.add([first, second], 0.0)
    assert assembler.stats["id_contradicted"] == 1


@pytest.mark.parametrize(
    ("provider", "same_model"), [("azure.ai.openai", False), ("aws.bedrock", False), ("", False), ("deepseek", True)]
)
def test_a_host_a_gateway_or_an_unknown_provider_contradicts_nobody(facts, calls, provider, same_model):
    model = {} if same_model else {"model_key": "alias", "request_model": "alias"}
    first = facts(1, tokens=(10, 5), response_id="resp_00000001")
    second = facts(2, trace=2, tokens=(10, 6), response_id="resp_00000001", provider=provider, **model)
    assert len(calls(first, second)) == 1


def test_of_a_client_and_a_gateway_the_gateway_knows_the_true_model(facts, calls):
    alias = {"request_model": "smart", "response_model": "smart", "model_key": "smart"}
    true = {"request_model": "gpt-4o", "response_model": "gpt-4o-2024-08-06", "model_key": "gpt-4o"}
    client = facts(1, tokens=(10, 5), response_id="resp_00000001", times=(0, 2), reporter="client", **alias)
    skewed = facts(
        2,
        trace=2,
        tokens=(10, 5),
        response_id="resp_00000001",
        times=(-9, -8),
        resource=facts.resource("p2", "gateway"),
        provider="azure.ai.openai",
        **true,
    )
    (call,) = calls(client, skewed)
    assert (spans_of([call]), call.provider, call.response_model) == ([1], "azure.ai.openai", "gpt-4o-2024-08-06")


@pytest.mark.parametrize("response_id", ["resp_1", "chatcmpl-123", "12345"])
def test_a_short_id_is_no_id(facts, calls, response_id):
    given = [facts(n, trace=n, tokens=(10, 5), response_id=response_id, times=(n, n + 1)) for n in (1, 2)]
    assert len(calls(*given)) == 2


def test_an_id_on_more_than_32_calls_is_no_id(facts, tools):
    given = [facts(n, trace=n, tokens=(10, 5), response_id="resp_constant") for n in range(1, 34)]
    assert len(tools.check([given])) == 33
    assert len(tools.check([given[:-1]])) == 1


def test_a_call_takes_the_id_of_the_equal_report_around_it(facts, calls):
    outer = facts(1, tokens=(10, 5), response_id="resp_00000001", times=(0, 3))
    inner = facts(2, parent=1, tokens=(10, 5), times=(1, 2))
    elsewhere = facts(3, trace=2, tokens=(10, 5), response_id="resp_00000001", times=(500, 501))
    assert len(calls(outer, inner, elsewhere)) == 1


# ---- twins


def test_two_instrumentations_in_two_traces_are_one_call(facts, calls):
    framework = facts(1, tokens=(10, 5), times=(0, 3), reporter="framework", agent_name="boss")
    client = facts(2, trace=2, tokens=(10, 6), times=(1, 2), reporter="client")
    (call,) = calls(framework, client)
    assert (spans_of([call]), call.agent_id, call.agent_source) == ([2], "boss", "twin")
    assert absorbed_of(call) == [1]


def test_parallel_identical_calls_stay_as_many_as_they_are(facts, calls):
    given = []
    for n in range(1, 5):
        given.append(facts(n, tokens=(10, 5), times=(n / 10, 3), reporter="framework", agent_name=f"agent-{n}"))
        given.append(facts(10 + n, trace=1 + n, tokens=(10, 5), times=(n / 10 + 0.01, 2.9), reporter="client"))
    rows = calls(*given)
    assert [(call.agent_id, spans_of([call])) for call in rows] == [(f"agent-{n}", [10 + n]) for n in range(1, 5)]


@pytest.mark.parametrize(
    "other",
    [
        {"resource": "another process"},
        {"reporter": "framework"},
        {"tokens": (11, 5)},
        {"model_key": "m2", "request_model": "m2"},
        {"times": (10, 11)},
    ],
    ids=["another process", "the same reporter", "other tokens", "another model", "another time"],
)
def test_what_differs_is_not_a_twin(facts, calls, other):
    fields = {"tokens": (10, 5), "times": (1, 2), "reporter": "client"} | other
    if "resource" in fields:
        fields["resource"] = facts.resource("another process")
    given = facts(1, tokens=(10, 5), times=(0, 3), reporter="framework"), facts(2, trace=2, **fields)
    assert len(calls(*given)) == 2


def test_three_instrumentations_of_one_call_are_one_row(facts, calls):
    given = [
        facts(n, trace=n, tokens=(10, 5), times=(n / 10, 3 - n / 10), reporter=reporter)
        for n, reporter in enumerate(("framework-a", "framework-b", "client"), 1)
    ]
    (call,) = calls(*given)
    assert absorbed_of(call) == [1, 2]


@pytest.mark.parametrize("others", [0, 100], ids=["a small trace", "a large trace"])
def test_a_twin_in_the_same_trace_goes_before_a_nearer_one_elsewhere(facts, calls, others):
    framework = facts(1, tokens=(10, 5), times=(0, 9), reporter="framework")
    same_trace = facts(2, tokens=(10, 5), times=(5, 8), reporter="client")
    elsewhere = facts(3, trace=2, tokens=(10, 5), times=(0.1, 8.9), reporter="client")
    between = [facts(10 + n, span_class=TOOL) for n in range(others)]
    rows = calls(framework, same_trace, elsewhere, *between)
    assert [(spans_of([row]), absorbed_of(row)) for row in rows] == [([3], []), ([2], [1])]


def test_the_halves_of_a_stream_are_one_call(facts, calls):
    request = facts(1, times=(0, 1), reporter="logs.openai")
    response = facts(2, trace=2, tokens=(10, 5), times=(1.2, 4), reporter="logs.openai#2")
    unrelated = facts(3, trace=3, tokens=(11, 5), times=(9, 10), reporter="logs.openai#2")
    assert spans_of(calls(request, response, unrelated)) == [2, 3]


def test_invented_usage_gives_way_to_a_twin_that_knows(facts, calls):
    invented = facts(1, tokens=Usage(99, 1, quality="suspect"), times=(0, 3), reporter="framework")
    known = facts(2, trace=2, tokens=(10, 5), times=(1, 2), reporter="client")
    (call,) = calls(invented, known)
    assert (call.usage.input, call.usage.quality) == (10, "ok")


def test_invented_usage_without_a_twin_is_a_row_marked_so(facts, calls):
    (call,) = calls(facts(1, tokens=Usage(99, 1, quality="suspect")))
    assert call.usage.quality == "suspect"


# ---- fields


def test_each_bucket_comes_from_whichever_report_has_it(facts, calls):
    framework = facts(
        1,
        tokens=Usage(1000, 50, cache_read=100, cache_write_5m=200, cache_write_1h=300, convention="inclusive"),
        times=(0, 3),
        reporter="framework",
        service_tier="flex",
        price_context=(("batch", "true"),),
    )
    client = facts(
        2,
        trace=2,
        tokens=Usage(1000, 51, cache_write_5m=500, reasoning=20, units=(("web_searches", 2),)),
        times=(1, 2),
        reporter="client",
        response_id="resp_00000001",
        response_model="m-2026",
        provider="",
        resource=facts.resource("p", "svc", price_context=(("region", "eu"),)),
    )._replace(details=Details(time_to_first_token_ns=7))
    framework = framework._replace(about=framework.about._replace(resource=client.about.resource))
    (call,) = calls(framework, client)
    assert call.usage == Usage(1000, 51, 100, 200, 300, 20, units=(("web_searches", 2),))
    assert (call.provider, call.response_model, call.service_tier) == ("openai", "m-2026", "flex")
    assert call.price_context == (("batch", "true"), ("region", "eu"))
    assert call.details == Details(time_to_first_token_ns=7)
    assert call.response_id == "resp_00000001"


def test_a_detail_that_does_not_fit_its_total_is_left_out(facts, calls):
    framework = facts(1, tokens=Usage(100, 5, cache_read=300, reasoning=9), times=(0, 3), reporter="framework")
    client = facts(2, trace=2, tokens=(100, 5), times=(1, 2), reporter="client")
    (call,) = calls(framework, client)
    assert (call.usage.cache_read, call.usage.reasoning) == (0, 5)


def test_a_helper_lends_fields_and_is_no_call(facts, calls):
    call = facts(1, times=(0, 3), response_model="")
    copy = facts(
        2,
        parent=1,
        helper=True,
        tokens=(10, 5),
        times=(1, 2),
        response_model="m-2026",
        agent_name="boss",
        who=Who(customer_id="acme"),
    )
    stray = facts(3, helper=True, tokens=(10, 5))
    (row,) = calls(call, copy, stray)
    assert (row.usage.input, row.response_model, row.agent_id, row.who.customer_id) == (10, "m-2026", "boss", "acme")


# ---- who


def test_the_agent_is_the_nearest_name_that_is_not_a_placeholder(facts, calls):
    given = (
        facts(1, span_class=AGENT, agent_name="boss"),
        facts(2, parent=1, span_class=AGENT, agent_placeholder="OpenAI Agent"),
        facts(3, parent=2, tokens=(1, 1), agent_placeholder="OpenAI Agent"),
    )
    (call,) = calls(*given)
    assert (call.agent_id, call.agent_source) == ("boss", "ancestor")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"agent_name": "me"}, ("me", "span")),
        ({"agent_name": "me", "agent_rule": True}, ("me", "rule")),
        ({"agent_path": "flow.step"}, ("flow.step", "span")),
        ({"agent_placeholder": "LangGraph"}, ("svc", "resource")),
        ({}, ("svc", "resource")),
        ({"resource": "nameless", "agent_placeholder": "LangGraph"}, ("LangGraph", "span")),
        ({"resource": "nameless"}, ("unattributed", "none")),
    ],
)
def test_where_no_ancestor_names_the_agent(facts, calls, fields, expected):
    if "resource" in fields:
        fields = fields | {"resource": facts.resource("p", "")}
    (call,) = calls(facts(1, tokens=(1, 1), **fields))
    assert (call.agent_id, call.agent_source) == expected


def test_a_missing_ancestor_hides_what_is_above_it(facts, calls):
    given = facts(1, span_class=AGENT, agent_name="boss"), facts(3, parent=2, tokens=(1, 1))
    assert calls(*given)[0].agent_source == "resource"
    given = *given, facts(2, parent=1, span_class=OTHER)
    assert calls(*given)[0].agent_id == "boss"


def test_every_identity_is_inherited_by_itself(facts, calls):
    resource = facts.resource("p", "svc", who=Who(team="core", tenant_id="t"))
    given = (
        facts(1, span_class=CHAIN, who=Who(customer_id="acme", session_id="outer", feature="search")),
        facts(2, parent=1, span_class=AGENT, who=Who(session_id="inner", run_id="r")),
        facts(3, parent=2, tokens=(1, 1), who=Who(step="plan"), resource=resource),
    )
    (call,) = calls(*given)
    assert call.who == Who("t", "acme", "core", None, "inner", "r", None, "plan", "search", None)
    assert call.key.tenant_id == "t"


# ---- corrections


def test_a_row_is_written_at_once_and_corrected_when_the_agent_arrives(facts, ledger):
    from spanledger_processor.assembly.assembler import Assembler

    assembler = Assembler()
    first = assembler.add([facts(2, parent=1, tokens=(1, 1))], 0.0)
    assert [(change.op, change.key.agent_id) for change in first] == [("put", "svc")]
    second = assembler.add([facts(1, span_class=AGENT, agent_name="boss")], 5.0)
    assert [(change.op, change.key.agent_id) for change in second] == [("delete", "svc"), ("put", "boss")]
    assert assembler.add([facts(1, span_class=AGENT, agent_name="boss")], 6.0) == [], "a repeat changes nothing"
    assert assembler.stats["repeats"] == 1


def test_a_row_that_comes_and_goes_within_one_batch_is_never_told(facts):
    from spanledger_processor.assembly.assembler import Assembler

    outer, inner = facts(1, tokens=(9, 9), times=(0, 3)), facts(2, parent=1, tokens=(9, 9), times=(1, 2))
    changes = Assembler().add([outer, inner], 0.0)
    assert [(change.op, change.key.span_id) for change in changes] == [("put", inner.span_id)]


def test_of_differing_reports_of_one_span_the_better_informed_wins(facts, calls):
    early = facts(1, parent=7, times=(0, 1))
    late = facts(1, parent=7, tokens=(10, 5), times=(0, 2))
    bare = facts(1, parent=8, span_class=OTHER)
    (call,) = calls(early, bare, late)
    assert (call.usage.input, call.parent_id[-1]) == (10, 7)
