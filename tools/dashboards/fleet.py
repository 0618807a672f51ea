"""A made-up month of calls, the same every time: tests compute with it, pictures show it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeAlias

from spanledger_core.rows import CALL_COLUMNS, CallRow
from spanledger_exporter.budgets import Budget
from spanledger_exporter.store import Store

NOW = datetime(2026, 11, 25, 13, 37, 20, tzinfo=UTC)
"""A Wednesday. Every query takes the end of its time range for now."""
HOUR = timedelta(hours=1)
DAYS = 31

# Whatever a sender puts into a name must stay a name. None is empty, because a rollup shows emptiness as (none).
AWKWARD = (
    "O'Brien's",
    'say "hi"',
    "back\\slash",
    "ends in \\",
    "x') OR 1=1 --",
    "x\\') OR 1=1 --",
    "a--b /* c */ # d",
    "a,b&c=d%41+e?f",
    "${agent:raw} $agent",
    "\N{ROBOT FACE} \N{LATIN SMALL LETTER E WITH ACUTE}\u0301",
    "nul\0byte",
    "line\nbreak\ttab",
    "(none",
    "{start}",
)
TWIN = "plain twin"
"""Has the same calls as every awkward name: what is shown for them must be the same, too."""

# Picodollars a token.
RATES = {
    "small": {"input": 150_000, "output": 600_000, "cache_read": 75_000, "cache_write": 187_500},
    "large": {"input": 3_000_000, "output": 15_000_000, "cache_read": 300_000, "cache_write": 3_750_000},
}
PLACES = {"agent_id": "agent", "model": "model", "environment": "environment", "tenant_id": "tenant",
          "customer_id": "customer", "team": "team"}  # fmt: skip
"""Column -> variable."""

Call: TypeAlias = dict[str, Any]


def price(call: Call) -> Call:
    """Cost by kind, in picodollars, as the rates of the test say."""
    rates = call.pop("rates")
    written = call["cache_write_5m_tokens"] + call["cache_write_1h_tokens"]
    fresh = call["input_tokens"] - call["cache_read_tokens"] - written
    parts = {
        "input_cost_usd": fresh * rates["input"],
        "output_cost_usd": call["output_tokens"] * rates["output"],
        "cache_read_cost_usd": call["cache_read_tokens"] * rates["cache_read"],
        "cache_write_cost_usd": written * rates["cache_write"],
        "other_cost_usd": 0,
    }
    cost = sum(parts.values())
    savings = (call["cache_read_tokens"] + written) * rates["input"] - parts["cache_read_cost_usd"]
    return {
        **call, **parts, "cost_usd": cost, "list_cost_usd": cost, "cost_status": "priced",
        "cache_savings_usd": savings - parts["cache_write_cost_usd"],
    }  # fmt: skip


def unknown(call: Call, status: str) -> Call:
    """The call without a cost."""
    costs = {name: None for name in CALL_COLUMNS if name.endswith("_cost_usd") or name == "cost_usd"}
    return {**call, **costs, "cache_savings_usd": None, "cost_status": status, "list_cost_usd": None}


class Fleet:
    """Makes calls, deterministically."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - made-up traffic, not a secret
        self.calls: list[Call] = []

    def call(self, at: datetime, **given: Any) -> Call:
        """One call at `at`, priced; random tokens unless given."""
        tokens = self._random.randrange(500, 4000)
        call: Call = {
            "timestamp": at,
            "duration_ns": self._random.randrange(500, 9000) * 1_000_000,
            "agent_source": "span",
            "service_name": "shop",
            "environment": "production",
            "tenant_id": "",
            "customer_id": self._random.choice(("acme", "globex", "")),
            "team": self._random.choice(("red", "blue")),
            "workflow": "orders",
            "feature": self._random.choice(("search", "")),
            "step": self._random.choice(("plan", "draft")),
            "provider": "openai",
            "operation": "chat",
            "model": "small",
            "input_tokens": tokens,
            "output_tokens": self._random.randrange(50, 800),
            "cache_read_tokens": tokens // 3,
            "cache_write_5m_tokens": tokens // 10,
            "cache_write_1h_tokens": 0,
            "status": "ok",
            "price_book": "2026-11-01" if at < NOW - timedelta(hours=20) else "2026-11-25",
            "dialect": "genai",
            "scope_name": "opentelemetry.instrumentation.openai",
            "scope_version": "2.0",
            "usage_convention": "inclusive",
            "agent_id": "planner",
            "error_type": "",
            **given,
            "rates": RATES[given.get("rates", "small")],
        }
        call["trace"] = given.get("trace", f"{len(self.calls) // 3}")
        return price(call)

    def add(self, call: Call) -> None:
        """Keep it."""
        self.calls.append(call)

    def month(self) -> None:
        """Thirty-one days of four agents; the researcher ran away in the last two hours on the large model."""
        for hours_ago in range(DAYS * 24, -1, -1):
            hour = NOW.replace(minute=0, second=0) - hours_ago * HOUR
            busy = 3 if 8 <= hour.hour < 20 else 1
            for agent, model, often in (("planner", "small", 2), ("researcher", "large", 1), ("writer", "small", 1)):
                runaway = 20 if agent == "researcher" and hours_ago <= 1 else 0
                for _ in range(self._random.randrange(busy * often) + 1 + runaway):
                    self.add(self._somewhen(hour, agent_id=agent, model=model, rates=model))
            if hours_ago % 5 == 0:
                self.add(unknown(self._somewhen(hour, agent_id="lab", model="", request_model="new"), "unpriced_model"))
            if hours_ago % 7 == 0:
                failed = {"status": "error", "error_type": "429"}
                self.add(unknown(self._somewhen(hour, agent_id="planner", **failed), "not_billed"))
                self.add(self._somewhen(hour, agent_id="writer", status="error", error_type="timeout"))

    def faults(self) -> None:
        """What instrumentation does: no usage, made-up usage, sampled spans, own costs, retries, late rows."""
        for hours_ago in range(1, 48, 3):
            hour = NOW.replace(minute=0, second=0) - hours_ago * HOUR
            lab = {"agent_id": "lab", "agent_source": "resource", "scope_name": "homemade", "scope_version": "0.1",
                   "dialect": "openinference", "usage_convention": "exclusive", "service_name": "lab"}  # fmt: skip
            silent = unknown(self._somewhen(hour, **lab), "no_usage")
            self.add({**silent, "input_tokens": None, "output_tokens": None})
            self.add(unknown(self._somewhen(hour, **lab), "suspect_usage"))
            self.add({**self._somewhen(hour, **lab), "sampling_probability": 0.25})
            dear = self._somewhen(hour, **lab)
            self.add({**dear, "reported_cost_usd": dear["cost_usd"] * (2 if hours_ago % 2 else 1)})
            broken = self._somewhen(hour, **lab, status="error", error_type="timeout", trace=f"retried {hours_ago}")
            self.add(broken)
            self.add({**broken, "timestamp": broken["timestamp"] + timedelta(seconds=9), "status": "ok"})
            late = self._somewhen(hour, **lab)
            self.add({**late, "ingested_at": micros(late["timestamp"]) // 1000 + 1_200_000 * (hours_ago % 4)})

    def twins(self) -> None:
        """For every column that can be picked: each awkward name has the same six calls as its plain twin."""
        for column in PLACES:
            pattern = [
                self.call(NOW - back, rates="large", trace=f"twin {column}")
                for back in (timedelta(minutes=m) for m in (2, 30, 90, 600, 1500, 14 * 1440))
            ]
            for number, name in enumerate((TWIN, *AWKWARD)):
                for each in pattern:
                    self.add({**each, column: name, "trace": f"twin {column} {number:02d}"})

    def _somewhen(self, hour: datetime, **given: Any) -> Call:
        limit = min(3600, int((NOW - hour).total_seconds()))
        at = hour + timedelta(seconds=self._random.randrange(limit), microseconds=self._random.randrange(1_000_000))
        return self.call(at, **given)


def micros(at: datetime) -> int:
    """Microseconds since 1970."""
    return int((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


def row_of(number: int, call: Call) -> CallRow:
    """A call as the store takes it."""
    start = micros(call["timestamp"])
    booked = start + call["duration_ns"] // 1000 + 2_000_000
    made: Call = dict.fromkeys(CALL_COLUMNS, "")
    made |= {name: 0 for name in CALL_COLUMNS if name.endswith("_tokens")}
    made |= dict.fromkeys(("time_to_first_token_ns", "is_streaming", "sampling_probability", "estimated_cost_usd",
                           "reported_cost_usd"))  # fmt: skip
    made |= {"units": {}, "attributes": {}, "absorbed_spans": [], "price_ids": [], "is_aggregate": False}
    made |= {"ingested_at": booked // 1000, "settles_at": booked // 1000 + 3_600_000, "version": booked}
    made |= {"trace_id": call["trace"], "span_id": f"{number:016x}", "response_id": f"r{number}"}
    made |= call | {"timestamp": start}
    return tuple(made[name] for name in CALL_COLUMNS)


BUDGETS: Final = (
    Budget("total", "", "month", Decimal(40)),
    Budget("agent", "planner", "day", Decimal(2)),
    Budget("agent", "researcher", "day", Decimal(2)),
    Budget("agent", "researcher", "day", Decimal("0.5"), NOW - timedelta(days=2)),
    Budget("agent", "writer", "week", Decimal(5)),
    Budget("agent", "retired", "day", Decimal(1)),
    Budget("agent", "retired", "day", Decimal(0), NOW - timedelta(days=1)),
    Budget("customer", "acme", "month", Decimal(8)),
    Budget("team", "red", "month", Decimal(7)),
    Budget("model", "large", "week", Decimal(3)),
    Budget("total", "", "day", Decimal(1), tenant_id=TWIN),
    *(Budget("agent", name, "day", Decimal("0.125")) for name in (TWIN, *AWKWARD)),
)


def fill(store: Store, calls: Sequence[Call], *, rollups: bool = True) -> None:
    """Book the calls and roll their hours up."""
    store.book(
        [row_of(number, call) for number, call in enumerate(calls)],
        [],
        f"{len(calls)} {calls[0]['timestamp']} {calls[-1]['agent_id']}",
    )
    if rollups:
        store.rebuild_rollups({micros(call["timestamp"]) // 3_600_000_000 * 3600 for call in calls})
