"""What beside the model changes a price: batch, tiers, regions, deployments, the clock."""

from decimal import Decimal

import pytest

from spanledger_core.facts import Usage
from spanledger_processor.pricing import PriceBook
from spanledger_processor.pricing.context import call_context


def usd(book: PriceBook, provider: str, model: str, at: str, usage: dict[str, int], **context: str) -> Decimal | None:
    item = {"provider": provider, "model": model, "timestamp": at, "context": context, "usage": usage}
    answer = book.quote(item)["cost_usd"]
    return None if answer is None else Decimal(answer)


K = {"input": 100_000}


@pytest.mark.parametrize(
    ("service_tier", "price_context", "expected"),
    [
        ("", (), {}),
        ("default", (), {}),
        ("auto", (("service_tier", "flex"),), {}),
        ("", (("service_tier", "flex"),), {"service_tier": "flex"}),
        ("Priority", (("batch", "false"),), {"service_tier": "priority"}),
        ("batch", (), {"batch": "true"}),
        ("flex", (("batch", "true"),), {"batch": "true"}),
        ("", (("region", "US-East5"), ("speed", "standard")), {"region": "us-east5"}),
        ("", (("deployment_type", "GlobalBatch"),), {"deployment_type": "globalbatch", "batch": "true"}),
    ],
)
def test_the_context_of_a_call(service_tier: str, price_context: tuple[tuple[str, str], ...], expected: object) -> None:
    assert call_context(service_tier, price_context) == expected


@pytest.mark.parametrize(
    ("provider", "model", "context"),
    [
        ("cohere", "command-r-plus", {"batch": "true"}),
        ("anthropic", "claude-sonnet-4-5", {"service_tier": "priority"}),
        ("openai", "gpt-4o", {"service_tier": "scale"}),
        ("anthropic", "claude-sonnet-5", {"speed": "fast"}),
        ("azure.ai.openai", "gpt-4o", {"deployment_type": "GlobalProvisionedManaged"}),
        ("azure.ai.openai", "gpt-35-turbo-0125", {"deployment_type": "ProvisionedManaged"}),
        ("azure.ai.inference", "deepseek-v3.1", {"deployment_type": "GlobalProvisionedManaged"}),
        ("azure.ai.inference", "deepseek-v3.1", {"batch": "true"}),
        ("azure.ai.inference", "llama-3.3-70b-instruct", {"batch": "true"}),
    ],
)
def test_a_context_whose_price_is_not_known_is_not_priced_as_standard(
    book: PriceBook, provider: str, model: str, context: dict[str, str]
) -> None:
    assert usd(book, provider, model, "2026-11-01T00:00:00Z", K, **context) is None


CONTEXT_PRICES = [
    ("openai", "gpt-4o", "2025-01-01", {"batch": "true"}, "0.125"),
    ("openai", "gpt-5.6-sol", "2026-08-01", {"service_tier": "priority"}, "1"),
    ("openai", "gpt-5.4", "2026-11-01", {"region": "eu"}, "0.275"),
    ("openai", "gpt-4o", "2026-11-01", {"region": "eu"}, "0.25"),
    ("openai", "gpt-5.4", "2026-11-01", {"region": "eu-west-1"}, "0.25"),
    ("anthropic", "claude-sonnet-4-5", "2026-11-01", {"inference_geo": "us"}, "0.3"),
    ("anthropic", "claude-opus-5", "2026-11-01", {"speed": "fast", "inference_geo": "us"}, "1.1"),
    ("anthropic", "claude-opus-4-1", "2026-11-01", {"batch": "true"}, "0.75"),
    ("gcp.vertex_ai", "claude-opus-4-5", "2026-11-01", {"region": "global"}, "0.5"),
    ("gcp.vertex_ai", "claude-opus-4-5", "2026-11-01", {"region": "europe-west1"}, "0.55"),
    ("gcp.vertex_ai", "claude-opus-4-5", "2026-11-01", {"region": "us-east5", "batch": "true"}, "0.275"),
    ("gcp.vertex_ai", "gemini-2.5-flash", "2026-11-01", {"region": "us-east5"}, "0.03"),
    ("gcp.gemini", "gemini-2.5-flash", "2026-11-01", {"service_tier": "priority"}, "0.054"),
    ("azure.ai.openai", "gpt-4o", "2026-11-01", {"deployment_type": "DataZoneStandard"}, "0.275"),
    ("azure.ai.openai", "gpt-4o", "2026-11-01", {"deployment_type": "GlobalBatch"}, "0.125"),
    ("azure.ai.openai", "gpt-4o", "2026-11-01", {"deployment_type": "DataZoneBatch"}, "0.1375"),
    ("azure.ai.openai", "gpt-5.4", "2026-11-01", {"deployment_type": "Data Zone Batch"}, "0.1375"),
    ("azure.ai.openai", "gpt-4o", "2026-11-01", {"deployment_type": "DataZoneBatch", "region": "japaneast"}, "0.15"),
    ("azure.ai.openai", "gpt-4o", "2026-11-01", {"deployment_type": "DataZoneStandard", "region": "japaneast"}, "0.3"),
    ("azure.ai.openai", "gpt-4o", "2026-11-01", {"deployment_type": "Standard", "region": "swedencentral"}, "0.3025"),
    ("azure.ai.inference", "DeepSeek-R1", "2026-11-01", {"deployment_type": "DataZoneStandard"}, "0.1485"),
    ("aws.bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", "2026-11-01", {"batch": "true"}, "0.165"),
    ("aws.bedrock", "eu.amazon.nova-lite-v1:0", "2026-11-01", {}, "0.0069"),
    ("x_ai", "grok-4.3", "2026-11-01", {"region": "us", "batch": "true"}, "0.11"),
    ("groq", "llama-3.3-70b-versatile", "2026-11-01", {"service_tier": "flex"}, "0.059"),
]
"""Provider, model, day, context, dollars for 100,000 input tokens."""


@pytest.mark.parametrize("case", CONTEXT_PRICES, ids=lambda case: f"{case[1]} {case[3]}")
def test_context_prices(book: PriceBook, case: tuple[str, str, str, dict[str, str], str]) -> None:
    provider, model, day, context, expected = case
    assert usd(book, provider, model, f"{day}T00:00:00Z", K, **context) == Decimal(expected)


@pytest.mark.parametrize(
    ("context", "expected"),
    [({}, "0.01155"), ({"region": "global"}, "0.0105"), ({"region": ""}, "0.01155")],
    ids=["by the path", "stated otherwise", "stated as nothing"],
)
def test_the_region_in_the_path_of_a_model_counts_where_nobody_states_one(
    book: PriceBook, context: dict[str, str], expected: str
) -> None:
    path = "projects/p/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-5@20250929"
    usage = {"input": 1000, "output": 500}
    assert usd(book, "gcp.vertex_ai", path, "2026-11-01T00:00:00Z", usage, **context) == Decimal(expected)


@pytest.mark.parametrize(
    ("seller", "maker", "model"),
    [
        ("azure.ai.openai", "openai", "gpt-4o"),
        ("gcp.vertex_ai", "gcp.gemini", "gemini-2.5-pro"),
        ("gcp.vertex_ai", "anthropic", "claude-opus-4-1"),
        ("azure.ai.inference", "anthropic", "claude-opus-4-1"),
    ],
)
def test_a_house_that_sells_models_of_several_makers_discounts_each_as_its_maker_does(
    book: PriceBook, seller: str, maker: str, model: str
) -> None:
    usage = {"input": 1000, "cache_read": 1000, "output": 1000}
    at = "2026-11-01T00:00:00Z"
    assert usd(book, seller, model, at, usage, batch="true") == usd(book, maker, model, at, usage, batch="true")


def test_the_preview_search_tool_and_request_fees(book: PriceBook) -> None:
    at = "2025-10-01T00:00:00Z"
    assert usd(book, "openai", "gpt-4.1", at, {"web_searches": 2}) == Decimal("0.02")
    assert usd(book, "openai", "gpt-4.1", at, {"web_searches": 2}, tool="web_search_preview") == Decimal("0.05")
    fees = [
        usd(book, "perplexity", "sonar-pro", at, {"requests": 1}, search_context_size=s) for s in ("medium", "high")
    ]
    assert fees == [Decimal("0.01"), Decimal("0.014")]
    assert usd(book, "perplexity", "sonar-pro", at, {"requests": 1}) == Decimal("0.006"), "low is the default"


def test_a_call_pays_its_request_fee_unasked(book: PriceBook, make_call) -> None:
    priced = book.price(make_call("perplexity", "sonar", Usage(input=500, output=400)))
    assert (priced.cost_status, priced.other_cost) == ("priced", 5 * 10**9)


def test_thinking_changes_the_price_where_the_list_says_so(book: PriceBook, make_call) -> None:
    def cost(reasoning: int) -> int | None:
        usage = Usage(input=1000, output=500, reasoning=reasoning)
        return book.price(make_call("gcp.gemini", "gemini-2.5-flash-preview-04-17", usage, at="2025-05-01")).cost

    assert (cost(0), cost(100)) == (150 * 10**6 + 500 * 600_000, 150 * 10**6 + 500 * 3_500_000)


@pytest.mark.parametrize(
    ("model", "at", "per_million"),
    [
        # daily window that runs past midnight
        ("deepseek-chat", "2025-03-10T16:29:59Z", "0.27"),
        ("deepseek-chat", "2025-03-10T16:30:00Z", "0.135"),
        ("deepseek-chat", "2025-03-11T00:29:59Z", "0.135"),
        ("deepseek-chat", "2025-03-11T00:30:00Z", "0.27"),
        ("deepseek-reasoner", "2025-03-10T18:00:00Z", "0.135"),
        ("deepseek-chat", "2025-02-25T18:00:00Z", "0.27"),
        # the instant of a change, not its date
        ("deepseek-chat", "2025-09-05T15:59:59Z", "0.27"),
        ("deepseek-chat", "2025-09-05T16:00:00Z", "0.56"),
        # weekdays and holidays
        ("deepseek-v4-pro", "2026-10-20T00:59:59Z", "0.66"),
        ("deepseek-v4-pro", "2026-10-20T01:00:00Z", "1.32"),
        ("deepseek-v4-pro", "2026-10-20T03:59:59Z", "1.32"),
        ("deepseek-v4-pro", "2026-10-20T04:00:00Z", "0.66"),
        ("deepseek-v4-pro", "2026-10-24T02:00:00Z", "0.66"),
        ("deepseek-v4-pro", "2026-10-05T02:00:00Z", "0.66"),
        ("deepseek-v4-pro", "2026-10-08T02:00:00Z", "1.32"),
    ],
)
def test_prices_by_the_clock(book: PriceBook, model: str, at: str, per_million: str) -> None:
    assert usd(book, "deepseek", model, at, {"input": 1_000_000}) == Decimal(per_million)


def test_a_call_is_billed_at_its_end(book: PriceBook, make_call) -> None:
    """It starts in the off-peak window and ends after it."""
    call = make_call("deepseek", "deepseek-chat", Usage(input=1000, output=0), at="2025-03-11T00:30:00")
    assert call.start_ns < call.end_ns
    assert book.price(call).cost == 1000 * 270_000


def test_calls_that_alternate_between_stretches_of_time_get_each_its_own_price(book: PriceBook, make_call) -> None:
    at = ["2026-10-20T02:00:00", "2026-10-20T05:00:00", "2026-10-20T02:00:00", "2025-06-01T02:00:00"]
    calls = [make_call("deepseek", "deepseek-v4-pro", Usage(input=1000, output=0), at=time) for time in at]
    assert [book.price(call).input_cost for call in calls] == [1_320_000_000, 660_000_000, 1_320_000_000, 1_740_000_000]


def test_a_schedule_says_what_is_wrong_with_it() -> None:
    from spanledger_processor.pricing.schedule import parse

    for text in ("always", "25:00-01:00", "Mo-Fr 01:00-02:00", "01:00-02:00 except moon"):
        with pytest.raises(ValueError, match=r"schedule|time of day|weekday"):
            parse(text, {})
