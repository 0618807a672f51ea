"""Properties of the arithmetic: exact, additive, independent of the order of lines."""

import random
import time
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from spanledger_core.buckets import BUCKETS
from spanledger_core.facts import Usage
from spanledger_processor.pricing import Layer, PriceBook, PriceLine, diff, explain, load_book
from spanledger_processor.pricing.book import input_size
from spanledger_processor.pricing.history import load_history
from spanledger_processor.pricing.lines import instant_ns
from spanledger_processor.pricing.rates import half_even
from spanledger_processor.pricing.usage import Contradiction, disjoint

BARE = load_history()._replace(lines=(), same=(), aliases={})
amounts = st.integers(min_value=0, max_value=3_000_000)
usages = st.dictionaries(st.sampled_from(BUCKETS), amounts, min_size=1)
prices = st.decimals(min_value=0, max_value=500, places=7, allow_nan=False)
instants = st.datetimes(datetime(2024, 1, 1), datetime(2027, 6, 1))


def line(bucket: str, price: Decimal, **more: object) -> PriceLine:
    fields: dict[str, object] = {
        "layer": Layer.OPERATOR,
        "provider": "acme",
        "model": "m",
        "bucket": bucket,
        "unit_price": price,
        "confidence": "operator",
    }
    return PriceLine(**{**fields, **more})  # type: ignore[arg-type]


def book_of(lines: list[PriceLine]) -> PriceBook:
    return PriceBook({}, history=BARE, operator=lines, version="test", fx={}, reported={})


def parts_of(book: PriceBook, usage: dict[str, int], at: datetime) -> tuple[int, tuple[int, ...]] | None:
    plan = book.plan_of("acme", "m")
    priced = book.amounts("m", plan.at(instant_ns(at, 0)).tier(input_size(usage)), usage)
    if priced.cost is None:
        return None
    parts = (
        priced.input_cost,
        priced.output_cost,
        priced.cache_read_cost,
        priced.cache_write_cost,
        priced.other_cost,
    )
    return priced.cost, tuple(part or 0 for part in parts)


@settings(max_examples=150, deadline=None)
@given(usage=usages, rates=st.dictionaries(st.sampled_from(BUCKETS), prices, min_size=1), seed=st.integers())
def test_parts_add_up_to_the_cost_and_the_order_of_lines_is_irrelevant(
    usage: dict[str, int], rates: dict[str, Decimal], seed: int
) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    lines = [line(bucket, price) for bucket, price in rates.items()]
    shuffled = random.Random(seed).sample(lines, len(lines))
    one, other = parts_of(book_of(lines), usage, at), parts_of(book_of(shuffled), usage, at)
    assert one == other
    if one is not None:
        assert one[0] == sum(one[1])


@settings(max_examples=150, deadline=None)
@given(usage=usages, price=prices, discount=st.decimals(min_value="0.01", max_value=2, places=4))
def test_a_discount_is_exact_to_the_last_digit(usage: dict[str, int], price: Decimal, discount: Decimal) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    lines = [line(bucket, price) for bucket in BUCKETS]
    net = parts_of(book_of([*lines, line("*", discount, kind="factor", layer=Layer.CONTRACT)]), usage, at)
    assert net is not None
    quantity = usage.get("output", 0) + sum(
        usage.get(bucket, 0) for bucket in ("reasoning", "output_audio", "output_image", "citation")
    )
    exact = Fraction(quantity) * Fraction(price) * Fraction(discount) * 10**6
    assert net[1][1] == half_even(exact.numerator, exact.denominator)


@given(st.integers(min_value=-(10**9), max_value=10**9), st.integers(min_value=1, max_value=10**6))
def test_rounding_is_half_even(numerator: int, denominator: int) -> None:
    exact = (Decimal(numerator) / Decimal(denominator)).quantize(Decimal(1), ROUND_HALF_EVEN)
    assert half_even(numerator, denominator) == exact


@settings(max_examples=100, deadline=None)
@given(instant=instants, start=instants, length=st.integers(min_value=1, max_value=10**7))
def test_a_line_holds_from_its_start_to_just_before_its_end(instant: datetime, start: datetime, length: int) -> None:
    instant, start = instant.replace(tzinfo=UTC), start.replace(tzinfo=UTC)
    end = start + timedelta(seconds=length)
    book = book_of([line("input", Decimal(1), effective_from=start, effective_to=end)])
    for at in (instant, start, end, end - timedelta(microseconds=1), start - timedelta(microseconds=1)):
        assert (parts_of(book, {"input": 1}, at) is not None) == (start <= at < end)


tokens = st.integers(min_value=0, max_value=10_000)


@given(st.builds(Usage, input=tokens, output=tokens, cache_read=tokens, cache_write_5m=tokens, reasoning=tokens,
                 audio_input=tokens, audio_output=tokens))  # fmt: skip
def test_disjoint_buckets_are_never_negative_and_add_up_to_the_totals(usage: Usage) -> None:
    try:
        found = disjoint(usage)
    except Contradiction:
        return
    assert all(quantity > 0 for quantity in found.values())
    assert input_size(found) == usage.input
    assert sum(found.get(bucket, 0) for bucket in ("output", "reasoning", "output_audio")) == usage.output


@given(tokens, tokens, tokens)
def test_what_exceeds_the_input_can_only_be_cached_audio(cached: int, audio: int, overlap: int) -> None:
    overlap = min(overlap, cached, audio)
    found = disjoint(Usage(input=cached + audio - overlap, output=0, cache_read=cached, audio_input=audio))
    assert found.get("cache_read_audio", 0) == overlap


def test_a_proof_adds_up_to_the_row_it_explains(book: PriceBook, make_call) -> None:
    by_id = {line.price_id: line for line in book.lines()}
    cases = [
        ("anthropic", "claude-sonnet-4-5", Usage(input=105, cache_read=50, cache_write_1h=7, output=6039, reasoning=9)),
        ("groq", "whisper-large-v3-turbo", Usage(units=(("audio_seconds", 601),))),
        ("perplexity", "sonar", Usage(input=500, output=400)),
        ("openai", "gpt-4o-mini-tts", Usage(input=77, output=1234, audio_output=1234)),
        ("ollama", "llama3.2", Usage(input=1, output=1)),
    ]
    for provider, model, usage in cases:
        priced = book.price(make_call(provider, model, usage))
        proof = explain(usage, [by_id[i] for i in priced.price_ids], same=book.same_rules(provider, model))
        assert proof.total == priced.cost, (provider, model)
        assert not proof.missing
        assert {i for term in proof.terms for i in term.price_ids} == set(priced.price_ids)


def test_a_book_does_not_differ_from_itself(book: PriceBook) -> None:
    assert diff(book.lines(), load_book().lines()) == []


def test_a_difference_names_what_was_and_what_is() -> None:
    old = [line("input", Decimal(1)), line("output", Decimal(2)), line("cache_read", Decimal(3))]
    new = [line("input", Decimal("1.5")), line("output", Decimal(2)), line("reasoning", Decimal(4))]
    told = {(each.kind, each.bucket): (each.old, each.new) for each in diff(old, new)}
    assert told == {
        ("changed", "input"): (("1 USD / 1000000",), ("1.5 USD / 1000000",)),
        ("removed", "cache_read"): (("3 USD / 1000000",), ()),
        ("added", "reasoning"): ((), ("4 USD / 1000000",)),
    }


def test_evidence_may_be_corrected_without_making_another_line() -> None:
    one = line("input", Decimal("1.0"), source="a")
    assert one.price_id == line("input", Decimal("1.00"), source="b", confidence="official").price_id
    assert one.price_id != line("input", Decimal("1.01"), source="a").price_id
    assert len(one.price_id) == 16


def test_names_from_outside_do_not_grow_the_book_without_bound(make_call, monkeypatch) -> None:
    from spanledger_processor.pricing import book as module

    monkeypatch.setattr(module, "MAX_PLANS", 50)
    small = book_of([line("input", Decimal(1))])
    for number in range(500):
        small.price(make_call("acme", f"model-{number}"))
    assert len(small._plans) <= 50


def test_a_call_of_text_tokens_takes_microseconds(book: PriceBook, make_call) -> None:
    """A coarse guard against a slip of an order of magnitude: CPU time, best of several runs, on any machine."""
    calls = [make_call(usage=Usage(input=1000 + n, output=100, cache_read=n)) for n in range(2000)]
    best = float("inf")
    for _ in range(7):
        start = time.process_time()
        for call in calls:
            book.price(call)
        best = min(best, time.process_time() - start)
    assert best / len(calls) < 10e-6
