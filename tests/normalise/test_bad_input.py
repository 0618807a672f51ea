"""Bad input: refused by name, counted, and the good spans beside it kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from spanledger_core import otlp
from spanledger_core.facts import Refusal, Usage
from spanledger_core.refusals import REASONS
from spanledger_processor.normalise.text import clean

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
NOW_NS = 1_790_000_000_000_000_000
YEAR_NS = 365 * 86_400_000_000_000


@pytest.mark.parametrize(
    ("reason", "fields"),
    [
        ("bad_trace_id", {"trace_id": b"short"}),
        ("bad_trace_id", {"trace_id": bytes(16)}),
        ("bad_trace_id", {"trace_id": b""}),
        ("bad_span_id", {"span_id": b"123456789"}),
        ("bad_span_id", {"span_id": bytes(8)}),
        ("bad_parent_id", {"parent_span_id": b"1234"}),
        ("too_old", {"start_time_unix_nano": 0, "end_time_unix_nano": 0}),
        ("too_old", {"start_time_unix_nano": 1, "end_time_unix_nano": 2_000_000_000}),
        ("too_old", {"start_time_unix_nano": 1, "end_time_unix_nano": NOW_NS}),
        ("in_future", {"start_time_unix_nano": NOW_NS, "end_time_unix_nano": 4_102_444_800_000_000_000}),
        ("in_future", {"start_time_unix_nano": NOW_NS, "end_time_unix_nano": 2**64 - 1}),
        (
            "in_future",
            {"start_time_unix_nano": 4_102_444_800_000_000_000, "end_time_unix_nano": 4_102_444_800_000_000_000},
        ),
    ],
)
def test_a_bad_span_is_refused_alone(
    reason: str, fields: dict[str, Any], reader: Any, span: Callable[..., Any]
) -> None:
    good = span("chat", CHAT, span_id=b"goodgood")
    batch = reader.batch(span("chat", {**CHAT, "gen_ai.input.messages": "secret"}, **fields), good)
    assert [fact.span_id for fact in batch.facts] == [b"goodgood"]
    (refusal,) = batch.refusals
    assert refusal.reason == reason
    assert refusal.reason in REASONS
    assert batch.refused == 1
    assert "secret" not in refusal.example


def test_times_at_the_edges_of_the_window_are_taken(reader: Any, span: Callable[..., Any], now_ns: int) -> None:
    edge = now_ns + 3600 * 1_000_000_000
    old = now_ns - 400 * 86_400_000_000_000
    assert not reader.batch(span(start_time_unix_nano=edge, end_time_unix_nano=edge)).refusals
    assert not reader.batch(span(start_time_unix_nano=old, end_time_unix_nano=edge)).refusals
    assert reader.batch(span(start_time_unix_nano=edge + 1, end_time_unix_nano=edge + 1)).refused == 1
    assert reader.batch(span(start_time_unix_nano=edge, end_time_unix_nano=edge + 1)).refused == 1
    assert reader.batch(span(start_time_unix_nano=old - 1, end_time_unix_nano=old)).refused == 1


def test_a_start_that_nobody_said_is_the_end(reader: Any, span: Callable[..., Any], now_ns: int) -> None:
    """A row without it would be of 1970, and expire at once."""
    fact = reader.batch(span("chat", CHAT, start_time_unix_nano=0, end_time_unix_nano=now_ns)).facts[0]
    assert (fact.start_ns, fact.end_ns) == (now_ns, now_ns)


@pytest.mark.parametrize(
    "broken", [b"\xff", b"\x0a\x10short", b"\x4a\x7f", b"\x2a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"]
)
def test_a_broken_span_spoils_nothing_else(broken: bytes, reader: Any, span: Callable[..., Any]) -> None:
    batch = reader.batch(broken, span("chat", CHAT), broken)
    assert len(batch.facts) == 1
    (refusal,) = batch.refusals
    assert (refusal.reason, refusal.spans) == ("malformed", 2)


@pytest.mark.parametrize("spans", [8192, 8193])
def test_a_scope_of_any_size_is_read_alike(spans: int, reader: Any, span: Callable[..., Any]) -> None:
    """Beyond what is decoded at once, one by one."""
    whole = [span("chat", CHAT)] * spans
    assert reader.batch(*whole).facts == reader.batch(whole[0]).facts * spans
    batch = reader.batch(*whole, b"\xff")
    assert (len(batch.facts), batch.refused) == (spans, 1)


def test_content_of_any_size_makes_no_difference(reader: Any, span: Callable[..., Any]) -> None:
    prompts = span("chat", CHAT | {"gen_ai.prompt.0.content": "x" * 3_000_000})
    assert reader.batch(prompts, prompts).facts == reader.batch(span("chat", CHAT)).facts * 2


def test_a_broken_value_of_an_attribute_that_matters_is_malformed(reader: Any, span: Callable[..., Any]) -> None:
    raw = span("chat", CHAT).SerializeToString()
    key = b"gen_ai.usage.input_tokens"
    value = b"\x18\xff"  # a varint that never ends
    piece = b"\x0a" + bytes([len(key)]) + key + b"\x12" + bytes([len(value)]) + value
    batch = reader.batch(raw + b"\x4a" + bytes([len(piece)]) + piece)
    assert [refusal.reason for refusal in batch.refusals] == ["malformed"]


def test_unknown_fields_are_ignored(reader: Any, span: Callable[..., Any]) -> None:
    raw = span("chat", CHAT).SerializeToString() + b"\xfa\x07\x03abc"
    assert reader.batch(raw).facts[0].about.operation == "chat"


def test_end_before_start_becomes_start(reader: Any, span: Callable[..., Any], now_ns: int) -> None:
    fact = reader.batch(span("chat", CHAT, start_time_unix_nano=now_ns, end_time_unix_nano=now_ns - 5)).facts[0]
    assert (fact.start_ns, fact.end_ns) == (now_ns, now_ns)


def test_a_span_that_is_its_own_parent_is_a_root(reader: Any, span: Callable[..., Any]) -> None:
    assert reader.batch(span("chat", CHAT, parent_span_id=bytes(range(1, 9)))).facts[0].parent_id == b""


@pytest.mark.parametrize(
    "figures",
    [
        {"gen_ai.usage.input_tokens": -5, "gen_ai.usage.output_tokens": 10},
        {"gen_ai.usage.input_tokens": 10**15},
        {"gen_ai.usage.input_tokens": 12.5},
        {"gen_ai.usage.input_tokens": float("inf")},
        {"gen_ai.usage.input_tokens": float("nan"), "gen_ai.usage.output_tokens": 1},
        {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.cache_read.input_tokens": -1},
        {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.reasoning_tokens": -1},
        {"gen_ai.usage.input_tokens": "1e999"},
        {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.images": -3},
        {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.images": 2.5},
        {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.audio_seconds": -2.5},
        {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.audio_seconds": float("nan")},
        {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.audio_seconds": "1e999"},
    ],
)
def test_absurd_figures_are_bad_usage_and_never_negative(
    figures: dict[str, Any], reader: Any, span: Callable[..., Any]
) -> None:
    batch = reader.batch(span("chat", {**CHAT, **figures}))
    usage = batch.facts[0].usage
    assert usage is not None
    assert usage.quality == "bad"
    assert all(number is None or number >= 0 for number in usage[:8])
    assert {note.kind for note in batch.notes} == {"bad_usage"}


@pytest.mark.parametrize(
    "value", ["many", "", True, None, b"12", ["a"], [1000, 2000], [*range(60)], {"a": 1}, "0x10", "١٢"]
)
def test_a_figure_of_the_wrong_type_says_nothing(value: Any, reader: Any) -> None:
    fact = reader.fact("chat", {**CHAT, "gen_ai.usage.input_tokens": value, "gen_ai.usage.output_tokens": 7})
    assert fact.usage == Usage(output=7, convention=fact.usage.convention)


@pytest.mark.parametrize(
    ("value", "tokens"), [(7, 7), (7.0, 7), ("7", 7), (" 7 ", 7), ("7.0", 7), ("7e2", 700), ([7], 7), (2**21, 2**21)]
)
def test_figures_arrive_in_many_types(value: Any, tokens: int, reader: Any) -> None:
    assert reader.fact("chat", {**CHAT, "gen_ai.usage.input_tokens": value}).usage.input == tokens


@pytest.mark.parametrize(
    ("value", "seconds"), [(3, 3), (2.6, 3), ("61.4", 61), (0.2, 1), (200.25, 200), (["2.6"], 3), (0.0, 0)]
)
def test_seconds_of_audio_need_not_be_whole(value: Any, seconds: int, reader: Any) -> None:
    """Transcriptions report how long the audio was, to the hundredth; they are billed to the nearest second."""
    fact = reader.fact("chat", {**CHAT, "gen_ai.usage.input_tokens": 5, "gen_ai.usage.audio_seconds": value})
    assert (fact.usage.quality, dict(fact.usage.units).get("audio_seconds", 0)) == ("ok", seconds)


@pytest.mark.parametrize(
    ("attribute", "bucket"),
    [("gen_ai.usage.pages_processed", "pages"), ("gen_ai.usage.input_chars", "characters")],
)
def test_units_are_read_by_the_names_that_are_written(attribute: str, bucket: str, reader: Any) -> None:
    assert reader.fact("chat", {**CHAT, attribute: 300}).usage.units == ((bucket, 300),)


@pytest.mark.parametrize("attributes", [{}, {"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0}])
def test_no_usage_and_zero_usage_are_none(attributes: dict[str, Any], reader: Any) -> None:
    assert reader.fact("chat", {**CHAT, **attributes}).usage is None


@pytest.mark.parametrize("value", [5, 1.5, True, ["a", "b"], {"a": "b"}, b"\xff", None])
def test_names_of_the_wrong_type_do_no_harm(value: Any, reader: Any) -> None:
    keys = ["gen_ai.request.model", "gen_ai.agent.name", "user.id", "metadata", "output.value", "gen_ai.response.id"]
    fact = reader.fact("chat", {"gen_ai.operation.name": "chat", **dict.fromkeys(keys, value)})
    for text in (fact.about.request_model, fact.about.agent_name, fact.who.user_id, fact.response_id):
        assert text is None or isinstance(text, str)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("it's \"quoted\" \\ and; -- '", "it's \"quoted\" \\ and; -- '"),
        ("nul\x00 and\nnewline", "nul\ufffd and\ufffdnewline"),
        ("emoji 🤖", "emoji 🤖"),
        ("x" * 256, "x" * 256),
    ],
)
def test_names_stay_as_they_are_but_for_control_characters(name: str, kept: str, reader: Any) -> None:
    assert reader.fact("chat", {**CHAT, "gen_ai.agent.name": name}).about.agent_name == kept


def test_long_names_become_their_head_and_a_hash(reader: Any) -> None:
    one = reader.fact("chat", {**CHAT, "gen_ai.agent.name": "ä" * 5000}).about.agent_name
    two = reader.fact("chat", {**CHAT, "gen_ai.agent.name": "ä" * 5001}).about.agent_name
    assert one != two
    assert one.startswith("ä" * 120)
    assert len(one.encode()) == 252
    assert clean(one) == one


def test_ten_thousand_agents_in_one_request(reader: Any, span: Callable[..., Any]) -> None:
    spans = [
        span("chat", {**CHAT, "gen_ai.agent.name": f"agent {number}"}, span_id=number.to_bytes(8, "big"))
        for number in range(1, 10_001)
    ]
    batch = reader.batch(*spans)
    assert len({fact.about.agent_name for fact in batch.facts}) == 10_000


def test_invalid_utf8_is_replaced_not_refused(reader: Any, span: Callable[..., Any]) -> None:
    raw = span("chat", {**CHAT, "gen_ai.agent.name": "?x?"}).SerializeToString().replace(b"?x?", b"\xffx\xfe")
    assert reader.batch(raw).facts[0].about.agent_name == "\ufffdx\ufffd"


def test_every_layout_of_an_attribute_reads_the_same(reader: Any, span: Callable[..., Any]) -> None:
    raw = span("chat", {}).SerializeToString()

    def read(*pieces: bytes) -> Any:
        return reader.batch(raw + b"".join(b"\x4a" + bytes([len(piece)]) + piece for piece in pieces)).facts[0]

    usual = read(
        b"\x0a\x15gen_ai.operation.name\x12\x06\x0a\x04chat", b"\x0a\x19gen_ai.usage.input_tokens\x12\x02\x18\x07"
    )
    swapped = read(
        b"\x12\x06\x0a\x04chat\x0a\x15gen_ai.operation.name", b"\x12\x02\x18\x07\x0a\x19gen_ai.usage.input_tokens"
    )
    padded = read(
        b"\x0a\x95\x00gen_ai.operation.name\x12\x06\x0a\x04chat",
        b"\x0a\x19gen_ai.usage.input_tokens\x12\x04\x18\x87\x80\x00",
    )
    unknown = read(
        b"\x0a\x15gen_ai.operation.name\x12\x06\x0a\x04chat\x1a\x01x",
        b"\x0a\x19gen_ai.usage.input_tokens\x12\x02\x18\x07\x20\x05",
    )
    assert usual.usage.input == 7
    assert usual == swapped == padded == unknown


def test_empty_and_odd_attributes_are_skipped(reader: Any, span: Callable[..., Any]) -> None:
    raw = span("chat", CHAT).SerializeToString()
    long_key = otlp.Span()
    long_key.attributes["k" * 300].string_value = "v"
    fact = reader.batch(raw + b"\x4a\x00" + b"\x4a\x02\x0a\x00" + long_key.SerializeToString()).facts[0]
    assert fact.about.request_model == "gpt-4o"


def test_refusals_of_one_kind_are_counted_with_one_example(reader: Any, span: Callable[..., Any]) -> None:
    batch = reader.batch(*[span(trace_id=b"x") for _ in range(3)], *[span(span_id=b"y") for _ in range(2)])
    assert {(refusal.reason, refusal.spans) for refusal in batch.refusals} == {("bad_trace_id", 3), ("bad_span_id", 2)}
    assert all(isinstance(refusal, Refusal) and refusal.example for refusal in batch.refusals)


def test_an_empty_request_is_an_empty_batch(reader: Any) -> None:
    assert reader.batch().facts == ()


def test_the_same_request_twice_says_the_same(reader: Any, span: Callable[..., Any]) -> None:
    made = span("chat", {**CHAT, "gen_ai.usage.input_tokens": 5, "user.id": "u"})
    assert reader.batch(made).facts == reader.batch(made).facts
