"""The contracts between the stages. A stage knows the next one only by these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from spanledger_core.facts import FactBatch
from spanledger_core.otlp import TracesRequest


class Receipt(NamedTuple):
    """The answer to a request that was taken: how much of it, and why the rest was not."""

    accepted: int
    rejected: int
    message: str
    """Empty, or what OTLP's partial success should say."""


class TraceConsumer(Protocol):
    """Takes whole requests. Returns only when the accepted part would survive (as far as the spool promises).

    Called from many threads at once; may block for the length of a group commit.
    Raises `Busy` if there is no room, `InvalidRequest` if nothing in the request can be used.
    """

    def consume(self, request: TracesRequest, tenant: str | None = None) -> Receipt:
        """Take one export request; `tenant` is what the credentials say, never what the spans claim."""


class SpoolRecord(NamedTuple):
    """One committed batch and its place in the order of commits."""

    sequence: int
    batch: FactBatch
    booked: bool = False
    """True for a record that was booked before a restart: assembly must see it again, the store must not."""


class Spool(Protocol):
    """Between acknowledging and booking: the only place where receiving and booking meet."""

    def append(self, batch: FactBatch) -> int:
        """Commit; returns the sequence once the record is as durable as this spool promises. Raises `Busy` if full."""

    def read(self, limit: int, timeout_s: float) -> Sequence[SpoolRecord]:
        """The next records in order, at most `limit`, waiting up to `timeout_s` for the first. For one reader."""

    def confirm(self, sequence: int) -> None:
        """Everything up to and including `sequence` is booked in the store."""

    def close(self) -> None:
        """Refuse further appends; `read` hands out what is left, then returns nothing."""
