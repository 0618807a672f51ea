"""A row holds all that made its price: priced again from its columns, a call costs the same to the last digit."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanledger.reprice.recall import recalled, repriced
from spanledger_core.calls import Call
from spanledger_core.errors import SpanledgerError
from spanledger_core.facts import Details, Usage
from spanledger_core.rows import booked_us_of, generation_of, row_version
from spanledger_processor.pricing.book import PriceBook

MODELS = [
    ("openai", "gpt-4o", "gpt-4o-2024-08-06"), ("openai", "gpt-4o", ""), ("openai", "", "o3"), ("openai", "", ""),
    ("openai", "gpt-4o-audio-preview", "gpt-4o-audio-preview-2024-12-17"), ("openai", "gpt-image-1", ""),
    ("openai", "gpt-4.1", "gpt-4.1-2025-04-14"), ("openai", "omni-moderation-latest", ""), ("ollama", "llama3.2", ""),
    ("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929"), ("gcp.gemini", "gemini-2.5-pro", ""),
    ("gcp.gemini", "gemini-2.5-flash-preview-04-17", ""), ("gcp.vertex_ai", "gemini-2.5-pro", "gemini-2.5-pro"),
    ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", ""), ("azure.ai.openai", "prod", "gpt-4o"),
    ("deepseek", "deepseek-chat", ""), ("langchain", "gpt-4o-mini", ""), ("openrouter", "openai/gpt-4o", ""),
    ("cohere", "rerank-v3.5", ""), ("perplexity", "sonar-pro", ""), ("", "no-such-model", "nor-this-one"),
]  # fmt: skip
CONTEXTS = [
    (), (("batch", "true"),), (("region", "eu"),), (("region", "us-east-1"),), (("speed", "fast"),),
    (("service_tier", "flex"),), (("inference_geo", "us"),), (("deployment_type", "DataZoneStandard"),),
    (("batch", "true"), ("region", "eu-west-1")), (("search_context_size", "high"),),
]  # fmt: skip
counts = st.integers(0, 400_000)


@st.composite
def usages(draw: Any) -> Usage | None:
    if draw(st.integers(0, 9)) == 0:
        return None
    parts = draw(st.tuples(*[st.one_of(st.just(0), counts)] * 8))
    units = draw(
        st.dictionaries(
            st.sampled_from(["images", "web_searches", "rerank_searches", "audio_seconds", "characters"]),
            st.integers(1, 50),
            max_size=2,
        )
    )
    text, cached, short, hourly, answer, thought, heard, said = parts
    total = draw(st.sampled_from([text + cached + short + hourly + heard, None]))
    left = draw(st.sampled_from([answer + thought + said, None]))
    quality = draw(st.sampled_from(["ok"] * 8 + ["suspect", "bad"]))
    return Usage(
        total, left, cached, short, hourly, thought, heard, said, tuple(sorted(units.items())), "inclusive", quality
    )


@st.composite
def calls(draw: Any, make: ModuleType) -> Call:
    provider, asked, answered = draw(st.sampled_from(MODELS))
    reported = draw(st.one_of(st.none(), st.integers(0, 10**13)))
    at_us = draw(st.integers(1_710_000_000_000_000, make.START_US))
    return make.call(
        at_us=at_us,
        provider=provider,
        request_model=asked,
        response_model=answered,
        service_tier=draw(st.sampled_from(["", "default", "flex", "priority", "batch"])),
        price_context=draw(st.sampled_from(CONTEXTS)),
        usage=draw(usages()),
        details=None if reported is None else Details(reported_cost=reported),
        is_aggregate=draw(st.booleans()),
        about=make.about(draw(st.sampled_from([False, False, True])), draw(st.booleans())),
        end_ns=at_us * 1000 + draw(st.integers(0, 10**12)),
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_pricing_a_row_again_by_the_same_book_changes_nothing(make: ModuleType, book: PriceBook, data: Any) -> None:
    call = data.draw(calls(make))
    row = make.row(book, call)
    again = book.price(recalled(row))
    assert again == book.price(call)
    assert repriced(row, again) is None


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_rules_price_a_row_as_they_price_its_call(make: ModuleType, ruled_book: PriceBook, data: Any) -> None:
    call = data.draw(calls(make))
    row = make.row(ruled_book, call)
    assert repriced(row, ruled_book.price(recalled(row))) is None


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_row_moved_by_another_book_is_what_that_book_would_have_booked(
    make: ModuleType, book: PriceBook, dear_book: PriceBook, data: Any
) -> None:
    call = data.draw(calls(make))
    row, wanted = make.row(book, call), make.row(dear_book, call)
    moved = repriced(row, dear_book.price(recalled(row)))
    if moved is None:
        dollars = [make.AT[name] for name in make.AT if name.endswith("_usd")]
        assert [row[at] for at in dollars] == [wanted[at] for at in dollars]
    else:
        assert moved[: make.AT["version"]] == wanted[: make.AT["version"]]
        assert moved[make.AT["version"]] == row_version(make.START_US, 1)


def test_an_absurd_price_that_made_a_call_bad_is_mended_by_a_book_without_it(
    make: ModuleType, book: PriceBook, tmp_path: Any
) -> None:
    from spanledger_processor.pricing.book import load_book

    file = tmp_path / "slip.csv"
    file.write_text("provider,model,bucket,unit_price\nopenai,gpt-4o*,input,250000000\n")
    row = make.row(load_book([file]), make.call())
    assert row[make.AT["cost_status"]] == "bad_usage"
    mended = repriced(row, book.price(recalled(row)))
    assert mended is not None
    assert mended[make.AT["cost_usd"]] == 3_500_000_000


def test_a_version_remembers_when_it_was_booked_and_counts_how_often_it_was_moved(
    make: ModuleType, book: PriceBook, dear_book: PriceBook
) -> None:
    row = make.row(book, make.call())
    for generation, present in enumerate((dear_book, book, dear_book), 1):
        row = repriced(row, present.price(recalled(row)))
        version = row[make.AT["version"]]
        assert (generation_of(version), booked_us_of(version)) == (generation, make.START_US)


def test_a_row_can_be_moved_as_often_as_its_version_can_count(
    make: ModuleType, book: PriceBook, dear_book: PriceBook
) -> None:
    row = make.row(book, make.call(), generation=4095)
    with pytest.raises(SpanledgerError, match="4095 times"):
        repriced(row, dear_book.price(recalled(row)))
