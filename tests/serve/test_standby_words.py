"""What is told while a store is waited for: that it is away, or that it answers and does not take us."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from structlog.testing import capture_logs

from spanledger.standby import once_reached
from spanledger_core.clock import SystemClock
from spanledger_core.errors import StoreUnavailable


def test_a_store_that_answers_is_not_called_away() -> None:
    troubles = [StoreUnavailable("no route"), StoreUnavailable("of user ledger: wrong", 516)]
    shown: list[str] = []

    @contextmanager
    def showing(part: str, why: str) -> Iterator[None]:
        shown.append(f"{part}: {why}")
        yield

    def reach() -> str:
        if troubles:
            raise troubles.pop(0)
        return "reached"

    with capture_logs() as logs:
        assert once_reached(reach, SystemClock(), Event(), showing) == "reached"
    assert shown == [
        "store: it cannot be reached; the log says why",
        "store: it does not take us: user or password of the store address is wrong",
    ]
    assert [(each["event"], each["error"]) for each in logs] == [
        ("the store cannot be reached, waiting for it", "no route"),
        ("the store does not take us, waiting", "of user ledger: wrong"),
    ]
