"""What `PriceBook.price` says of a call: amounts, parts, status and proof."""

import pytest

from spanledger_core.calls import Priced
from spanledger_core.facts import Usage
from spanledger_processor.pricing import PriceBook, load_book

USD = 10**12


def parts(priced: Priced) -> int:
    return sum(
        part or 0
        for part in (
            priced.input_cost,
            priced.output_cost,
            priced.cache_read_cost,
            priced.cache_write_cost,
            priced.other_cost,
        )
    )


def test_text_tokens_cost_quantity_times_rate(book: PriceBook, make_call) -> None:
    priced = book.price(make_call(usage=Usage(input=1000, output=100)))
    assert priced.cost_status == "priced"
    assert (priced.input_cost, priced.output_cost) == (2_500_000_000, 1_000_000_000)
    assert priced.cost == priced.list_cost == 3_500_000_000
    assert (priced.cache_savings, priced.model, len(priced.price_ids)) == (0, "gpt-4o", 2)
    assert priced.price_book == book.version


def test_totals_are_split_into_disjoint_buckets(book: PriceBook, make_call) -> None:
    """1,000 input of which 600 cached, 300 written for an hour; 500 output of which 400 reasoning."""
    usage = Usage(input=1000, output=500, cache_read=600, cache_write_1h=300, reasoning=400)
    priced = book.price(make_call("anthropic", "claude-sonnet-4-5-20250929", usage))
    assert priced.input_cost == 100 * 3 * 10**6
    assert priced.cache_read_cost == 600 * 3 * 10**5
    assert priced.cache_write_cost == 300 * 6 * 10**6
    assert priced.output_cost == 500 * 15 * 10**6
    assert priced.cost == parts(priced)
    assert priced.cache_savings == 900 * 3 * 10**6 - priced.cache_read_cost - priced.cache_write_cost


@pytest.mark.parametrize(
    "usage",
    [
        Usage(input=10, output=1, cache_read=20),
        Usage(input=10, output=1, reasoning=2),
        Usage(input=-1, output=1),
        Usage(input=10, output=1, cache_read=-1),
        Usage(input=10, output=1, cache_write_1h=-1, cache_read=1),
        Usage(input=10, output=1, reasoning=-1),
        Usage(input=10, output=1, audio_input=-1),
        Usage(input=10, output=1, units=(("web_searches", -1),)),
        Usage(input=10, output=10, quality="bad"),
        Usage(input=10**12, output=0),
    ],
)
def test_figures_that_cannot_be_true_are_bad_usage(book: PriceBook, make_call, usage: Usage) -> None:
    priced = book.price(make_call(usage=usage))
    assert (priced.cost_status, priced.cost) == ("bad_usage", None)


def test_a_sum_over_many_calls_may_exceed_the_limit_of_one(book: PriceBook, make_call) -> None:
    assert book.price(make_call(usage=Usage(input=10**12, output=0), is_aggregate=True)).cost_status == "priced"


def test_no_usage_is_never_zero(book: PriceBook, make_call) -> None:
    for usage in (None, Usage(), Usage(input=0, output=0)):
        priced = book.price(make_call(usage=usage))
        assert (priced.cost_status, priced.cost) == ("no_usage", None)


def test_a_refused_call_is_not_billed_even_with_usage(book: PriceBook, make_call) -> None:
    for usage in (None, Usage(input=10, output=1)):
        assert book.price(make_call(usage=usage, refused=True)).cost_status == "not_billed"


def test_an_unknown_model_has_no_cost(book: PriceBook, make_call) -> None:
    priced = book.price(make_call(model="gpt-9-ultra"))
    assert (priced.cost_status, priced.cost, priced.price_ids, priced.model) == ("unpriced_model", None, (), "")


def test_the_request_model_stands_in_for_an_unknown_response_model(book: PriceBook, make_call) -> None:
    priced = book.price(make_call(model="gpt-4o-2099-01-01", request_model="gpt-4o"))
    assert (priced.cost_status, priced.model) == ("priced", "gpt-4o")


def test_the_response_model_is_what_was_billed(book: PriceBook, make_call) -> None:
    priced = book.price(make_call(model="gpt-4o-mini-2024-07-18", request_model="gpt-4o"))
    assert priced.input_cost == 1000 * 150_000


def test_invented_usage_has_an_estimate_and_no_cost(book: PriceBook, make_call) -> None:
    priced = book.price(make_call(usage=Usage(input=1000, output=100, quality="suspect")))
    assert (priced.cost_status, priced.cost, priced.estimated_cost) == ("suspect_usage", None, 3_500_000_000)


def test_a_broken_stream_may_have_been_billed_more_than_its_known_input(book: PriceBook, make_call) -> None:
    priced = book.price(make_call(usage=Usage(input=1000), is_error=True))
    assert (priced.cost_status, priced.cost, priced.estimated_cost) == ("no_usage", None, 2_500_000_000)


def test_an_unstated_output_is_named(book: PriceBook, make_call) -> None:
    priced = book.price(make_call(usage=Usage(input=1000)))
    assert (priced.cost_status, priced.missing, priced.cost) == ("partial", ("output",), 2_500_000_000)


def test_an_embedding_has_no_output_to_state(book: PriceBook, make_call) -> None:
    priced = book.price(make_call(model="text-embedding-3-small", usage=Usage(input=1000)))
    assert (priced.cost_status, priced.cost) == ("priced", 20_000_000)


def test_audio_is_never_priced_as_text(book: PriceBook, make_call) -> None:
    priced = book.price(make_call(usage=Usage(input=1000, output=100, audio_input=400)))
    assert (priced.cost_status, priced.missing) == ("partial", ("input_audio",))
    assert priced.input_cost == 600 * 2_500_000


def test_units_without_a_bucket_are_named_not_dropped(book: PriceBook, make_call) -> None:
    priced = book.price(make_call(usage=Usage(input=1000, output=100, units=(("video_seconds", 3),))))
    assert (priced.cost_status, priced.missing) == ("partial", ("video_seconds",))


@pytest.mark.parametrize(
    ("model", "units", "missing"),
    [
        ("gpt-4o", {"images": 2}, ("images",)),
        ("gpt-4o", {"images": 2, "input_image": 400}, ()),
        ("gpt-image-1", {"images": 2}, ()),
        ("gpt-4o", {"audio_seconds": 2}, ("audio_seconds",)),
        ("gpt-4o-audio-preview", {"audio_seconds": 2}, ()),
        ("gpt-4o-transcribe", {"audio_seconds": 2}, ()),
        ("gpt-4o", {"pages": 2}, ("pages",)),
        ("gpt-4o", {"characters": 2, "requests": 1}, ()),
    ],
)
def test_a_count_misses_a_price_where_no_tokens_say_the_same(
    book: PriceBook, make_call, model: str, units: dict[str, int], missing: tuple[str, ...]
) -> None:
    priced = book.price(make_call(model=model, usage=Usage(1000, 100, units=tuple(units.items()))))
    assert (priced.cost_status, priced.missing) == ("partial" if missing else "priced", missing)
    assert priced.cost is not None


def test_reported_cost_counts_only_where_the_precedence_says_so(book: PriceBook, make_call) -> None:
    unknown = {"model": "acme/none", "reported": 7 * USD}
    assert book.price(make_call("openai", **unknown)).cost_status == "unpriced_model"
    priced = book.price(make_call("openrouter", **unknown))
    assert (priced.cost_status, priced.cost, parts(priced)) == ("reported", 7 * USD, 7 * USD)
    known = make_call("openrouter", "openai/gpt-4o", reported=7 * USD)
    assert book.price(known).cost_status == "priced"
    assert load_book(reported={"openrouter": "reported"}).price(known).cost == 7 * USD
    # a library that knows no price writes 0: no last resort
    assert book.price(make_call("openrouter", "acme/none", reported=0)).cost_status == "unpriced_model"


def test_local_models_are_free_by_rule(book: PriceBook, make_call) -> None:
    priced = book.price(make_call("ollama", "llama3.2"))
    assert (priced.cost_status, priced.cost, len(priced.price_ids)) == ("free", 0, 1)
