"""What holds for every span whatever: nothing raises, totals hold their parts, content never leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from spanledger_core import otlp
from spanledger_core.facts import Fact, FactBatch, Usage
from spanledger_processor.normalise.schema import Cache, Thoughts
from spanledger_processor.normalise.tables import tables
from spanledger_processor.normalise.usage import Counting, Figures, count, detailed, merge, usual

FIXTURES = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
CANARY = "CANARYsecretCANARY"


def known_keys() -> list[str]:
    found = tables().attributes
    keys = [
        key
        for section in (found.about, found.about_if_relevant, found.usage, found.details)
        for keys in section.values()
        for key in keys
    ]
    keys += [key for identity in found.identity.values() for key in identity.exact]
    keys += [key.replace("*", "openai") for document in tables().documents.documents for key in document.attributes]
    keys += [prefix + leaf for prefix in found.families for leaf in ("user_id", "session_id", "lc_agent_name", "x")]
    return sorted(set(keys))


KEYS = known_keys()
SCOPES = sorted(
    {scope.replace("*", "x") for dialect in tables().dialects.dialects for scope in dialect.scopes} | {"", "my.app"}
)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2000) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "usage",
                    "input_tokens",
                    "prompt_tokens",
                    "cache_read_input_tokens",
                    "output",
                    "metadata",
                    "user_id",
                    "model",
                    "raw",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
WORDS = ["LLM", "AGENT", "chat", "invoke_agent", "gpt-4o", "anthropic", "agent:x", "429", "true", "1e5", "-3"]
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.integers(0, 5000)
    | st.floats()
    | st.text(max_size=40)
    | st.binary(max_size=20)
    | st.sampled_from(WORDS)
    | DOCUMENTS.map(json.dumps)
    | DOCUMENTS.map(repr)
    | st.dictionaries(st.sampled_from(["user_id", "input", "usage"]), st.integers(0, 99) | st.text(max_size=5))
    | st.lists(st.text(max_size=5) | st.integers(0, 9), max_size=3)
)  # fmt: skip
ATTRIBUTES = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=20), VALUES, max_size=14)


def texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, tuple):
        return [text for element in value for text in texts(element)]
    return []


def check(usage: Usage | None) -> None:
    if usage is None:
        return
    cached = (usage.cache_read, usage.cache_write_5m, usage.cache_write_1h)
    assert min(*cached, usage.reasoning, usage.audio_input, usage.audio_output) >= 0
    assert all(number > 0 for _, number in usage.units)
    if usage.quality != "bad":
        assert sum(cached) + usage.audio_input <= (usage.input or 0)
        assert usage.reasoning + usage.audio_output <= (usage.output or 0)
        assert usage.input is None or usage.input >= 0
        assert (usage.input or 0) + (usage.output or 0) + len(usage.units) > 0


def check_batch(batch: FactBatch, spans: int) -> None:
    assert len(batch.facts) + batch.refused == spans
    for fact in batch.facts:
        assert isinstance(fact, Fact)
        check(fact.usage)
        assert all(len(text.encode()) <= 256 for text in texts(tuple(fact)))
        assert fact.end_ns >= fact.start_ns


@settings(max_examples=100, deadline=None, suppress_health_check=FIXTURES)
@given(attributes=ATTRIBUTES, scope=st.sampled_from(SCOPES), place=st.tuples(st.text(max_size=30), st.integers(0, 3)))
def test_no_attribute_value_makes_reading_fail(
    attributes: dict[str, Any], scope: str, place: tuple[str, int], reader: Any, span: Callable[..., Any]
) -> None:
    name, status = place
    check_batch(reader.batch(span(name, attributes, status=status), scope=scope), 1)


@settings(max_examples=100, deadline=None, suppress_health_check=FIXTURES)
@given(attributes=ATTRIBUTES, data=st.data())
def test_no_bytes_make_reading_fail(
    attributes: dict[str, Any], data: st.DataObject, reader: Any, span: Callable[..., Any]
) -> None:
    raw = bytearray(span("chat m", {"gen_ai.operation.name": "chat", **attributes}).SerializeToString())
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    check_batch(reader.batch(bytes(raw)), 1)


@settings(max_examples=100, deadline=None, suppress_health_check=FIXTURES)
@given(attributes=ATTRIBUTES, scope=st.sampled_from(SCOPES))
def test_slicing_attributes_reads_what_protobuf_reads(
    attributes: dict[str, Any], scope: str, reader: Any, span: Callable[..., Any]
) -> None:
    """With every value before its key, the same span goes through protobuf's own reading."""
    made = span("chat m", {"gen_ai.operation.name": "chat", **attributes})
    swapped = otlp.Span.FromString(made.SerializeToString())
    swapped.ClearField("attributes")
    raw = swapped.SerializeToString()
    for key, value in made.attributes.items():
        encoded, name = value.SerializeToString(), key.encode()
        piece = b"\x12" + varint(len(encoded)) + encoded + b"\x0a" + varint(len(name)) + name
        raw += b"\x4a" + varint(len(piece)) + piece
    assert reader.batch(made, scope=scope).facts == reader.batch(raw, scope=scope).facts


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


@settings(max_examples=60, deadline=None, suppress_health_check=FIXTURES)
@given(
    scope=st.sampled_from(SCOPES),
    keys=st.lists(
        st.sampled_from([*tables().attributes.about["marks"], "gen_ai.operation.name", "gen_ai.request.model"]),
        max_size=4,
    ),
    kind=st.sampled_from(["LLM", "AGENT", "CHAIN", "TOOL"]),
)
def test_content_never_leaves(scope: str, keys: list[str], kind: str, reader: Any, span: Callable[..., Any]) -> None:
    """A word in every place where prompts and answers stand is in no field of any fact, refusal or note."""
    message = {"role": "user", "content": CANARY, "usage": {"x": CANARY}}
    attributes = {
        "gen_ai.input.messages": json.dumps([message]),
        "gen_ai.output.messages": json.dumps([message]),
        "gen_ai.system_instructions": CANARY,
        "gen_ai.prompt.0.content": CANARY,
        "gen_ai.prompt": json.dumps({"messages": [message], "model": "m", "input": CANARY}),
        "gen_ai.completion": json.dumps({"choices": [{"message": message}], "model": "m"}),
        "llm.input_messages.0.message.content": CANARY,
        "input.value": CANARY,
        "output.value": json.dumps(
            {"choices": [{"message": message}], "usage": {"prompt_tokens": 5}, "output": CANARY}
        ),
        "traceloop.entity.input": json.dumps(
            {"inputs": {"messages": [message]}, "metadata": {"user_id": "u"}, "kwargs": CANARY}
        ),
        "traceloop.entity.output": CANARY,
        "langfuse.observation.input": CANARY,
        "langfuse.observation.output": CANARY,
        "langfuse.observation.status_message": CANARY,
        "request_data": json.dumps({"messages": [message], "model": "m"}),
        "response_data": json.dumps({"message": message, "usage": {"prompt_tokens": 5}}),
        "response": json.dumps({"output": [message], "instructions": CANARY, "usage": {"input_tokens": 5}}),
        "ai.prompt": CANARY,
        "ai.response.text": CANARY,
        "llm.openai.choices": CANARY,
        "llm.openai.messages": CANARY,
        "llm.invocation_parameters": json.dumps({"model": "m", "messages": [message], "system": CANARY}),
        "gen_ai.tool.call.arguments": CANARY,
        "tool_response": CANARY,
        "error.message": CANARY,
        "events": CANARY,
        "error.type": f"what went wrong: {CANARY}",
        "openinference.span.kind": kind,
        **dict.fromkeys(keys, "x"),
    }
    made = span("chat m", attributes, status=2, message=f"Error: {CANARY}")
    event = made.events.add(name="exception")
    event.attributes["exception.message"].string_value = CANARY
    event.attributes["exception.type"].string_value = "RateLimitError"
    batch = reader.batch(made, span("x", attributes, trace_id=b"bad"), scope=scope)
    assert CANARY not in repr(batch)


FIGURE = st.none() | st.integers(-3, 3000) | st.integers(0, 10**13)
FIGURES = st.builds(Figures, *[FIGURE] * 12)
CACHES: st.SearchStrategy[Cache] = st.sampled_from(["inclusive", "exclusive", "assumed"])
THOUGHTS: st.SearchStrategy[Thoughts] = st.sampled_from(["inside", "outside", "rest", "twice"])
AUDIO = st.sampled_from(["inside", "outside"])
COUNTINGS = st.builds(Counting, CACHES, THOUGHTS, st.sampled_from(["ok", "suspect"]), AUDIO)


@settings(max_examples=150, deadline=None)
@given(figures=FIGURES, counting=COUNTINGS)
def test_totals_hold_their_parts(figures: Figures, counting: Counting) -> None:
    check(count(figures, counting).usage)


@settings(max_examples=150, deadline=None)
@given(one=FIGURES, other=FIGURES, first=COUNTINGS, second=COUNTINGS)
def test_merged_totals_hold_their_parts(one: Figures, other: Figures, first: Counting, second: Counting) -> None:
    check(merge(count(one, first).usage, count(other, second).usage))


@settings(max_examples=150, deadline=None)
@given(one=FIGURES, other=FIGURES, first=COUNTINGS, second=COUNTINGS)
def test_totals_hold_the_parts_told_beside_them(
    one: Figures, other: Figures, first: Counting, second: Counting
) -> None:
    plain, parts = count(one, first).usage, count(other._replace(input=None, output=None), second).usage
    if plain is not None and parts is not None:
        check(detailed(plain, parts))


@settings(max_examples=150, deadline=None)
@example(numbers=(0, 1, 0, 0, -1, 0, 0, 0, 0, 0))
@example(numbers=(0, 1, 0, -1, 0, 0, 0, 0, 0, 0))
@example(numbers=(100, 50, 0, 0, 0, 0, 20, 0, 0, 170))  # the total says that thoughts are beside the output
@given(numbers=st.tuples(*[st.integers(-2, 60) | st.integers(0, 10**13)] * 10))
def test_the_short_way_counts_as_the_long_one(numbers: tuple[int, ...]) -> None:
    entered, left, read, write, short, long, reasoning, audio_input, audio_output, total = numbers
    fast = usual(numbers, "inclusive")
    if fast is not None:
        figures = Figures(entered, left, total, None, read, write, short, long, reasoning, audio_input, audio_output)
        assert count(figures, Counting("inclusive")).usage == fast
