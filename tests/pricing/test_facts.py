"""The project's own facts: every line sourced, none overlapping, no gap opened, no edit of the past unseen."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from spanledger_core.buckets import BUCKETS, TOKEN_BUCKETS
from spanledger_processor.pricing import Layer, PriceBook
from spanledger_processor.pricing.base import load_base
from spanledger_processor.pricing.digest import NAME, digest
from spanledger_processor.pricing.files import overlaps
from spanledger_processor.pricing.history import CONFIDENCE, load_history, prices_folder
from spanledger_processor.pricing.lines import is_glob
from spanledger_processor.pricing.schedule import parse

HISTORY = load_history()


def test_every_line_is_sourced_and_well_formed() -> None:
    assert len(HISTORY.lines) > 4000
    for line in HISTORY.lines:
        assert line.source, line
        assert line.confidence in CONFIDENCE, line
        assert line.layer in {Layer.GAPFILL, Layer.HISTORY}, line
        assert line.bucket in BUCKETS or (line.bucket == "*" and line.kind != "price"), line
        assert line.model == line.model.lower(), line
        assert line.from_ns < line.to_ns, line
        assert line.kind != "price" or line.unit_price < 10_000, line
        if line.schedule:
            parse(line.schedule, HISTORY.calendars)


def test_no_two_lines_say_something_about_the_same_thing_at_the_same_time() -> None:
    assert overlaps([(f"{line.layer.label} {line.source}", line) for line in HISTORY.lines]) == []


def test_prices_of_patterns_name_their_models_narrowly() -> None:
    """A pattern that prices is for dates within an id or for who owns a fine-tuned model; only factors and rules may
    match names not known today."""
    open_ended = [
        line.model for line in HISTORY.lines if line.kind == "price" and is_glob(line.model) and "*" in line.model
    ]
    allowed = {"gemini-3.5-flash-preview*"}
    fine_tuned = {model for model in open_ended if model.startswith("ft:") and model.endswith(":*")}
    assert set(open_ended) <= allowed | fine_tuned


def test_providers_of_lines_are_known() -> None:
    known = set(HISTORY.providers) | set(load_base()) | {"google", "azure", "ai21", "alibaba"}
    local = {"lm_studio", "lmstudio", "llamafile", "llama_cpp", "llamacpp", "vllm", "localai"}
    assert {line.provider for line in HISTORY.lines} <= known | local


def test_the_end_of_an_interval_opens_no_gap(book: PriceBook) -> None:
    """Where one of our prices ends, another of ours or the base layer's goes on."""
    gaps = set()
    for line in HISTORY.lines:
        if line.kind != "price" or line.effective_to is None or is_glob(line.model) or line.bucket not in TOKEN_BUCKETS:
            continue
        context = {c.key: c.value.split("|")[0] for c in line.conditions}
        after = book.find(line.provider, line.model, line.effective_to + timedelta(seconds=1), **context)
        before = book.find(line.provider, line.model, line.effective_to - timedelta(seconds=1), **context)
        if before and not after:
            gaps.add((line.provider, line.model, line.variant))
    assert gaps == set()


def test_the_fingerprint_is_of_these_facts() -> None:
    """After adding lines: python -m spanledger_processor.pricing.digest. A changed fingerprint of closed intervals in
    the diff means the past was edited: that needs a reason in the commit."""
    assert (prices_folder() / NAME).read_text() == digest()


def test_calendars_reach_into_the_future_of_their_schedules() -> None:
    assert max(HISTORY.calendars["cn"]) >= datetime(2027, 10, 3, tzinfo=UTC).date()


def test_aliases_lead_to_base_models() -> None:
    base = load_base()
    for provider, names in HISTORY.aliases.items():
        for spelling, model in names.items():
            assert base[provider].find(model), (provider, spelling)


def test_an_alias_costs_what_the_only_snapshot_of_its_time_did(book: PriceBook) -> None:
    at = datetime(2024, 11, 1, tzinfo=UTC)
    alias, snapshot = (
        {line.bucket: line.unit_price for line in book.find("openai", name, at)}
        for name in ("gpt-4o-realtime-preview", "gpt-4o-realtime-preview-2024-10-01")
    )
    assert alias == snapshot
    assert alias["output_audio"] == 200


@pytest.mark.parametrize(
    ("provider", "model", "day", "usd"),
    [
        ("anthropic", "claude-3-5-haiku-latest", "2024-12-02", ("1", "5")),
        ("anthropic", "claude-3-5-haiku-latest", "2024-12-03", ("0.8", "4")),
        ("gcp.vertex_ai", "claude-3-5-haiku@20241022", "2024-12-02", ("1", "5")),
        ("aws.bedrock", "us.anthropic.claude-3-5-haiku-20241022-v1:0", "2024-12-02", ("1", "5")),
        ("mistral_ai", "mistral-large-2402", "2024-07-01", ("4", "12")),
        ("mistral_ai", "mistral-small-latest", "2024-09-16", ("1", "3")),
        ("mistral_ai", "mistral-small-latest", "2025-01-29", ("0.2", "0.6")),
    ],
)
def test_what_models_cost_before_their_prices_were_cut(
    book: PriceBook, provider: str, model: str, day: str, usd: tuple[str, str]
) -> None:
    lines = {line.bucket: line.unit_price for line in book.find(provider, model, datetime.fromisoformat(f"{day}T23Z"))}
    assert (lines["input"], lines["output"]) == tuple(map(Decimal, usd))
