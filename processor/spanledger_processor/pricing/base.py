"""The base layer: genai-prices, read as data.

Its calculator is not used: it takes about 190 µs a call and lets a modality without a price fall to the text price.
Each of its models becomes price lines when it is first asked for. Its matching rules are kept, but narrower
(`base_names`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import cached_property
from importlib.metadata import version
from itertools import pairwise
from re import compile as compile_regex
from typing import Final, NamedTuple

from genai_prices import types

from spanledger_processor.pricing.base_names import Listed, Test, alternatives, clause_test, spelled
from spanledger_processor.pricing.lines import Layer, PriceLine, canonical_variant

BUCKET_OF: Final[Mapping[str, tuple[str, int, str]]] = {
    "input_mtok": ("input", 1_000_000, ""),
    "cache_read_mtok": ("cache_read", 1_000_000, ""),
    "cache_write_mtok": ("cache_write_5m", 1_000_000, ""),
    "cache_write_5m_mtok": ("cache_write_5m", 1_000_000, ""),
    "cache_write_1h_mtok": ("cache_write_1h", 1_000_000, ""),
    "output_mtok": ("output", 1_000_000, ""),
    "output_reasoning_mtok": ("reasoning", 1_000_000, ""),
    "output_citation_mtok": ("citation", 1_000_000, ""),
    "input_audio_mtok": ("input_audio", 1_000_000, ""),
    "cache_audio_read_mtok": ("cache_read_audio", 1_000_000, ""),
    "output_audio_mtok": ("output_audio", 1_000_000, ""),
    "input_image_mtok": ("input_image", 1_000_000, ""),
    "output_image_mtok": ("output_image", 1_000_000, ""),
    "input_mchars": ("characters", 1_000_000, ""),
    "audio_hours": ("audio_seconds", 3600, ""),
    "input_audio_hours": ("audio_seconds", 3600, ""),
    "input_document_kpages": ("pages", 1000, ""),
    "input_annotated_document_kpages": ("pages", 1000, "page_type=annotated"),
    "rerank_searches_kcount": ("rerank_searches", 1000, ""),
    "web_searches_kcount": ("web_searches", 1000, ""),
    "storage_searches_kcount": ("file_searches", 1000, ""),
    "requests_kcount": ("requests", 1000, ""),
}
"""Price key -> our bucket, unit size, variant. Keys that are not here (video, pixels, messages) have no bucket."""

_PROVIDER_OF: Final = {"aws": "aws.bedrock", "mistral": "mistral_ai", "x-ai": "x_ai", "moonshotai": "moonshot_ai"}
"""genai-prices' provider id -> the semantic-convention value, where they differ and mean one provider."""

_CONTEXT_KEY: Final = {"processing": "batch"}
_STANDARD: Final = frozenset({"default", "auto", "standard"})


class BaseModel:
    """One model of the base layer. Its lines are made on first use."""

    def __init__(self, provider: str, source: str, info: types.ModelInfo) -> None:
        self.provider = provider
        self.name = info.id.lower()
        self._source = source
        self._info = info

    @cached_property
    def lines(self) -> tuple[PriceLine, ...]:
        """Its price lines; none where every price is missing or zero (free is said by rule, never by absence)."""
        prices = self._info.prices
        dated = [(None, prices)] if isinstance(prices, types.ModelPrice) else [(c.constraint, c.prices) for c in prices]
        cells = [("", segment) for segment in _segments(dated)]
        cells += [(when, segment) for when, group in _variants(self._info) for segment in _layered(group)]
        lines = tuple(self._lines(_merged(cells)))
        return lines if any(line.unit_price for line in lines) else ()

    def _lines(self, cells: Iterator[tuple[Cell, Span, Decimal]]) -> Iterator[PriceLine]:
        for cell, span, price in cells:
            yield PriceLine(
                layer=Layer.BASE,
                provider=self.provider,
                model=self.name,
                bucket=cell.bucket,
                unit_price=price,
                unit_size=cell.unit_size,
                variant=cell.variant,
                tier_min=cell.tier_min,
                effective_from=span[0],
                effective_to=span[1],
                schedule=cell.schedule,
                source=self._source,
                confidence="genai-prices",
            )


Span = tuple[datetime | None, datetime | None]
Constraint = types.StartDateConstraint | types.TimeOfDateConstraint | None


class Cell(NamedTuple):
    """What a price is for, but for its interval."""

    bucket: str
    unit_size: int
    variant: str
    tier_min: int
    schedule: str


class Segment(NamedTuple):
    """Prices between two instants, during a schedule."""

    start: datetime | None
    end: datetime | None
    schedule: str
    prices: types.ModelPrice


def _bounds(dated: Sequence[tuple[Constraint, types.ModelPrice]]) -> list[Span]:
    starts = sorted({_start(c) for c, _ in dated if isinstance(c, types.StartDateConstraint)})
    edges = [None, *starts, None]
    return list(pairwise(edges))


def _start(constraint: types.StartDateConstraint) -> datetime:
    return datetime.combine(constraint.start_date, time(), UTC)


def _is_active(constraint: Constraint, at: datetime | None) -> bool:
    if isinstance(constraint, types.StartDateConstraint):
        return at is not None and _start(constraint) <= at
    return True


def _schedule(constraint: Constraint) -> str:
    if isinstance(constraint, types.TimeOfDateConstraint):
        return f"{constraint.start_time:%H:%M}-{constraint.end_time:%H:%M}"
    return ""


def _segments(dated: Sequence[tuple[Constraint, types.ModelPrice]]) -> Iterator[Segment]:
    """The last active entry holds, and the first where none is active."""
    for start, end in _bounds(dated):
        active = [entry for entry in reversed(dated) if _is_active(entry[0], start)]
        for constraint, prices in [*active, dated[0]]:
            schedule = _schedule(constraint)
            yield Segment(start, end, schedule, prices)
            if not schedule:
                break


def _layered(dated: Sequence[tuple[Constraint, types.ModelPrice]]) -> Iterator[Segment]:
    """The first active entry holds, key by key; nothing holds where none is active."""
    for start, end in _bounds(dated):
        seen: set[tuple[str, str]] = set()
        for constraint, prices in dated:
            if not _is_active(constraint, start):
                continue
            schedule = _schedule(constraint)
            new = {k: v for k, v in prices.__dict__.items() if v is not None and (k, schedule) not in seen}
            seen.update((key, schedule) for key in new)
            if new:
                yield Segment(start, end, schedule, types.ModelPrice(**new))


def _variants(info: types.ModelInfo) -> Iterator[tuple[str, list[tuple[Constraint, types.ModelPrice]]]]:
    groups: dict[str, list[tuple[Constraint, types.ModelPrice]]] = {}
    for variant in info.price_variants or ():
        when = {_CONTEXT_KEY.get(key, key): value for key, value in variant.when.items()}
        if when.get("batch") == "batch":
            when["batch"] = "true"
        if when.get("service_tier") not in _STANDARD:
            key = canonical_variant("&".join(f"{k}={v}" for k, v in when.items()))
            groups.setdefault(key, []).append((variant.constraint, variant.prices))
    return iter(groups.items())


def _merged(cells: Sequence[tuple[str, Segment]]) -> Iterator[tuple[Cell, Span, Decimal]]:
    """One line where a price did not change from one segment to the next."""
    runs: dict[Cell, list[tuple[Span, Decimal]]] = {}
    for when, segment in cells:
        for cell, price in _prices(when, segment):
            run = runs.setdefault(cell, [])
            if run and run[-1][1] == price and run[-1][0][1] == segment.start and segment.start is not None:
                run[-1] = ((run[-1][0][0], segment.end), price)
            else:
                run.append(((segment.start, segment.end), price))
    for cell, run in runs.items():
        for span, price in run:
            yield cell, span, price


def _prices(when: str, segment: Segment) -> Iterator[tuple[Cell, Decimal]]:
    done: set[tuple[str, str]] = set()
    for key, value in segment.prices.__dict__.items():
        if value is None or key not in BUCKET_OF:
            continue
        bucket, unit_size, extra = BUCKET_OF[key]
        if (bucket, extra) in done:
            continue
        done.add((bucket, extra))
        variant = canonical_variant("&".join(filter(None, (when, extra))))
        tiers = [(0, value)]
        if isinstance(value, types.TieredPrices):
            tiers = [(0, value.base), *((tier.start + 1, tier.price) for tier in value.tiers)]
        for tier_min, price in tiers:
            yield Cell(bucket, unit_size, variant, tier_min, segment.schedule), _clean(price)


def _clean(price: Decimal) -> Decimal:
    """Without the float noise some imported prices carry (0.18000000000000002)."""
    exponent = price.as_tuple().exponent
    return price.quantize(Decimal("1e-10")).normalize() if isinstance(exponent, int) and exponent < -10 else price


class BaseBook:
    """The models of one genai-prices provider and how ids find them."""

    def __init__(self, provider: types.Provider) -> None:
        self.name = _PROVIDER_OF.get(provider.id, provider.id)
        source = (provider.pricing_urls or [provider.name])[0]
        self.models = [BaseModel(self.name, f"genai-prices: {source}", info) for info in provider.models]
        self._infos = provider.models

    @cached_property
    def _rules(self) -> tuple[dict[str, BaseModel], list[tuple[Test, BaseModel]]]:
        exact: dict[str, BaseModel] = {}
        tests: list[tuple[Test, BaseModel]] = []
        listed = Listed(name for info in self._infos for name in spelled(info))
        for model, info in zip(self.models, self._infos, strict=True):
            for clause in alternatives(info.match):
                if isinstance(clause, types.ClauseEquals):
                    exact.setdefault(clause.equals.lower(), model)
                else:
                    tests.append((clause_test(clause, listed), model))
        for model in self.models:
            exact.setdefault(model.name, model)
        return exact, tests

    def find(self, name: str) -> BaseModel | None:
        """The model an id (lower case) means, or None."""
        exact, tests = self._rules
        for spelling in dict.fromkeys((name, _dashed(name))):
            if model := exact.get(spelling):
                return model
            for test, candidate in tests:
                if test(spelling):
                    return candidate
        return self._makerless.get(name)

    @cached_property
    def _makerless(self) -> dict[str, BaseModel | None]:
        """Ids without their maker (`anthropic/claude-…`), where the provider has only one of that name."""
        exact, _ = self._rules
        found: dict[str, BaseModel | None] = {}
        for name, model in exact.items():
            tail = name.rpartition("/")[2]
            if tail != name:
                found[tail] = model if found.get(tail, model) is model else None
        return found


_COMPACT_DATE: Final = compile_regex(r"-(20\d\d)(\d\d)(\d\d)(?=-|:|$)")


def _dashed(name: str) -> str:
    """`gpt-5.2-20251211` as OpenAI spells it: gateways write the date without dashes."""
    return _COMPACT_DATE.sub(r"-\1-\2-\3", name)


def load_base(providers: Sequence[types.Provider] | None = None) -> dict[str, BaseBook]:
    """The base layer by provider; `providers` defaults to the data of the installed genai-prices."""
    if providers is None:
        from genai_prices.data import providers as shipped  # noqa: PLC0415 - 30,000 lines, only when needed

        providers = shipped
    return {book.name: book for book in map(BaseBook, providers)}


def base_version() -> str:
    """Version of the installed genai-prices."""
    return version("genai-prices")
