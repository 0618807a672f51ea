"""The declared data holds together; a new dialect is a change of data."""

from __future__ import annotations

import re

import pytest

from spanledger_core.facts import Who
from spanledger_processor.normalise.settings import IDENTITIES
from spanledger_processor.normalise.tables import dialect_of, tables


def test_the_tables_load_and_agree_with_the_contracts() -> None:
    assert tables().attributes.identity
    assert Who._fields == IDENTITIES


@pytest.mark.parametrize(
    ("scope", "version", "dialect"),
    [
        ("opentelemetry.instrumentation.genai.openai", "1.3b0", "otel-genai-openai"),
        ("opentelemetry.instrumentation.genai.something_new", "2", "otel-genai"),
        ("opentelemetry.instrumentation.openai_v2", "", "otel-genai-openai"),
        ("opentelemetry.instrumentation.openai.v1", "0.62.4", "openllmetry-openai"),
        ("opentelemetry.instrumentation.langchain", "0.40.14", "openllmetry"),
        ("opentelemetry.instrumentation.httpx", "", "openllmetry"),
        ("openinference.instrumentation.langchain", "", "openinference"),
        ("openinference.instrumentation.agno", "", "openinference-agno"),
        ("openlit.otel.tracing", "", "openlit-tracing"),
        ("openlit.instrumentation.mistral", "", "openlit"),
        ("logfire.openai", "5.2.0", "logfire-openai"),
        ("com.anthropic.sdk.python", "2.12.0", "anthropic-sdk"),
        ("com.anthropic.sdk.typescript", "1", "anthropic-sdk"),
        ("my.app", "", "semconv"),
        ("", "", "semconv"),
    ],
)
def test_dialect_of_a_scope(scope: str, version: str, dialect: str) -> None:
    assert dialect_of(tables(), scope, version).name == dialect


def test_every_dialect_is_reached_by_its_own_scopes() -> None:
    for dialect in tables().dialects.dialects:
        versions = [version.replace("*", "9").replace("?", "8") for version in dialect.versions] or [""]
        for scope in dialect.scopes:
            for version in versions:
                assert dialect_of(tables(), scope.replace("*", "~any~"), version).name == dialect.name


def test_names_of_dialects_are_unique() -> None:
    names = [dialect.name for dialect in tables().dialects.dialects]
    assert len(names) == len(set(names))


def test_providers_are_semantic_convention_values() -> None:
    found = tables().providers
    values = (
        set(found.names.values()) | {rule.provider for rule in found.models} | {rule.provider for rule in found.hosts}
    )
    assert all(re.fullmatch(r"[a-z0-9_.]+", value) for value in values)
    assert all(found.names.get(value, value) == value for value in values)
    assert not found.unknown & set(found.names)
    assert {dialect.provider for dialect in tables().dialects.dialects} <= values | {""}


def test_marks_named_in_conditions_are_read() -> None:
    found = tables()
    marks = set(found.attributes.about["marks"]) | {"operation"}
    marks |= {key for dialect in found.dialects.dialects for key in dialect.fields_.get("mark", ())}
    lines = [line for rule in found.classes.rules for line in rule.lines]
    lines += [*found.classes.streaming, *(rule.when for rule in found.agents.conditional)]
    assert {key for line in lines for key in line.values} <= marks
    named = {*found.agents.names, *found.agents.agent_spans, *found.agents.path.segments, *found.agents.path.workflow}
    assert named <= marks


@pytest.mark.parametrize(
    "key",
    [
        "gen_ai.input.messages",
        "gen_ai.prompt.0.content",
        "llm.output_messages.0.message.content",
        "input.value",
        "traceloop.entity.output",
        "gen_ai.system_instructions",
        "ai.prompt.messages",
        "exception.message",
    ],
)
def test_content_is_known_as_content(key: str) -> None:
    assert tables().content.match(key)


@pytest.mark.parametrize(
    "key", ["app.plan", "server.port", "gen_ai.request.model", "customer.id", "langsmith.metadata.step"]
)
def test_settings_are_no_content(key: str) -> None:
    assert not tables().content.match(key)


def test_every_dialect_says_whose_it_is() -> None:
    assert [dialect.name for dialect in tables().dialects.dialects if not dialect.instrumentation] == []
