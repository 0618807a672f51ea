"""What is fed to the fuzzer, and what must hold for every input: from bytes to rows, as the collector does it.

A body may be refused by name and nothing else may be raised; whatever was taken survives the spool unchanged, has no
negative quantity, and is booked.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from spanledger.booking import Ledger
from spanledger.spool.codec import Reader, encode_batch
from spanledger_core.clock import ManualClock
from spanledger_core.errors import InvalidRequest, TooLarge
from spanledger_core.facts import Usage
from spanledger_core.metrics import Metrics
from spanledger_core.rows import CALL_COLUMNS
from spanledger_processor.assembly.assembler import Assembler
from spanledger_processor.normalise.normaliser import Normaliser
from spanledger_processor.normalise.settings import NormaliserSettings
from spanledger_processor.pricing.book import load_book
from spanledger_receiver.envelope import Encoding, parse_body

MAX_BYTES = 1 << 16
_NOW_NS = 1_798_000_000_000_000_000
"""Just after the captured requests: spans of tomorrow are refused."""
_BOOK = load_book()
_METRICS = Metrics(CollectorRegistry())
_COSTS = [place for place, name in enumerate(CALL_COLUMNS) if name.endswith("_cost_usd") or name == "cost_usd"]
_MAY_BE_NEGATIVE = CALL_COLUMNS.index("cache_savings_usd")


def feed(body: bytes, encoding: Encoding) -> int:
    """Take a body the way a receiver does, and book it; how many facts it held. Raises what must never be raised."""
    clock = ManualClock(_NOW_NS)
    try:
        request, spans, refusals = parse_body(body[:MAX_BYTES], encoding)
    except (InvalidRequest, TooLarge):
        return 0
    settings = NormaliserSettings(keep_attributes=("app.*",), attributes={"customer_id": ("app.tenant",)})
    batch = Normaliser(settings, clock).batch(request)
    assert len(batch.facts) + batch.refused == spans, "every span is taken or refused"
    assert all(refusal.spans > 0 and refusal.example for refusal in (*refusals, *batch.refusals))
    assert Reader().decode(encode_batch(batch)).facts == batch.facts, "the spool gives back what it took"
    for fact in batch.facts:
        if fact.usage is not None and fact.usage.quality != "bad":
            _check(fact.usage)
    ledger = Ledger(Assembler(), _BOOK, clock, _METRICS, horizon_s=3600)
    rows, _, _ = ledger.book(batch.facts)
    assert len({(row[CALL_COLUMNS.index("trace_id")], row[CALL_COLUMNS.index("span_id")]) for row in rows}) == len(rows)
    for row in rows:
        assert all(type(row[place]) is int or row[place] is None for place in _COSTS), "money is whole"
        assert all((row[place] or 0) >= 0 for place in _COSTS if place != _MAY_BE_NEGATIVE), "no negative amounts"
    return len(batch.facts)


def _check(usage: Usage) -> None:
    total, output, *parts, units, _, _ = usage
    assert all(figure >= 0 for figure in (total or 0, output or 0, *parts)), f"a negative quantity: {usage}"
    assert all(amount > 0 for _, amount in units), f"a quantity of nothing: {usage}"
