"""Which lines speak about a call: provider, spellings of the model, variant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from spanledger_processor.pricing.base import BaseBook, BaseModel
from spanledger_processor.pricing.lines import Layer, PriceLine, glob, is_glob
from spanledger_processor.pricing.names import Provider, Providers, bare, is_bedrock_id, spellings, stem
from spanledger_processor.pricing.rates import Offer
from spanledger_processor.pricing.rules import PriceRule

_INFERRED: Final = {
    "openai": "",
    "anthropic": "",
    "google": "gemini-",
    "mistral_ai": "",
    "cohere": "",
    "deepseek": "",
    "x_ai": "",
    "perplexity": "",
    "voyageai": "",
    "moonshot_ai": "",
}
"""Houses whose own ids say who bills, and how those begin (Google sells Anthropic's too). Hosts of open models are not
among them: many serve the same id."""

_BILLED_BY: Final = {"google": "gcp.gen_ai"}


class Subject(NamedTuple):
    """What is to be priced."""

    provider: Provider
    names: tuple[str, ...]
    """Spellings of the model the price is looked up for; the span's own first."""
    operator_names: tuple[str, ...]
    """Those, and what else an operator's line may call it: request model, deployment, snapshot without its date."""
    base: BaseModel | None


class LineIndex:
    """Overlay lines by exact model, and by provider those with a glob."""

    def __init__(self, lines: Iterable[PriceLine]) -> None:
        self._exact: dict[str, list[PriceLine]] = {}
        self._globs: dict[str, list[PriceLine]] = {}
        for line in lines:
            if is_glob(line.model):
                self._globs.setdefault("*" if is_glob(line.provider) else line.provider, []).append(line)
            else:
                self._exact.setdefault(line.model, []).append(line)

    def offers(self, subject: Subject, context: Mapping[str, str]) -> Iterator[Offer]:
        """The lines that fit, ranked by provider, then by spelling of the model."""
        seen: set[int] = set()
        names = subject.operator_names
        for position, name in enumerate(names):
            for line in self._exact.get(name, ()):
                if (line.layer >= Layer.OPERATOR or name in subject.names) and id(line) not in seen:
                    seen.add(id(line))
                    yield from _offer(line, subject, context, (len(names) - position, 0))
        for line in self._patterns(subject.provider):
            allowed = names if line.layer >= Layer.OPERATOR else subject.names
            if any(glob(line.model).match(name) for name in allowed):
                yield from _offer(line, subject, context, (0, len(line.model.replace("*", ""))))

    def _patterns(self, provider: Provider) -> Iterator[PriceLine]:
        for book in (*provider.books, "*"):
            yield from self._globs.get(book, ())

    def knows(self, provider: Provider, names: Sequence[str]) -> bool:
        """Is there a price (not merely a factor) in our own facts for a model of these names?

        A pattern that withdraws prices (provisioned throughput of any deployment) speaks of no model.
        """
        exact = [line for name in names for line in self._exact.get(name, ())]
        patterns = [
            line
            for line in self._patterns(provider)
            if line.kind != "unknown" and any(glob(line.model).match(name) for name in names)
        ]
        return any(
            line.kind != "factor" and line.layer < Layer.OPERATOR and provider_rank(line, provider)
            for line in (*exact, *patterns)
        )


def _offer(line: PriceLine, subject: Subject, context: Mapping[str, str], rank: tuple[int, int]) -> Iterator[Offer]:
    provider = provider_rank(line, subject.provider)
    if provider and line.holds(context):
        yield Offer(line, (provider, *rank))


def provider_rank(line: PriceLine, provider: Provider) -> int:
    """How closely a line's provider fits: the provider itself, a family it belongs to, a glob; 0 not at all."""
    books = provider.books if line.layer < Layer.OPERATOR else provider.own
    if line.provider in books:
        return 1 + len(books) - books.index(line.provider)
    return 1 if is_glob(line.provider) and glob(line.provider).match(provider.name) else 0


class Matcher:
    """Finds what is to be priced from what a span says."""

    def __init__(
        self,
        providers: Providers,
        base: Mapping[str, BaseBook],
        index: LineIndex,
        aliases: Mapping[str, Mapping[str, str]],
    ) -> None:
        self._providers = providers
        self._base = base
        self._index = index
        self._aliases = aliases

    def subject(self, provider: str, request_model: str, response_model: str) -> Subject:
        """The response model is what was billed; the request model stands in where the book does not know it."""
        house = self._house(provider, (response_model, request_model))
        response = tuple(spellings(response_model, house, self._providers))
        request = tuple(spellings(request_model, house, self._providers))
        answered, asked = self._base_model(house, response), self._base_model(house, request)
        if answered is not None or self._index.knows(house, response):
            names, base = response, answered
        elif asked is not None or self._index.knows(house, request):
            names, base = request, asked
        else:
            names, base = response or request, None
        # a known request model that is not the one that answered was replaced by a gateway: it says nothing
        replaced = answered is not None and asked is not None and answered is not asked
        spoken = (*names, *response, *(() if replaced else request))
        return Subject(house, names, tuple(dict.fromkeys((*spoken, *map(stem, spoken)))), base)

    def provider_names(self, provider: str, request_model: str, response_model: str) -> tuple[str, ...]:
        """What an operator's rule may call who bills: as the span says it, by its own name, by its family."""
        return (provider.strip().lower(), *self._house(provider, (response_model, request_model)).own)

    def mapped(
        self, provider: str, request_model: str, response_model: str, rules: Iterable[PriceRule]
    ) -> tuple[str, str]:
        """Request and response model after the first rule that maps them; of `rules`, all hold for the call.

        A known model that answered is what was billed, and a pattern maps only what is not known: a name that the rule
        writes out is mapped all the same.
        """
        mapping = [rule for rule in rules if rule.priced_as]
        if not mapping:
            return request_model, response_model
        answered = self._knows(provider, response_model)
        is_known = answered or self._knows(provider, request_model)
        own = (response_model,) if answered else (response_model, request_model)
        for rule in mapping:
            if not is_known or any(map(rule.names, own)):
                # lines of the operator for the deployment itself still hold; those for a model it is not do not
                return "" if is_known else request_model or response_model, rule.priced_as
        return request_model, response_model

    def _knows(self, provider: str, model: str) -> bool:
        house = self._house(provider, (model,))
        names = tuple(spellings(model, house, self._providers))
        return self._base_model(house, names) is not None or self._index.knows(house, names)

    def _house(self, spelling: str, models: Sequence[str]) -> Provider:
        name = self._providers.canonical(spelling)
        if not name and self._providers.is_nonsense(spelling) and (house := self._inferred(models)):
            return house
        return self._providers.get(name or spelling.strip().lower())

    def _inferred(self, models: Sequence[str]) -> Provider | None:
        """The provider of an id that only one has; None where several might bill for it."""
        for model in filter(None, models):
            maker, rest = self._providers.prefix(model.strip().lower())
            name = bare(rest)
            if is_bedrock_id(name):
                return self._providers.get("aws.bedrock")
            if maker and self._sells(maker, name):
                return self._providers.get(maker)
            houses = [
                house for house, start in _INFERRED.items() if name.startswith(start) and self._sells(house, name)
            ]
            if not maker and len(houses) == 1:
                return self._providers.get(_BILLED_BY.get(houses[0], houses[0]))
        return None

    def _sells(self, house: str, name: str) -> bool:
        return self._base_model(self._providers.get(house), (name,)) is not None

    def _base_model(self, provider: Provider, names: Sequence[str]) -> BaseModel | None:
        for book in provider.books:
            base = self._base.get(book)
            for name in names if base is not None else ():
                found = base.find(self._aliases.get(book, {}).get(name, name)) if base is not None else None
                if found is not None and found.lines:
                    return found
        return None


def base_offers(base: BaseModel | None, context: Mapping[str, str]) -> Iterator[Offer]:
    """The base layer's lines that fit the context."""
    for line in base.lines if base is not None else ():
        if line.holds(context):
            yield Offer(line, (0, 0, 0))
