"""The operator's rules: what spans do not say about their prices, and which model a deployment is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanledger_core.calls import Call
from spanledger_core.facts import NOBODY, Resource, Usage
from spanledger_processor.pricing import PriceBook, PriceRule, load_book
from spanledger_processor.pricing.rules import PriceRules

MakeCall = Callable[..., Call]
BATCH = (("batch", "true"),)
PROD = PriceRule(provider="azure.ai.openai", model="prod-4o", priced_as="gpt-4o-2024-08-06")


def of(call: Call, service_name: str, environment: str = "") -> Call:
    return call._replace(about=call.about._replace(resource=Resource("p", service_name, environment, NOBODY)))


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        (PriceRule(service_name="batch-*", context=BATCH), True),
        (PriceRule(service_name="batch", context=BATCH), False),
        (PriceRule(environment="nightly", context=BATCH), True),
        (PriceRule(service_name="*", environment="prod", context=BATCH), False),
        (PriceRule(provider="openai", model="gpt-4o*", context=BATCH), True),
        (PriceRule(provider="open_ai", context=BATCH), True),
        (PriceRule(provider="azure*", context=BATCH), False),
        (PriceRule(model="GPT-4o", context=BATCH), False),
        (PriceRule(model="asked-for", context=BATCH), True),
    ],
)
def test_a_rule_holds_where_all_its_conditions_are_met(rule: PriceRule, holds: bool, make_call: MakeCall) -> None:
    call = of(make_call(model="gpt-4o", request_model="asked-for"), "batch-worker", "nightly")
    costs = {False: load_book().price(call).cost, True: load_book().price(call._replace(price_context=BATCH)).cost}
    assert load_book(rules=[rule]).price(call).cost == costs[holds] != costs[not holds]


@pytest.mark.parametrize(
    ("rule", "provider", "holds"),
    [("azure", "azure.ai.openai", True), ("azure", "openai", False), ("bedrock", "aws.bedrock", True)],
)
def test_a_rule_names_providers_as_a_price_line_does(rule: str, provider: str, holds: bool, book: PriceBook) -> None:
    ruled = load_book(rules=[PriceRule(provider=rule, priced_as="gpt-4o")])
    assert (ruled.plan_of(provider, "no-such-model").model == "gpt-4o") == holds


@pytest.mark.parametrize(
    ("tier", "said", "wanted"),
    [
        ("", {}, {"batch": "true"}),
        ("default", {}, {"batch": "true"}),
        ("", {"batch": "false"}, {}),
        ("", {"region": "us"}, {"batch": "true", "region": "us"}),
    ],
)
def test_what_a_span_says_goes_before_a_rule(
    tier: str, said: dict[str, str], wanted: dict[str, str], make_call: MakeCall, book: PriceBook
) -> None:
    ruled = load_book(rules=[PriceRule(provider="openai", context=BATCH)])
    call = make_call(model="gpt-5.4", service_tier=tier, context=said)
    assert ruled.price(call).cost == book.price(make_call(model="gpt-5.4", context=wanted)).cost


@pytest.mark.parametrize(("tier", "wanted"), [("", "flex"), ("default", ""), ("priority", "priority")])
def test_the_tier_on_the_span_goes_before_one_of_a_rule(
    tier: str, wanted: str, make_call: MakeCall, book: PriceBook
) -> None:
    ruled = load_book(rules=[PriceRule(provider="openai", context=(("service_tier", "flex"),))])
    priced = ruled.price(make_call(model="gpt-5.4", service_tier=tier))
    assert priced.cost == book.price(make_call(model="gpt-5.4", service_tier=wanted)).cost is not None


def test_of_two_rules_the_first_that_sets_a_key_wins(make_call: MakeCall, book: PriceBook) -> None:
    rules = [
        PriceRule(service_name="batch-chat", context=(("batch", "false"), ("region", "us"))),
        PriceRule(service_name="batch-*", context=(("batch", "true"), ("region", "eu"), ("speed", "standard"))),
    ]
    ruled = load_book(rules=rules)
    call = make_call(model="gpt-5.4")
    assert (
        ruled.price(of(call, "batch-chat")).cost
        == book.price(make_call(model="gpt-5.4", context={"region": "us"})).cost
    )
    wanted = {"region": "eu", "batch": "true"}
    assert ruled.price(of(call, "batch-1")).cost == book.price(make_call(model="gpt-5.4", context=wanted)).cost


@pytest.mark.parametrize(
    ("asked", "answered", "rule", "model"),
    [
        ("prod-4o", "", PROD, "gpt-4o-2024-08-06"),
        ("prod-4o", "prod-4o", PROD, "gpt-4o-2024-08-06"),
        ("", "prod-4o", PROD, "gpt-4o-2024-08-06"),
        # who answers by a known name says what was billed
        ("prod-4o", "gpt-4o-mini-2024-07-18", PROD, "gpt-4o-mini"),
        ("gpt-4o", "gpt-4o-mini-2024-07-18", PROD._replace(model="gpt-4o"), "gpt-4o-mini"),
        # a name that is written out is mapped though the book knows a model of that name, a pattern is not
        ("gpt-4o", "", PROD._replace(model="gpt-4o", priced_as="gpt-4.1"), "gpt-4.1"),
        ("gpt-4o", "gpt-4o", PROD._replace(model="gpt-4o", priced_as="gpt-4.1"), "gpt-4.1"),
        ("gpt-4o", "gpt-4o", PROD._replace(model="gpt-4*", priced_as="gpt-4.1"), "gpt-4o"),
        ("gpt-4o", "gpt-4o", PROD._replace(model="", priced_as="gpt-4.1"), "gpt-4o"),
        ("prod-1", "prod-1", PROD._replace(model="prod-*"), "gpt-4o-2024-08-06"),
        ("prod-1", "prod-1", PROD._replace(model=""), "gpt-4o-2024-08-06"),
        ("prod-1", "", PROD, ""),
        ("chat[1]", "", PROD._replace(model="chat[1]"), "gpt-4o-2024-08-06"),
    ],
)
def test_an_operator_maps_deployments_to_models(
    asked: str, answered: str, rule: PriceRule, model: str, make_call: MakeCall
) -> None:
    book = load_book()
    call = make_call("azure.ai.openai", answered, request_model=asked)
    priced = load_book(rules=[rule]).price(call)
    assert priced.model.startswith(model)
    assert bool(priced.model) == bool(model)
    assert priced.cost == (book.price(make_call("azure.ai.openai", model)).cost if model else None)


def test_a_mapped_model_tells_who_bills_where_instrumentation_does_not(make_call: MakeCall) -> None:
    ruled = load_book(rules=[PriceRule(service_name="s", model="prod", priced_as="claude-sonnet-4-5")])
    assert ruled.price(make_call("langchain", "prod")).model.startswith("claude-sonnet-4-5")


def test_lines_for_the_deployment_itself_hold_beside_the_model_it_is_mapped_to(
    make_call: MakeCall, book: PriceBook, tmp_path: Path
) -> None:
    file = tmp_path / "own.csv"
    file.write_text(
        "provider,model,bucket,unit_price\nazure.ai.openai,prod-4o,input,0\nazure.ai.openai,house,input,7\n"
    )
    ruled = load_book([file], rules=[PROD, PriceRule(model="gpt-4o", priced_as="house")])
    priced = ruled.price(make_call("azure.ai.openai", "", request_model="prod-4o"))
    assert (priced.input_cost, priced.output_cost) == (0, book.price(make_call()).output_cost)
    priced = ruled.price(make_call("azure.ai.openai", "gpt-4o"))
    assert (priced.model, priced.input_cost, priced.missing) == ("house", 7_000_000_000, ("output",))


def test_quotes_and_look_ups_follow_rules_that_ask_for_no_process(book: PriceBook) -> None:
    line = {
        "provider": "azure.ai.openai",
        "model": "prod-4o",
        "timestamp": "2026-11-01T00:00:00Z",
        "usage": {"input": 9},
    }
    ruled = load_book(rules=[PROD])
    assert ruled.quote(line) == book.quote(line | {"model": "gpt-4o-2024-08-06"}) | {"model": "gpt-4o-2024-08-06"}
    assert load_book(rules=[PROD._replace(service_name="*")]).quote(line)["cost_usd"] is None


def test_other_rules_make_another_version_and_none_make_the_same(book: PriceBook) -> None:
    one, other = load_book(rules=[PROD]), load_book(rules=[PROD._replace(priced_as="gpt-4o")])
    assert len({book.version, one.version, other.version}) == 3
    assert load_book(rules=[]).version == book.version
    assert load_book(rules=[PROD]).version == one.version


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_rules_that_do_not_hold_change_no_price(book: PriceBook, make_call: MakeCall, data: Any) -> None:
    draw = data.draw
    provider = draw(st.sampled_from(["openai", "azure.ai.openai", "langchain", ""]))
    names = st.sampled_from(["gpt-4o", "gpt-4.1-2025-04-14", "prod-4o", "o3", ""])
    context = draw(st.dictionaries(st.sampled_from(["batch", "region"]), st.sampled_from(["true", "eu", ""])))
    call = make_call(
        provider, draw(names), request_model=draw(names), context=context,
        service_tier=draw(st.sampled_from(["", "default", "flex"])),
    )  # fmt: skip
    elsewhere = [
        PriceRule(service_name="elsewhere", context=BATCH, priced_as="o3"),
        PriceRule(model="x", context=BATCH),
    ]
    assert load_cached(tuple(elsewhere)).price(call)._replace(price_book="") == book.price(call)._replace(price_book="")


_books: dict[tuple[PriceRule, ...], PriceBook] = {}


def load_cached(rules: tuple[PriceRule, ...]) -> PriceBook:
    if rules not in _books:
        _books[rules] = load_book(rules=rules)
    return _books[rules]


def test_services_do_not_multiply_plans_and_what_is_remembered_of_them_is_bounded(
    make_call: MakeCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    ruled = load_book(rules=[PriceRule(service_name="batch-*", context=BATCH)])
    call = make_call()
    for number in range(50):
        ruled.price(of(call, f"batch-{number}"))
        ruled.price(of(call, f"chat-{number}"))
    assert len(ruled._plans) == 2
    monkeypatch.setattr("spanledger_processor.pricing.rules.MAX_PROCESSES", 10)
    rules = PriceRules([PriceRule(service_name="a*", context=BATCH)], str)
    assert [rules.of_process(Resource("p", f"a{n}", "", NOBODY)) for n in range(25)] == [1] * 25
    assert len(rules._processes) <= 10


@pytest.mark.parametrize("by_rule", [False, True])
def test_cache_writes_that_last_12_hours_are_priced_by_a_context(
    by_rule: bool, make_call: MakeCall, tmp_path: Path
) -> None:
    file = tmp_path / "ttl.csv"
    file.write_text(
        "provider,model,bucket,unit_price,variant\nanthropic,claude-sonnet-4-5*,cache_write_1h,9,cache_ttl=12h\n"
    )
    ruled = load_book([file], rules=[PriceRule(service_name="long-*", context=(("cache_ttl", "12h"),))])
    usage = Usage(input=3000, output=1, cache_write_5m=1000, cache_write_1h=1000)
    call = make_call("anthropic", "claude-sonnet-4-5", usage)
    said = of(call, "long-cache") if by_rule else call._replace(price_context=(("cache_ttl", "12h"),))
    plain, longer = ruled.price(call), ruled.price(said)
    assert (plain.cache_write_cost, longer.cache_write_cost) == (9_750_000_000, 12_750_000_000)
    assert (plain.input_cost, plain.output_cost) == (longer.input_cost, longer.output_cost)
