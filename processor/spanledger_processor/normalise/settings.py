"""What the operator can say about reading spans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

IDENTITIES: Final = (
    "tenant_id",
    "customer_id",
    "team",
    "user_id",
    "session_id",
    "run_id",
    "workflow",
    "step",
    "feature",
    "prompt_version",
)
"""The fields of `Who`, in its order: what `hash_identifiers` may name."""


@dataclass(frozen=True)
class NormaliserSettings:
    """How spans are read, beyond the declared dialects."""

    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Extra attribute names per identity or for `agent` (`customer_id: (app.tenant,)`); they go before all others."""
    keep_attributes: tuple[str, ...] = ()
    """Globs of attribute names that go into the attributes map of a row; content is never kept."""
    retention_days: int = 400
    """Spans that ended earlier are refused."""
    future_tolerance_s: int = 3600
    """Spans that start later than this ahead of our clock are refused."""
    agent_id_is_key: bool = False
    """Take `gen_ai.agent.id` as the agent's name; several frameworks make it afresh for every run."""
    hash_identifiers: frozenset[str] = frozenset()
    """Identities of which only a keyed digest is kept."""
    hash_key: bytes = b""
    """Secret of those digests, at most 64 bytes."""
    ruled_contexts: frozenset[str] = frozenset()
    """Price contexts that a rule may set: of these a span is right also where it says what changes no price."""
