"""The price book: layers of lines, and the price of a call by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from itertools import compress
from operator import mul
from pathlib import Path
from typing import Any, Final

from spanledger_core.calls import Call, CostStatus, Priced
from spanledger_core.errors import ConfigError
from spanledger_core.facts import Usage
from spanledger_processor.pricing.base import BaseBook, base_version, load_base
from spanledger_processor.pricing.context import call_context
from spanledger_processor.pricing.files import Rules, read_files
from spanledger_processor.pricing.history import History, Same, load_history
from spanledger_processor.pricing.lines import PriceLine, glob, instant_ns
from spanledger_processor.pricing.match import LineIndex, Matcher, Subject, base_offers
from spanledger_processor.pricing.names import Providers, location
from spanledger_processor.pricing.plan import Plan, Tier
from spanledger_processor.pricing.rates import PLAIN
from spanledger_processor.pricing.rules import PriceRule, PriceRules
from spanledger_processor.pricing.usage import Contradiction, Quantities, disjoint

MAX_PLANS: Final = 20_000
"""Distinct (provider, models, context, rules) remembered; names come from outside, so there is a bound."""

MAX_COST: Final = 100_000 * 10**12
"""A single call above this is `bad_usage`."""

PlanKey = tuple[str, str, str, str, tuple[tuple[str, str], ...], int]
"""Provider, request and response model, service tier, price context; the rules of the process (see `PriceRules`)."""

_new = tuple.__new__

_NO_PRICE: Final = ("unpriced_model", "no_usage")


class PriceBook:
    """Every price line there is, and what calls cost by them. Immutable; loading another book makes another object."""

    def __init__(
        self,
        base: Mapping[str, BaseBook],
        *,
        history: History,
        operator: Sequence[PriceLine],
        version: str,
        fx: Mapping[str, Decimal],
        reported: Mapping[str, str],
        rules: Sequence[PriceRule] = (),
    ) -> None:
        self.version = version
        self.providers = Providers(history.providers, base, history.nonsense)
        self._base = base
        self._overlays = (*history.lines, *operator)
        self._index = LineIndex(self._overlays)
        self._thinking = LineIndex(line for line in self._overlays if "thinking=" in line.variant)
        self._matcher = Matcher(self.providers, base, self._index, history.aliases)
        self._same = history.same
        self._calendars = history.calendars
        self._fx = fx
        self._reported = reported
        self._rules = PriceRules(rules, self.providers.line_name) if rules else None
        self._plans: dict[PlanKey, Plan] = {}

    def lines(self) -> Iterator[PriceLine]:
        """Every line of every layer."""
        for base in self._base.values():
            for model in base.models:
                yield from model.lines
        yield from self._overlays

    def lines_behind(self, call: Call) -> Iterator[PriceLine]:
        """The lines that can make the price of a call like this one, whatever its instant and size."""
        held = self._rules.of_process(call.about.resource) if self._rules is not None else 0
        plan = self.plan(
            (call.provider, call.request_model, call.response_model, call.service_tier, call.price_context, held)
        )
        for each in (plan, plan.thinking):
            if each is not None:
                yield from (offer.line for offer in each.offers)

    def usd_rate(self, currency: str) -> Decimal:
        """US dollars for one unit of a currency that a line of this book names."""
        return Decimal(1) if currency == "USD" else self._fx[currency]

    def find(self, provider: str, model: str, at: datetime, **context: str) -> tuple[PriceLine, ...]:
        """The lines that hold for a model at an instant (smallest requests), empty where it is not known."""
        return self.plan_of(provider, model, tuple(sorted(context.items()))).lines_at(instant_ns(at, 0))

    def plan_of(self, provider: str, model: str, context: tuple[tuple[str, str], ...] = ()) -> Plan:
        """The plan of a model that is asked for beside any call: the rules that ask for no process hold."""
        return self.plan((provider, "", model, "", context, self._rules.anywhere if self._rules is not None else 0))

    def same_rules(self, provider: str, model: str) -> Mapping[str, str]:
        """Buckets a priced model bills at the price of another (bucket -> bucket), beyond the general fall-backs."""
        return self.plan((provider, "", model, "", (), 0)).own_fallbacks

    def quote(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one line of `prices quote` (usage in disjoint buckets). Raises ValueError for a bad line."""
        from spanledger_processor.pricing.quote import quote  # noqa: PLC0415 - it asks the book

        return quote(self, item)

    def price(self, call: Call) -> Priced:
        """What a call costs, at its end, with the lines that say so.

        The common case (text tokens at whole rates, no contract) is settled here; everything else by `_irregular`.
        """
        # a tuple taken apart costs a fifth of its fields asked for one by one
        (
            _, _, _, _, end_ns, about, _, _, _, provider, request_model, response_model, service_tier, price_context,
            _, _, usage, _, _, is_aggregate, _, _,
        ) = call  # fmt: skip
        held = self._rules.of_process(about.resource) if self._rules is not None else 0
        key = (provider, request_model, response_model, service_tier, price_context, held)
        plan = self._plans.get(key) or self.plan(key)
        if usage is None:
            return self._without_usage(call, plan)
        total, output, cached, written, hourly, reasoning, audio_in, audio_out, units, _, quality = usage
        slot = plan.slot
        if not slot.lo <= end_ns < slot.hi:
            slot = plan.at(_end(call))
        if total is None or output is None or units or audio_in or audio_out or quality != "ok" or plan.is_special:
            return self._irregular(call, plan, usage)
        tier = slot.tiers[0] if total < slot.next_tier else slot.tier(total)
        text, answer = total - cached - written - hourly, output - reasoning
        if text < 0 or answer < 0 or reasoning < 0 or is_aggregate or about.refused:
            return self._irregular(call, plan, usage)
        rates = tier.plain
        if rates is None:
            if tier.net.by_bucket or cached < 0 or written < 0 or hourly < 0:
                return self._irregular(call, plan, usage)
            return self._unknown(call, plan, (text, cached, written, hourly, answer, reasoning))
        input_rate, read_rate, write_rate, hourly_rate, output_rate, reasoning_rate = rates
        input_cost = text * input_rate
        output_cost = answer * output_rate + reasoning * reasoning_rate
        cost = input_cost + output_cost
        mask = (text > 0) | (answer > 0) << 4 | (reasoning > 0) << 5
        read_cost = write_cost = savings = 0
        if cached or written or hourly:
            if cached < 0 or written < 0 or hourly < 0:
                return self._irregular(call, plan, usage)
            mask |= (cached > 0) << 1 | (written > 0) << 2 | (hourly > 0) << 3
            read_cost = cached * read_rate
            write_cost = written * write_rate + hourly * hourly_rate
            cost += read_cost + write_cost
            savings = (cached + written + hourly) * input_rate - read_cost - write_cost
        if not mask or cost > MAX_COST:
            return self._irregular(call, plan, usage)
        listed = cost
        if tier.plain_list is not None:
            listed = sum(map(mul, tier.plain_list, (text, cached, written, hourly, answer, reasoning)))
        # a NamedTuple's own constructor takes four times as long
        return _new(
            Priced,
            (
                "priced", plan.model, cost, input_cost, output_cost, read_cost, write_cost, 0, listed, savings, None,
                tier.plain_ids(mask), self.version, (),
            ),
        )  # fmt: skip

    def _unknown(self, call: Call, plan: Plan, amounts: tuple[int, ...]) -> Priced:
        """A call of a model without any line; `amounts` of `PLAIN` buckets. Such models are as busy as others."""
        missing = tuple(compress(PLAIN, amounts))
        if not missing:
            return self._without_usage(call, plan)
        return self._or_reported(call, Priced("unpriced_model", "", price_book=self.version, missing=missing))

    def _without_usage(self, call: Call, plan: Plan) -> Priced:
        if call.about.refused:
            return Priced("not_billed", plan.model, price_book=self.version)
        return self._or_reported(call, Priced("no_usage", plan.model, price_book=self.version))

    def _irregular(self, call: Call, plan: Plan, usage: Usage) -> Priced:
        """Every case but the common one."""
        if plan.thinking is not None and usage.reasoning:
            plan = plan.thinking
        if call.about.refused:
            return Priced("not_billed", plan.model, price_book=self.version)
        try:
            quantities = disjoint(usage)
        except Contradiction:
            quantities = None
        if quantities is None or usage.quality == "bad":
            return Priced("bad_usage", plan.model, price_book=self.version)
        if not quantities:
            return self._without_usage(call, plan)
        size = 0 if call.is_aggregate else input_size(quantities)
        tier = plan.slot_at(_end(call)).tier(size)
        if "requests" in tier.net.by_bucket and not call.is_aggregate:
            quantities.setdefault("requests", 1)
        priced = self.amounts(plan.model, tier, quantities)
        silent = _silent(usage, tier)
        if usage.quality == "suspect":
            return Priced(
                "suspect_usage", priced.model, estimated_cost=priced.cost, price_ids=priced.price_ids,
                price_book=self.version,
            )  # fmt: skip
        if silent and priced.cost is not None:
            priced = self._incomplete(call, priced, silent)
        if is_absurd(priced) and not call.is_aggregate:
            # the lines stand on the row: where a price was absurd and not the usage, another book can make it good
            return Priced("bad_usage", priced.model, price_ids=priced.price_ids, price_book=self.version)
        return self._or_reported(call, priced)

    def _incomplete(self, call: Call, priced: Priced, silent: tuple[str, ...]) -> Priced:
        """A total the span does not state: a broken call may have been billed more than is known."""
        if call.about.is_error:
            return Priced(
                "no_usage", priced.model, estimated_cost=priced.cost, price_ids=priced.price_ids,
                price_book=self.version,
            )  # fmt: skip
        return priced._replace(cost_status="partial", missing=(*priced.missing, *silent))

    def _or_reported(self, call: Call, priced: Priced) -> Priced:
        """A cost on the span counts where the provider's precedence says so."""
        reported = call.details.reported_cost if call.details is not None else None
        if reported is None:
            return priced
        precedence = self._precedence(call.provider)
        # who knows no price writes 0 as often as nothing: as a last resort that says nothing
        is_last_resort = precedence == "fallback" and priced.cost_status in _NO_PRICE and reported > 0
        if precedence == "reported" or is_last_resort:
            model = priced.model or call.response_model or call.request_model
            return Priced(
                "reported", model, cost=reported, other_cost=reported, list_cost=priced.list_cost,
                price_book=self.version,
            )  # fmt: skip
        return priced

    def _precedence(self, provider: str) -> str:
        name = self.providers.canonical(provider) or provider
        return self._reported.get(name, self._reported.get("*", "book"))

    def amounts(self, model: str, tier: Tier, quantities: Quantities) -> Priced:
        """What disjoint quantities cost in a tier."""
        net = tier.net.amounts(quantities)
        ids = tier.ids(tuple(quantities))
        if not net.priced:
            known = bool(tier.net.by_bucket)
            return Priced("unpriced_model", model if known else "", price_book=self.version, missing=net.missing)
        cost = sum(net.parts)
        listed = cost if tier.list is tier.net else sum(tier.list.amounts(quantities).parts)
        status: CostStatus = "partial" if net.missing else "free" if tier.net.is_free else "priced"
        into, out, read, write, other = net.parts
        return Priced(
            status, model, cost, into, out, read, write, other, listed, net.savings, None,
            ids, self.version, net.missing,
        )  # fmt: skip

    def plan(self, key: PlanKey) -> Plan:
        """The compiled plan of a provider, models and context; remembered."""
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            plan = self._plans[key] = self._make_plan(key)
        return plan

    def _make_plan(self, key: PlanKey) -> Plan:
        provider, request_model, response_model, service_tier, price_context, held = key
        said = {name: value for name, value in price_context if value.strip()}
        if region := location(response_model) or location(request_model):
            said.setdefault("region", region)
        if self._rules is not None:
            names = self._matcher.provider_names(provider, request_model, response_model)
            rules = self._rules.holding(held, names, (response_model, request_model))
            for rule in rules:
                said = dict(rule.context) | said
            request_model, response_model = self._matcher.mapped(provider, request_model, response_model, rules)
        subject = self._matcher.subject(provider, request_model, response_model)
        context = call_context(service_tier, said.items())
        reasoned = {**context, "thinking": "true"}
        differs = any(self._thinking.offers(subject, reasoned))
        return self._offers_plan(subject, context, self._offers_plan(subject, reasoned, None) if differs else None)

    def _offers_plan(self, subject: Subject, context: Mapping[str, str], thinking: Plan | None) -> Plan:
        offers = (*base_offers(subject.base, context), *self._index.offers(subject, context))
        model = min(subject.names, key=len) if subject.names else ""
        own = {rule.bucket: rule.billed_as for rule in self._same if _applies(rule, subject)}
        return Plan(
            model, offers, context=context, own_fallbacks=own, fx=self._fx, calendars=self._calendars,
            thinking=thinking,
            is_special=thinking is not None or self._precedence(subject.provider.name) == "reported",
        )  # fmt: skip


def is_absurd(priced: Priced) -> bool:
    """Is this more than a single call can cost?"""
    return priced.cost is not None and priced.cost > MAX_COST


def _applies(rule: Same, subject: Subject) -> bool:
    return rule.provider in subject.provider.books and any(glob(rule.model).match(name) for name in subject.names)


def _end(call: Call) -> int:
    """The instant a call is billed at: its end."""
    return max(call.end_ns, call.start_ns)


def input_size(quantities: Mapping[str, int]) -> int:
    """The total input of a request, which decides its tier: cached, written, audio and image tokens included."""
    return sum(
        quantities.get(bucket, 0)
        for bucket in (
            "input", "cache_read", "cache_write_5m", "cache_write_1h", "input_audio", "cache_read_audio", "input_image",
        )
    )  # fmt: skip


def _silent(usage: Usage, tier: Tier) -> tuple[str, ...]:
    """Totals the span does not state although the model bills them."""
    rates = tier.net.by_bucket
    silent = []
    if usage.input is None and usage.output is not None and "input" in rates:
        silent.append("input")
    if usage.output is None and usage.input is not None and "output" in rates and rates["output"].picodollars:
        silent.append("output")
    return tuple(silent)


def load_book(
    files: Sequence[Path] = (),
    *,
    fx: Mapping[str, Decimal] | None = None,
    reported: Mapping[str, str] | None = None,
    rules: Sequence[PriceRule] = (),
) -> PriceBook:
    """The book of the installed genai-prices, our own facts, the operator's files and rules.

    `fx`: US dollars per unit of other currencies. `reported`: provider -> `book`, `fallback` or `reported`, what a
    cost on the span counts for (`*`: all others). Raises ConfigError that lists every fault of every file with its
    line number; a caller that reloads keeps the book it has.
    """
    history = load_history()
    fx = dict(fx or {})
    read = read_files(files, file_rules(history, fx))
    precedence = {**history.reported, **(reported or {})}
    faults = [
        *read.faults,
        *(f"currency {name}: the rate {rate} is not a positive number" for name, rate in fx.items() if not rate > 0),
        *(
            f"reported cost of {provider}: {value!r} is not book, fallback or reported"
            for provider, value in precedence.items()
            if value not in {"book", "fallback", "reported"}
        ),
    ]
    if faults:
        raise ConfigError(faults)
    version = _version(history, read.lines, fx, rules)
    return PriceBook(
        load_base(), history=history, operator=read.lines, version=version, fx=fx, reported=precedence, rules=rules
    )


def check_file(path: Path, fx: Mapping[str, Decimal] | None = None) -> tuple[str, ...]:
    """Every fault of an operator's price file, with file and line number; empty if it can be loaded."""
    return read_files([path], file_rules(load_history(), fx or {})).faults


def file_rules(history: History, fx: Mapping[str, Decimal]) -> Rules:
    """What an operator's file is checked against."""
    return Rules(Providers(history.providers).line_name, frozenset({"USD", *fx}), history.calendars)


def _version(
    history: History, operator: Sequence[PriceLine], fx: Mapping[str, Decimal], rules: Sequence[PriceRule]
) -> str:
    """`genai-prices-0.2.3+` and a hash of everything else: equal books have equal versions."""
    content = sha256(history.digest.encode())
    for line_id in sorted(line.price_id for line in operator):
        content.update(line_id.encode())
    content.update(repr(sorted((name, str(rate)) for name, rate in fx.items())).encode())
    if rules:
        content.update(repr([tuple(rule) for rule in rules]).encode())
    return f"genai-prices-{base_version()}+{content.hexdigest()[:12]}"
