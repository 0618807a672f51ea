"""Snippets for an OpenTelemetry Collector: whole, in the right order, and without loss for the price."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from spanledger.config.content import content_patterns
from spanledger.config.tree import merged
from spanledger_processor.normalise.tables import tables

EXAMPLES = {"traceloop.prompt.*": "traceloop.prompt.template", "llm.prompt_template.*": "llm.prompt_template.variables"}
_KINDS = ("receivers", "processors", "exporters", "extensions", "connectors")


def snippet(deploy: Path, name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((deploy / "opentelemetry-collector" / f"{name}.yaml").read_text()))


@pytest.fixture(scope="module", params=["chain", "chain + strip-content", "route-by-trace"])
def whole(deploy: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """A configuration as the Collector sees it: files merged in order, lists replaced."""
    result: dict[str, Any] = {}
    for name in request.param.split(" + "):
        result = merged(result, snippet(deploy, name))
    return result


def test_every_component_is_defined_and_used(whole: dict[str, Any]) -> None:
    used: dict[str, set[str]] = {kind: set() for kind in _KINDS}
    used["extensions"] = set(whole["service"]["extensions"])
    for pipeline in whole["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            used[kind] |= set(names)
    assert used == {kind: set(whole.get(kind, {})) for kind in _KINDS}


def test_spans_for_spanledger_are_neither_sampled_nor_filtered(whole: dict[str, Any]) -> None:
    """A span missing between a call and its agent hides the agent; a trace missing is money missing."""
    processors = whole["service"]["pipelines"]["traces/spanledger"]["processors"]
    assert processors[0] == "memory_limiter"
    assert not [name for name in processors if re.match("(tail_sampling|probabilistic_sampler|filter)", name)]


def test_what_waits_is_on_disk_and_never_given_up(whole: dict[str, Any]) -> None:
    (name,) = whole["service"]["pipelines"]["traces/spanledger"]["exporters"]
    exporter = whole["exporters"][name]
    assert exporter["sending_queue"]["storage"] in whole["extensions"]
    assert exporter["retry_on_failure"] == {"enabled": True, "max_elapsed_time": "0s"}


def test_traces_stay_whole_when_they_are_routed(deploy: Path) -> None:
    balancing = snippet(deploy, "route-by-trace")["exporters"]["loadbalancing"]
    assert balancing["routing_key"] == "traceID"
    assert len(balancing["resolver"]["static"]["hostnames"]) > 1


def stripped(deploy: Path) -> list[re.Pattern[str]]:
    text = "\n".join(
        line
        for group in snippet(deploy, "strip-content")["processors"]["transform/strip_content"]["trace_statements"]
        for line in group["statements"]
    )
    # what stands in the YAML is OTTL, whose strings escape a backslash once more
    return [re.compile(each.replace("\\\\", "\\")) for each in re.findall(r"span.attributes, \"(.*)\"\)", text)]


def read_by_spanledger() -> set[str]:
    """Every plain attribute name that is read for anything, those of JSON documents included."""
    known = tables()
    attributes = known.attributes
    names = {name for document in known.documents.documents for name in document.attributes}
    for section in (attributes.about, attributes.about_if_relevant, attributes.usage, attributes.details):
        names |= {name for group in section.values() for name in group}
    names |= {name for identity in attributes.identity.values() for name in identity.exact}
    return {name for name in names if not set("*?[") & set(name)}


def test_stripping_takes_nothing_that_is_read(deploy: Path) -> None:
    patterns = stripped(deploy)
    assert patterns
    read = read_by_spanledger()
    assert "gen_ai.usage.input_tokens" in read
    assert [name for name in sorted(read) for pattern in patterns if pattern.search(name)] == []


@pytest.mark.parametrize("name", content_patterns())
def test_all_that_is_known_as_content_is_stripped_unless_it_is_read(deploy: Path, name: str) -> None:
    """What holds content and figures in one text stays: the snippet's head names it."""
    example = name.replace("*", "0.content") if name not in EXAMPLES else EXAMPLES[name]
    is_stripped = any(pattern.search(example) for pattern in stripped(deploy))
    assert is_stripped is (name not in read_by_spanledger())


@pytest.mark.parametrize(
    "name",
    [
        "gen_ai.prompt.0.content",
        "gen_ai.completion.0.tool_calls.0.arguments",
        "llm.input_messages.0.message.contents.0.message_content.text",
        "ai.response.toolCalls",
        "mlflow.spanInputs",
        "pydantic_ai.all_messages",
    ],
)
def test_stripping_takes_content_as_libraries_write_it(deploy: Path, name: str) -> None:
    assert any(pattern.search(name) for pattern in stripped(deploy))
