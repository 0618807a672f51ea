"""Which model an id means, and which it does not."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from spanledger_core.calls import Call
from spanledger_processor.pricing import PriceBook
from spanledger_processor.pricing.base import load_base

AT = "2026-11-01T00:00:00Z"


def price_of(book: PriceBook, provider: str, model: str) -> str | None:
    """Dollars a million input tokens, asked for a thousand: no long-context tier."""
    item = {"provider": provider, "model": model, "timestamp": AT, "usage": {"input": 1000}}
    answer = book.quote(item)["cost_usd"]
    return None if answer is None else f"{(Decimal(answer) * 1000).normalize():f}"


@pytest.mark.parametrize(
    ("provider", "model", "usd"),
    [
        ("openai", "openai/gpt-4o", "2.5"),
        ("openai", "GPT-4o", "2.5"),
        ("OpenAI", "gpt-4o-2024-08-06", "2.5"),
        ("openai", "gpt-5.2-20251211", "1.75"),
        ("gcp.gemini", "models/gemini-2.5-flash", "0.3"),
        ("gemini", "gemini/gemini-2.5-flash", "0.3"),
        ("gcp.vertex_ai", "publishers/google/models/gemini-2.5-flash", "0.3"),
        ("gcp.vertex_ai", "projects/p/locations/us-east5/publishers/google/models/gemini-2.5-flash", "0.3"),
        ("gcp.vertex_ai", "google/gemini-2.5-flash", "0.3"),
        ("gcp.vertex_ai", "meta/llama-3.3-70b-instruct-maas", "0.72"),
        ("gcp.vertex_ai", "publishers/meta/models/llama-3.3-70b-instruct-maas", "0.72"),
        ("gcp.vertex_ai", "projects/p/locations/us-east4/publishers/meta/models/llama-3.3-70b-instruct-maas", "0.72"),
        ("gcp.vertex_ai", "claude-sonnet-4-5@20250929", "3"),
        ("gcp.vertex_ai", "publishers/anthropic/models/claude-opus-4-1@20250805", "15"),
        ("gcp.vertex_ai", "claude-3-5-sonnet-v2@20241022", "3"),
        ("gcp.vertex_ai", "publishers/anthropic/models/claude-3-5-sonnet-v2", "3"),
        ("gcp.vertex_ai", "gemini-1.5-flash-preview-0514", "0.075"),
        ("gcp.gemini", "gemini-3.1-pro-preview-customtools", "2"),
        ("openrouter", "google/gemini-3.1-pro-preview-customtools", "2"),
        ("gcp.gemini", "models/gemini-2.5-flash-preview-04-17-thinking", "0.15"),
        ("openai", "ft:gpt-4.1-mini-2025-04-14:acme::abc123", "0.8"),
        ("azure.ai.openai", "gpt-35-turbo-instruct", "1.5"),
        ("mistral_ai", "open-mixtral-8x22b-2404", "2"),
        ("aws.bedrock", "anthropic.claude-v2", "8"),
        ("aws.bedrock", "cohere.command-r-plus-v1:0", "3"),
        ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "3.3"),
        ("aws.bedrock", "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-4-8", "5.5"),
        ("aws.bedrock", "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0", "0.8"),
        ("aws.bedrock", "bedrock/converse/amazon.nova-pro-v1:0", "0.8"),
        ("aws.bedrock", "eu.anthropic.claude-opus-4-5-20251101-v1:0", "5.5"),
        ("aws.bedrock", "anthropic.claude-3-5-sonnet-20241022-v2:0", "3"),
        ("aws.bedrock", "global.anthropic.claude-fable-5-2-v1:0", "8"),
        ("aws.bedrock", "mistral.mistral-7b-instruct-v0:2", "0.15"),
        ("aws.bedrock", "amazon.nova-pro-v1:0:300k", "0.8"),
        ("gcp.gemini", "gemini-2.5-pro-preview-05-06", "1.25"),
        ("gcp.gemini", "gemini-2.0-flash-lite-preview-02-05", "0.075"),
        ("openai", "computer-use-preview-2025-03-11", "3"),
        ("openai", "gpt-4o-mini-audio-preview-2024-12-17", "0.15"),
        ("anthropic", "claude-sonnet-4-5-20250929[1m]", "3"),
        ("azure.ai.openai", "gpt-35-turbo", "0.5"),
        ("az.ai.inference", "DeepSeek-R1", "1.35"),
        ("x_ai", "xai/grok-4.3", "1.25"),
        ("groq", "openai/gpt-oss-120b", "0.15"),
        ("groq", "gpt-oss-120b", "0.15"),
        ("openrouter", "claude-sonnet-4.5", "3"),
        ("together", "Llama-3.3-70B-Instruct-Turbo", "0.88"),
        # no provider named: only where one house has the id
        ("", "claude-opus-4-5", "5"),
        ("langchain", "gpt-4o", "2.5"),
        ("strands-agents", "us.anthropic.claude-opus-4-8", "5.5"),
        ("litellm", "bedrock/us.anthropic.claude-opus-4-8", "5.5"),
        ("", "mistral/mistral-small-2506", "0.1"),
    ],
)
def test_spellings_that_mean_a_known_model(book: PriceBook, provider: str, model: str, usd: str) -> None:
    assert price_of(book, provider, model) == usd


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o-2099-01-01"),
        ("openai", "gpt-5.2-turbo"),
        ("openai", "acme-internal-7b"),
        ("openai", "gpt-oss-120b"),
        ("openai", "deepseek-chat"),
        ("anthropic", "claude-opus-4-5-turbo"),
        ("anthropic", "claude-opus-4-10"),
        ("anthropic", "claude-sonnet-4-55"),
        ("gcp.gemini", "gemini-2.5-pro-ultra"),
        ("gcp.gemini", "gemini-1.5-flash-16b"),
        ("gcp.gemini", "tunedModels/mine"),
        ("aws.bedrock", "us.anthropic.claude-sonnet-9-v1:0"),
        ("aws.bedrock", "amazon.nova-pro-v2:0"),
        ("aws.bedrock", "amazon.nova-pro-v1:1"),
        ("aws.bedrock", "us.meta.llama3-3-70b-instruct-v2:0"),
        ("aws.bedrock", "anthropic.claude-3-5-sonnet-20241022-v1:0"),
        ("aws.bedrock", "mistral.mistral-7b-instruct-v0:3"),
        ("anthropic", "claude-opus-4-5-preview"),
        ("anthropic", "claude-sonnet-4-5-beta-20250929"),
        ("gcp.gemini", "gemini-2.5-pro-preview-12-25"),
        ("gcp.gemini", "gemini-2.5-pro-exp-12-25"),
        ("openai", "gpt-5-nano-v1:0"),
        ("aws.bedrock", "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc123def456"),
        ("azure.ai.openai", "prod-gpt-4o"),
        ("acme-cloud", "gpt-4o"),
        ("novita", "gpt-4o"),
        ("", "llama-3.3-70b-versatile"),
        ("langchain", "my-model"),
        ("ollama", "gpt-oss:120b-cloud"),
        ("", ""),
    ],
)
def test_ids_that_are_not_known_have_no_price(book: PriceBook, provider: str, model: str) -> None:
    assert price_of(book, provider, model) is None


@pytest.mark.parametrize("suffix", ["-ultra", "-9", "-experimental", "-preview-beta", "-v9:0", "-instruct-chat"])
def test_no_known_model_prices_a_longer_name(book: PriceBook, suffix: str) -> None:
    """A fine-tuned model's id goes on with its owner's name; every other longer name is another model."""
    guessed = [
        (base.name, model.name + suffix)
        for base in load_base().values()
        for model in base.models
        if base.name != "openrouter" and not model.name.startswith("ft:")
        and price_of(book, base.name, model.name + suffix) is not None
    ]  # fmt: skip
    assert guessed == []


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", "claude-opus-4-5-20991231"),
        ("anthropic", "claude-sonnet-4-5-20251331"),
        ("gcp.vertex_ai", "claude-opus-4-5@20990101"),
        ("anthropic", "claude-sonnet-4-5-20270101"),
        ("openai", "gpt-5-nano-2027-01-01"),
        ("mistral_ai", "magistral-medium-9912"),
        ("openai", "gpt-4o-realtime-preview-2099"),
        ("azure.ai.openai", "o4-mini-2027-01-01"),
    ],
)
def test_a_snapshot_that_cannot_be_known_is_another_model(book: PriceBook, provider: str, model: str) -> None:
    """No such day, or one after the last that the list says anything about."""
    assert price_of(book, provider, model) is None


def test_a_deployment_name_in_the_answer_leaves_the_model_that_was_asked_for(
    make_call: Callable[..., Call], book: PriceBook
) -> None:
    priced = book.price(make_call("azure.ai.openai", "prod-chat", request_model="gpt-4o"))
    assert (priced.model, priced.cost) == ("gpt-4o", book.price(make_call()).cost)
