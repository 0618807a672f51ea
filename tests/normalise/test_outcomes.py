"""How calls end: refused or broken; what else a row shows of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from spanledger_core.facts import Details

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}


def failing(
    span: Callable[..., Any], attributes: dict[str, Any], message: str = "", exception: dict[str, str] | None = None
) -> Any:
    made = span("chat gpt-4o", {**CHAT, **attributes}, status=2, message=message)
    if exception:
        event = made.events.add(name="exception")
        for key, value in exception.items():
            event.attributes[f"exception.{key}"].string_value = value
    return made


@pytest.mark.parametrize(
    ("refused", "error_type", "attributes", "message", "exception"),
    [
        (True, "rate_limit_error", {"error.type": "rate_limit_error", "http.response.status_code": 429}, "", {}),
        (True, "429", {"error.type": "429"}, "", {}),
        (True, "429", {"http.status_code": 429}, "", {}),
        (True, "openai.RateLimitError", {"error.type": "openai.RateLimitError"}, "", {}),
        (True, "ThrottlingException", {"error.type": "ThrottlingException"}, "", {}),
        (True, "RateLimitError", {}, "", {"type": "RateLimitError", "message": "slow down"}),
        (True, "openai.APIError", {}, "", {"type": "openai.APIError", "message": "Error code: 500 - {'error': ...}"}),
        (True, "401", {}, "Error code: 401 - {'error': 'Incorrect API key provided'}", {}),
        (False, "APIConnectionError", {"error.type": "APIConnectionError"}, "Connection error.", {}),
        (False, "overloaded_error", {"error.type": "overloaded_error", "http.response.status_code": 200}, "", {}),
        (False, "", {}, "something about 500 dollars", {}),
        (False, "", {"error.type": "a whole sentence that says what went wrong"}, "", {}),
    ],
)
def test_refusals_are_told_from_broken_calls(  # noqa: PLR0917
    refused: bool,
    error_type: str,
    attributes: dict[str, Any],
    message: str,
    exception: dict[str, str],
    reader: Any,
    span: Callable[..., Any],
) -> None:
    about = reader.batch(failing(span, attributes, message, exception)).facts[0].about
    assert (about.is_error, about.refused, about.error_type) == (True, refused, error_type)


def test_a_call_with_usage_was_not_refused(reader: Any, span: Callable[..., Any]) -> None:
    made = failing(span, {"error.type": "RateLimitError", "gen_ai.usage.input_tokens": 26})
    fact = reader.batch(made).facts[0]
    assert fact.usage is not None
    assert (fact.about.is_error, fact.about.refused) == (True, False)


def test_a_failed_call_may_have_nothing_but_its_name(reader: Any, span: Callable[..., Any]) -> None:
    made = span("chat claude-sonnet-4-5", {}, status=2, message="Error code: 529")
    about = reader.batch(made, scope="openlit.instrumentation.anthropic").facts[0].about
    assert (about.request_model, about.operation, about.provider) == ("claude-sonnet-4-5", "chat", "anthropic")
    assert about.refused


def test_an_http_span_that_failed_is_no_call(reader: Any) -> None:
    fact = reader.fact("POST", {"http.response.status_code": 500, "error.type": "500"}, status=2)
    assert fact.is_bare


@pytest.mark.parametrize(
    ("attributes", "details"),
    [
        ({"gen_ai.response.time_to_first_chunk": 0.25}, Details(time_to_first_token_ns=250_000_000)),
        ({"ai.response.msToFirstChunk": 209.25}, Details(time_to_first_token_ns=209_250_000)),
        ({"gen_ai.response.time_to_first_chunk": -1.0}, None),
        ({"gen_ai.cost.total_cost": 0.00143}, Details(reported_cost=1_430_000_000)),
        ({"operation.cost": "0.005736"}, Details(reported_cost=5_736_000_000)),
        ({"gen_ai.usage.cost": float("nan")}, None),
        ({"gen_ai.usage.cost": -0.5}, None),
        ({}, None),
    ],
)
def test_details(attributes: dict[str, Any], details: Details | None, reader: Any) -> None:
    assert reader.fact("chat", {**CHAT, **attributes}).details == details


def test_langfuse_says_when_the_first_token_came(reader: Any, now_ns: int) -> None:
    # the span of the fixture starts two seconds before now, 2026-09-21T14:13:20Z
    assert now_ns == 1_790_000_000_000_000_000
    attributes = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.completion_start_time": '"2026-09-21T14:13:18.5Z"',
    }
    details = reader.fact("call", attributes, scope="langfuse-sdk").details
    assert details == Details(time_to_first_token_ns=500_000_000)


@pytest.mark.parametrize(
    ("trace_state", "probability"),
    [
        ("ot=th:8", 0.5),
        ("ot=th:c", 0.25),
        ("vendor=x,ot=rv:abc;th:fd70a3d70a3d71", 0.01),
        ("ot=p:3;r:5", 0.125),
        ("ot=th:0", None),
        ("rojo=th:8", None),
        ("ot=th:xyz", None),
    ],
)
def test_sampling_probability(
    trace_state: str, probability: float | None, reader: Any, span: Callable[..., Any]
) -> None:
    batch = reader.batch(span("chat", CHAT, trace_state=trace_state))
    details = batch.facts[0].details
    assert (details.sampling_probability if details else None) == pytest.approx(probability)
    assert ("sampled" in {note.kind for note in batch.notes}) == (probability is not None)


def test_kept_attributes_are_those_asked_for_and_never_content(reader_with: Callable[..., Any]) -> None:
    reader = reader_with(keep_attributes=("app.*", "server.port", "gen_ai.*"))
    attributes = {
        **CHAT,
        "app.plan": "gold",
        "app.retry": 2,
        "app.user.input": "secret words",
        "server.port": 443,
        "gen_ai.input.messages": "secret words",
        "gen_ai.prompt.0.content": "secret words",
        "other": "no",
    }
    details = reader.fact("chat", attributes).details
    assert details is not None
    assert dict(details.attributes) == {
        "app.plan": "gold",
        "app.retry": "2",
        "server.port": "443",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
    }


@pytest.mark.parametrize(
    ("attributes", "tier"),
    [
        ({"openai.response.service_tier": "flex", "openai.request.service_tier": "default"}, "flex"),
        ({"openai.request.service_tier": "priority"}, "priority"),
        ({"openai.request.service_tier": "auto"}, ""),
        ({"gen_ai.request.service_tier": "<openai.Omit object at 0x7f27b461ea90>"}, ""),
        ({"anthropic.response.service_tier": "standard"}, "standard"),
    ],
)
def test_the_tier_of_the_response_wins(attributes: dict[str, Any], tier: str, reader: Any) -> None:
    assert reader.fact("chat", {**CHAT, **attributes}).about.service_tier == tier


def test_what_changes_prices_is_kept_and_what_does_not_is_left_out(reader: Any) -> None:
    attributes = {
        "anthropic.response.inference_geo": "us",
        "gen_ai.request.batch": True,
        "anthropic.request.speed": "standard",
    }
    about = reader.fact("chat", {**CHAT, **attributes}).about
    assert about.price_context == (("batch", "true"), ("inference_geo", "us"))


def test_notes_say_what_a_scope_loses(reader: Any, span: Callable[..., Any]) -> None:
    batch = reader.batch(
        span("chat", {**CHAT, "gen_ai.request.stream": True}),
        span("chat", {**CHAT}),
        span("chat", {**CHAT, "gen_ai.usage.input_tokens": 1, "gen_ai.usage.cache_read.input_tokens": 9}),
        span("GET", {}, dropped_attributes_count=3),
        scope="opentelemetry.instrumentation.genai.openai",
    )
    assert {(note.kind, note.spans) for note in batch.notes} == {
        ("stream_without_usage", 1),
        ("no_usage", 1),
        ("convention_contradicted", 1),
        ("attributes_dropped", 1),
    }


@pytest.mark.parametrize(
    ("said", "reason"),
    [(["stop", "length"], "stop"), ('["tool_calls", "stop"]', "tool_calls"), ("stop", "stop"), ("[]", ""), ([], "")],
)
def test_only_the_first_finish_reason_is_kept(said: Any, reason: str, reader: Any) -> None:
    assert reader.fact("chat", {**CHAT, "gen_ai.response.finish_reasons": said}).about.finish_reason == reason


@pytest.mark.parametrize(
    ("on_span", "on_process", "context"),
    [
        ({"batch": "false"}, {"batch": "true"}, {"batch": "false"}),
        ({"speed": "standard"}, {"speed": "fast"}, {"speed": "standard"}),
        (
            {"deployment_type": "GlobalStandard"},
            {"deployment_type": "DataZoneStandard"},
            {"deployment_type": "globalstandard"},
        ),
        ({"deployment_type": "Standard"}, {}, {"deployment_type": "standard"}),
        ({"batch": "false", "speed": "standard", "deployment_type": "GlobalStandard"}, {}, {}),
    ],
)
def test_a_span_is_right_about_prices_also_where_it_says_the_default(
    on_span: dict[str, str], on_process: dict[str, str], context: dict[str, str], reader: Any
) -> None:
    """What changes no price is kept only where the process says that something does."""

    def stated(values: dict[str, str]) -> dict[str, Any]:
        return {f"spanledger.price.{name}": value for name, value in values.items()}

    fact = reader.fact("chat", {**CHAT, **stated(on_span)}, resource={"service.name": "shop", **stated(on_process)})
    assert dict(fact.about.price_context) == context


def test_what_a_rule_may_set_is_kept_of_a_span_also_where_it_says_the_default(reader_with: Any) -> None:
    said = {"spanledger.price.batch": "false", "spanledger.price.speed": "standard"}
    reader = reader_with(ruled_contexts=frozenset({"batch"}))
    assert reader.fact("chat", {**CHAT, **said}).about.price_context == (("batch", "false"),)


@pytest.mark.parametrize("key", ["cache_ttl", "tool", "image_size", "image_quality", "page_type", "region"])
@pytest.mark.parametrize("on_span", [True, False])
def test_what_is_said_in_our_own_words_is_read_from_span_and_process(key: str, on_span: bool, reader: Any) -> None:
    said = {f"spanledger.price.{key}": "12h"}
    other = {f"spanledger.price.{key}": "1h"}
    on_process = {"service.name": "shop", **(other if on_span else said)}
    about = reader.fact("chat", {**CHAT, **(said if on_span else {})}, resource=on_process).about
    assert (about.price_context or about.resource.price_context) == ((key, "12h"),)


def test_a_tier_of_our_own_is_the_last_resort(reader: Any) -> None:
    ours = {"spanledger.price.service_tier": "flex"}
    assert reader.fact("chat", {**CHAT, **ours}).about.service_tier == "flex"
    said = {"openai.request.service_tier": "priority"}
    assert reader.fact("chat", {**CHAT, **ours, **said}).about.service_tier == "priority"
