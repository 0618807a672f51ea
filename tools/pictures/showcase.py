"""The fleet that the pictures show: a month of seven agents, one of which ran away this morning."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import md5
from typing import Any, Final, NamedTuple

from spanledger_exporter.budgets import Budget
from tools.dashboards.fleet import HOUR, NOW, Call, micros, price, unknown

DAYS: Final = 35


class Agent(NamedTuple):
    """What it runs on, and how much it does."""

    name: str
    service: str
    team: str
    provider: str
    model: str
    rates: Mapping[str, int]
    """Picodollars a token, by kind."""
    calls_an_hour: float
    tokens_in: int
    tokens_out: int
    cached: float
    scope: str
    night: bool = False


def rates(into: str, out: str, read: str, write: str = "0") -> Mapping[str, int]:
    """From dollars per million tokens."""
    names = ("input", "output", "cache_read", "cache_write")
    return {name: int(Decimal(price) * 10**6) for name, price in zip(names, (into, out, read, write), strict=True)}


MINI: Final = rates("0.15", "0.60", "0.075", "0.15")
FOUR: Final = rates("2.50", "10", "1.25", "2.50")
SONNET: Final = rates("3", "15", "0.30", "3.75")
OPUS: Final = rates("15", "75", "1.50", "18.75")
FLASH: Final = rates("0.30", "2.50", "0.075", "0.30")
OPENAI: Final = "opentelemetry.instrumentation.openai_v2"
SDK: Final = "opentelemetry.instrumentation.anthropic"
AGENTS: Final = (
    Agent("support-writer", "helpdesk", "support", "openai", "gpt-4o", FOUR, 26, 2600, 420, 0.4, OPENAI),
    Agent("researcher", "insights", "research", "anthropic", "claude-sonnet-4-5", SONNET, 9, 9000, 900, 0.7, SDK),
    Agent("code-reviewer", "platform", "engineering", "anthropic", "claude-sonnet-4-5", SONNET, 7, 12000, 700, 0.55,
          SDK),
    Agent("support-triage", "helpdesk", "support", "openai", "gpt-4o-mini", MINI, 60, 1400, 120, 0.2, OPENAI),
    Agent("invoice-reader", "back-office", "finance", "gcp.gemini", "gemini-2.5-flash", FLASH, 45, 3200, 380, 0.0,
          "google_genai"),
    Agent("sales-mailer", "crm", "sales", "openai", "gpt-4o", FOUR, 6, 1800, 500, 0.0, "homemade"),
    Agent("night-summary", "back-office", "finance", "openai", "gpt-4o", FOUR, 40, 6000, 600, 0.1, OPENAI, night=True),
    Agent("translator", "crm", "sales", "gcp.gemini", "gemini-2.5-flash", FLASH, 12, 1500, 1500, 0.0, "google_genai"),
    Agent("test-writer", "platform", "engineering", "anthropic", "claude-sonnet-4-5", SONNET, 2, 7000, 2500, 0.5, SDK),
    Agent("lab-assistant", "research", "research", "acme-labs", "", MINI, 2, 800, 200, 0.0, "homemade"),
)  # fmt: skip
CUSTOMERS: Final = ("acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne", "tyrell", "")
BUDGETS: Final = (
    Budget("total", "", "month", Decimal(520)),
    Budget("agent", "support-writer", "day", Decimal(10)),
    Budget("agent", "researcher", "day", Decimal(12)),
    Budget("agent", "code-reviewer", "day", Decimal(9)),
    Budget("agent", "night-summary", "week", Decimal(14)),
    Budget("team", "engineering", "month", Decimal(260)),
    Budget("customer", "acme", "month", Decimal(150)),
    Budget("customer", "globex", "month", Decimal(240)),
    Budget("model", "gpt-4o", "month", Decimal(420)),
)


class Showcase:
    """Makes the calls, the same every time."""

    def __init__(self, seed: int = 4) -> None:
        self._random = random.Random(seed)  # noqa: S311 - made-up traffic, not a secret
        self.calls: list[Call] = []
        self._trace = 0

    def make(self) -> list[Call]:
        """All calls, oldest first by the hour."""
        for hours_ago in range(DAYS * 24, -1, -1):
            hour = NOW.replace(minute=0, second=0) - hours_ago * HOUR
            for agent in AGENTS:
                self._hour(agent, hour, runaway=agent.name == "researcher" and hours_ago < 5)
        return self.calls

    def _hour(self, agent: Agent, hour: datetime, *, runaway: bool) -> None:
        weekday = 1.0 if hour.weekday() < 5 else 0.35
        busy = (1.0 if 8 <= hour.hour < 19 else 0.18) * weekday
        if agent.night:
            busy = 1.0 if hour.hour in (2, 3) else 0.0
        span = min(3600.0, (NOW - hour).total_seconds())
        count = self._random.gauss(agent.calls_an_hour * busy, (agent.calls_an_hour * busy) ** 0.5) * span / 3600
        for number in range(max(0, round(count))):
            if number % 3 == 0:
                self._trace += 1
            self.calls.append(self._call(agent, hour + timedelta(seconds=self._random.random() * span)))
        if runaway:
            self._loop(agent, hour, span)

    def _loop(self, agent: Agent, hour: datetime, span: float) -> None:
        """One trace that calls itself again and again, on a model five times dearer."""
        self._trace += 1
        dear = agent._replace(model="claude-opus-4-1", rates=OPUS, tokens_in=16000)
        for number in range(int(70 * span / 3600)):
            self.calls.append(self._call(dear, hour + timedelta(seconds=number * 48)))

    def _call(self, agent: Agent, at: datetime) -> Call:
        chance = self._random
        scale = chance.uniform(0.5, 1.6)
        tokens = int(agent.tokens_in * scale)
        read = int(tokens * agent.cached * chance.uniform(0.6, 1.0))
        weights = (20, 12, 9, 7, 5, 4, 3, 2, 3 if agent.scope == "homemade" else 1)
        call: Call = {
            "timestamp": at, "duration_ns": int(chance.lognormvariate(1.0, 0.6) * 1e9), "agent_id": agent.name,
            "agent_source": chance.choices(("ancestor", "span", "twin"), (12, 4, 1))[0], "service_name": agent.service,
            "environment": "production", "tenant_id": "", "customer_id": chance.choices(CUSTOMERS, weights)[0],
            "team": agent.team, "workflow": f"{agent.service} flow", "operation": "chat",
            "feature": chance.choice(("search", "mail", "chat")), "step": chance.choice(("plan", "draft", "check")),
            "provider": agent.provider, "model": agent.model, "request_model": agent.model or "acme-7b-preview",
            "input_tokens": tokens, "output_tokens": int(agent.tokens_out * scale), "cache_read_tokens": read,
            "cache_write_5m_tokens": read // 6 if agent.provider == "anthropic" else 0, "cache_write_1h_tokens": 0,
            "status": "ok", "error_type": "", "price_book": "2026-11-20", "dialect": "genai",
            "scope_name": agent.scope,
            "scope_version": "2.1", "usage_convention": "inclusive", "trace": self._trace_id(),
            "rates": agent.rates,
        }  # fmt: skip
        return self._fate(agent, price(call))

    def _trace_id(self) -> str:
        return md5(str(self._trace).encode(), usedforsecurity=False).hexdigest()

    def _fate(self, agent: Agent, call: Call) -> Call:
        """Some fail, some say nothing, some come late."""
        luck = self._random.random()
        failed: dict[str, Any] = {"status": "error", "error_type": "429"}
        if not agent.model:
            return unknown(call, "unpriced_model")
        if luck < 0.012:
            return unknown({**call, **failed}, "not_billed")
        if luck < 0.016:
            return {**call, "status": "error", "error_type": "timeout"}
        if agent.scope == "homemade":
            stated = {**call, "agent_source": "resource", "reported_cost_usd": call["cost_usd"] * 11 // 10}
            return unknown(stated, "no_usage") if luck > 0.98 else stated
        if luck > 0.995:
            late = micros(call["timestamp"]) // 1000 + self._random.choice((120_000, 400_000, 1_500_000))
            return {**call, "ingested_at": late}
        return {**call, "ingested_at": micros(call["timestamp"]) // 1000 + int(self._random.uniform(3000, 9000))}
