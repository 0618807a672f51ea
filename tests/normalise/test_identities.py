"""Who a span works for: spellings, precedence, values that are none, what the operator adds and hides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from spanledger_core.facts import NOBODY, Who

CHAT = {"gen_ai.operation.name": "chat"}


@pytest.mark.parametrize(
    ("attributes", "who"),
    [
        ({"customer.id": "acme"}, Who(customer_id="acme")),
        ({"customerId": "acme"}, Who(customer_id="acme")),
        ({"spanledger.customer_id": "mine", "customer.id": "theirs"}, Who(customer_id="mine")),
        ({"traceloop.association.properties.customer_id": "acme"}, Who(customer_id="acme")),
        ({"traceloop.association.properties.Customer-ID": "acme"}, Who(customer_id="acme")),
        ({"langsmith.metadata.session_id": "s", "langsmith.metadata.thread_id": "t"}, Who(session_id="s")),
        ({"langsmith.metadata.thread_id": "t", "gen_ai.conversation.id": "c"}, Who(session_id="c")),
        ({"session.id": "s", "gen_ai.conversation.id": "c"}, Who(session_id="s")),
        ({"gen_ai.conversation.id": "resp_0000000001"}, NOBODY),
        ({"gen_ai.conversation.id": "resp_0000000001", "thread_id": "t"}, Who(session_id="t")),
        ({"langfuse.trace.metadata.customer_id": '"acme"'}, Who(customer_id="acme")),
        (
            {"ai.telemetry.metadata.userId": "u-9", "ai.telemetry.metadata.sessionId": "s-9"},
            Who(user_id="u-9", session_id="s-9"),
        ),
        ({"mastra.metadata.runId": "r-1"}, Who(run_id="r-1")),
        ({"metadata": '{"customer_id": "acme", "step": "plan", "n": 1}'}, Who(customer_id="acme", step="plan")),
        ({"metadata": {"customer_id": "acme", "user_id": 42}}, Who(customer_id="acme", user_id="42")),
        ({"metadata.requester_metadata": "{'customer_id': 'acme', 'headers': {'a': 'b'}}"}, Who(customer_id="acme")),
        (
            {"llm.invocation_parameters": '{"model": "m", "user": "u", "metadata": {"customer_id": "acme"}}'},
            Who(user_id="u", customer_id="acme"),
        ),
        (
            {"traceloop.entity.input": '{"inputs": {"user_id": "no"}, "metadata": {"user_id": "u", "thread_id": "t"}}'},
            Who(user_id="u", session_id="t"),
        ),
        ({"user.id": 42}, Who(user_id="42")),
        ({"gen_ai.workflow.name": "w", "team": "t", "feature": "f", "prompt.version": "3"},
         Who(team="t", workflow="w", feature="f", prompt_version="3")),
        ({"user.id": ""}, NOBODY),
        ({"user.id": "None"}, NOBODY),
        ({"gen_ai.request.user": "<openai.Omit object at 0x7f27b461ea90>"}, NOBODY),
        ({"session_id": "[Scrubbed due to 'session']"}, NOBODY),
        ({"gen_ai.user": None}, NOBODY),
        ({"thread.id": 139872}, NOBODY),
        ({"team_id": "78e7ea91-4605-4989-88fc-8749608dc3c7"}, NOBODY),
        ({"langsmith.trace.session_name": "a project"}, NOBODY),
    ],
)  # fmt: skip
def test_identities(attributes: dict[str, Any], who: Who, reader: Any) -> None:
    assert reader.fact("chat", {**CHAT, **attributes}).who == who


def test_spans_without_model_calls_lend_their_identities(reader: Any) -> None:
    fact = reader.fact("POST /chat", {"user.id": "u-1", "http.request.method": "POST"}, scope="fastapi")
    assert fact.who == Who(user_id="u-1")
    assert not fact.is_bare
    assert fact.start_ns > 0


def test_names_the_operator_adds_come_first(reader_with: Callable[..., Any]) -> None:
    reader = reader_with(attributes={"customer_id": ("app.tenant",), "step": ("app.phase",)})
    fact = reader.fact("chat", {**CHAT, "app.tenant": "acme", "customer.id": "other", "app.phase": "draft"})
    assert fact.who == Who(customer_id="acme", step="draft")
    assert reader.fact("chat", CHAT, resource={"app.tenant": "acme"}).about.resource.who == Who(customer_id="acme")


def test_credentials_say_the_tenant_and_spans_do_not(reader: Any, span: Callable[..., Any]) -> None:
    claimed = span("chat", {**CHAT, "tenant.id": "evil", "user.id": "u"})
    fact = reader.batch(claimed, tenant="acme").facts[0]
    assert fact.who == Who(user_id="u")
    assert fact.about.resource.who.tenant_id == "acme"
    open_door = reader.batch(claimed).facts[0]
    assert open_door.who.tenant_id == "evil"
    assert open_door.about.resource.process != fact.about.resource.process


def test_hashed_identifiers_are_keyed_digests(reader_with: Callable[..., Any]) -> None:
    settings = {"hash_identifiers": frozenset({"user_id"}), "hash_key": b"a secret"}
    fact = reader_with(**settings).fact("chat", {**CHAT, "user.id": "jane@example.com", "session.id": "s"})
    assert fact.who.session_id == "s"
    assert fact.who.user_id is not None
    assert "jane" not in fact.who.user_id
    assert len(fact.who.user_id) == 24
    other = reader_with(**{**settings, "hash_key": b"another"}).fact("chat", {**CHAT, "user.id": "jane@example.com"})
    assert other.who.user_id != fact.who.user_id


def test_what_is_hashed_is_not_kept_beside_it(reader_with: Callable[..., Any]) -> None:
    reader = reader_with(
        hash_identifiers=frozenset({"user_id", "customer_id"}),
        hash_key=b"a secret",
        attributes={"customer_id": ("app.customer",)},
        keep_attributes=("app.*", "user.*", "langfuse.*"),
    )
    said = {"user.id": "jane", "app.customer": "acme", "langfuse.trace.metadata.user_id": "jane", "app.note": "kept"}
    fact = reader.fact("chat", {**CHAT, **said})
    assert fact.details is not None
    assert fact.details.attributes == (("app.note", "kept"),)


def test_resource_says_service_environment_and_prices(reader: Any) -> None:
    resource = {
        "service.name": "shop",
        "deployment.environment.name": "prod",
        "deployment.environment": "old",
        "team.name": "checkout",
        "cloud.region": "eu-west-1",
        "spanledger.price.batch": "true",
        "telemetry.sdk.version": "1",
    }
    found = reader.fact("chat", CHAT, resource=resource).about.resource
    assert (found.service_name, found.environment) == ("shop", "prod")
    assert found.who == Who(team="checkout")
    assert found.price_context == (("batch", "true"),)


def test_same_service_is_not_same_process(reader: Any) -> None:
    def process(**changes: str) -> str:
        resource = {"service.name": "shop", "service.instance.id": "1", "telemetry.sdk.version": "1", **changes}
        found: str = reader.fact("chat", CHAT, resource=resource).about.resource.process
        return found

    assert process() == process(**{"telemetry.sdk.version": "2"})
    assert process() != process(**{"service.instance.id": "2"})
