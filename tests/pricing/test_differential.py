"""The base layer against genai-prices' own calculator, over every model it has.

Each difference has a rule that explains it; a difference without one fails. A new release of genai-prices must pass
this before its prices are taken.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import Usage, types
from genai_prices.data import providers

from spanledger_processor.pricing import Layer, PriceBook
from spanledger_processor.pricing.base import BUCKET_OF, load_base
from spanledger_processor.pricing.book import input_size
from spanledger_processor.pricing.history import load_history
from spanledger_processor.pricing.lines import instant_ns

INSTANTS = [
    datetime(2025, 3, 10, 12, tzinfo=UTC),
    datetime(2026, 8, 20, 2, 30, tzinfo=UTC),
    datetime(2026, 11, 20, 7, 15, tzinfo=UTC),
    datetime(2027, 1, 5, tzinfo=UTC),
]
CONTEXTS: list[dict[str, str]] = [
    {},
    {"processing": "batch"},
    {"service_tier": "priority"},
    {"service_tier": "flex"},
    {"speed": "fast"},
]
TEXT = {"input": 1_234, "cache_read": 567, "cache_write_5m": 89, "cache_write_1h": 10, "output": 321, "reasoning": 45}
LONG = {**TEXT, "input": 400_001}
AUDIO = {"input": 100, "input_audio": 200, "output": 30, "output_audio": 40, "cache_read_audio": 50}


@pytest.fixture(scope="module")
def base_only() -> PriceBook:
    bare = load_history()._replace(lines=(), same=(), aliases={})
    return PriceBook(load_base(), history=bare, operator=(), version="base", fx={}, reported={})


def oracle_usage(usage: dict[str, int]) -> Usage:
    """The same usage as genai-prices counts it: parents include their children."""
    get = usage.get
    written = get("cache_write_5m", 0) + get("cache_write_1h", 0)
    return Usage(
        input_tokens=get("input", 0)
        + get("cache_read", 0)
        + written
        + get("input_audio", 0)
        + get("cache_read_audio", 0),
        cache_read_tokens=get("cache_read", 0) + get("cache_read_audio", 0),
        cache_write_tokens=written,
        cache_write_5m_tokens=get("cache_write_5m", 0),
        cache_write_1h_tokens=get("cache_write_1h", 0),
        input_audio_tokens=get("input_audio", 0) + get("cache_read_audio", 0),
        cache_audio_read_tokens=get("cache_read_audio", 0),
        output_tokens=get("output", 0) + get("reasoning", 0) + get("output_audio", 0),
        output_reasoning_tokens=get("reasoning", 0),
        output_audio_tokens=get("output_audio", 0),
    )


def cases() -> Iterator[tuple[types.Provider, types.ModelInfo, datetime, dict[str, str], dict[str, int]]]:
    for provider in providers:
        for model in provider.models:
            varied = {tuple(variant.when.items()) for variant in model.price_variants or ()}
            contexts = [context for context in CONTEXTS if not context or tuple(context.items()) in varied]
            for context in contexts:
                for at in INSTANTS if _is_dated(model) else INSTANTS[2:3]:
                    yield provider, model, at, context, TEXT
                if not _is_flat(model):
                    yield provider, model, INSTANTS[2], context, LONG
                    yield provider, model, INSTANTS[2], context, AUDIO


def _is_dated(model: types.ModelInfo) -> bool:
    return isinstance(model.prices, list) or any(variant.constraint for variant in model.price_variants or ())


def _is_flat(model: types.ModelInfo) -> bool:
    """One price of text in and text out, at any size and time: a single case says it all."""
    prices = model.prices
    return isinstance(prices, types.ModelPrice) and not (
        prices.__dict__.keys() - {"input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok"}
        or any(isinstance(value, types.TieredPrices) for value in prices.__dict__.values())
    )


def explained(model: types.ModelInfo, at: datetime, context: dict[str, str], usage: dict[str, int], ours: Any) -> str:
    """The rule that explains why we say something else; empty if none does."""
    prices = model.get_prices(at, context or None)
    named = {key for key, value in prices.__dict__.items() if value is not None}
    if not named or not any(_figures(prices)):
        return "no price or only zeros: free is said by rule, never by a missing price"
    if context and not any(_active(variant, at, context) for variant in model.price_variants or ()):
        return "batch, tier or speed before the variant starts: not known rather than the standard price"
    if ours.cost_status in {"partial", "unpriced_model"}:
        return "a bucket without a price is named, genai-prices counts it as text or not at all"
    if named - BUCKET_OF.keys():
        return "a price key without a bucket of ours"
    if "input_audio" in usage and "cache_audio_read_mtok" not in named:
        return "cached audio without a price costs what audio costs, not what cached text costs"
    if "requests_kcount" in named:
        return "a request is counted where the usage says so"
    return ""


def _figures(prices: types.ModelPrice) -> Iterator[Decimal]:
    for value in prices.__dict__.values():
        if isinstance(value, types.TieredPrices):
            yield from (value.base, *(tier.price for tier in value.tiers))
        elif value is not None:
            yield value


def _active(variant: types.PriceVariant, at: datetime, context: dict[str, str]) -> bool:
    applies = all(context.get(key) == value for key, value in variant.when.items())
    return applies and (variant.constraint is None or variant.constraint.active(at)) and any(_figures(variant.prices))


def test_every_difference_from_the_reference_calculator_has_a_rule(base_only: PriceBook) -> None:
    told: Counter[str] = Counter()
    unexplained = []
    books = load_base()
    names = dict(zip((p.id for p in providers), books, strict=True))
    for provider, model, at, context, usage in cases():
        theirs = model.calc_price(
            oracle_usage(usage), provider, genai_request_timestamp=at, price_context=context or None
        )
        ours_context = {"batch": "true"} if "processing" in context else context
        plan = base_only.plan_of(names[provider.id], model.id, tuple(ours_context.items()))
        if plan.offers and plan.offers[0].line.model != model.id.lower():
            told["another model of the provider is found by this id"] += 1
            continue
        priced = base_only.amounts(plan.model, plan.at(instant_ns(at, 0)).tier(input_size(usage)), usage)
        if priced.cost is not None and abs(priced.cost - int(theirs.total_price * 10**12)) <= 3:
            told["equal to the last digit but rounding"] += 1
        elif rule := explained(model, at, context, usage, priced):
            told[rule] += 1
        else:
            unexplained.append((provider.id, model.id, at, context, usage, theirs.total_price, priced.cost))
    print(told)
    assert unexplained == []
    assert told["equal to the last digit but rounding"] > 2_500
    assert len(told) <= 9


def test_every_model_is_found_by_the_ids_it_lists(base_only: PriceBook) -> None:
    """Equality clauses are the ids a provider's documentation lists; prefix clauses are narrower with us."""
    books = load_base()
    lost = []
    for provider, book in zip(providers, books.values(), strict=True):
        for model in provider.models:
            for name in _equal_names(model.match):
                found = book.find(name.lower())
                if found is None:
                    lost.append((provider.id, model.id, name))
    assert lost == []


def _equal_names(clause: types.MatchLogic) -> Iterator[str]:
    if isinstance(clause, types.ClauseOr):
        for part in clause.or_:
            yield from _equal_names(part)
    elif isinstance(clause, types.ClauseEquals):
        yield clause.equals


def test_where_overlays_differ_from_the_base_an_overlay_line_speaks(book: PriceBook, base_only: PriceBook) -> None:
    """With our own facts on top, an amount differs from the base layer's only where a line that is not base says so."""
    at_ns = instant_ns(INSTANTS[2], 0)
    changed = 0
    for provider in load_base().values():
        for model in provider.models:
            key = (provider.name, model.name)
            ours, base = book.plan_of(*key), base_only.plan_of(*key)
            if ours.at(at_ns).tiers[0].net.by_bucket != base.at(at_ns).tiers[0].net.by_bucket:
                changed += 1
                spoken = any(offer.line.layer > Layer.BASE for offer in ours.offers) or ours.own_fallbacks
                assert spoken, key
    assert changed > 20
