"""What the tests of damage share: a spool as a crash leaves it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from spanledger.spool.disk import DiskSpool, SpoolSettings
from spanledger_core.clock import ManualClock
from spanledger_core.facts import NOBODY, About, Fact, FactBatch, Resource, SpanClass, Usage

RESOURCE = Resource("process", "shop", "prod", NOBODY)
ABOUT = About(
    span_class=SpanClass.LLM,
    resource=RESOURCE,
    scope_name="scope",
    scope_version="1",
    dialect="semconv",
    reporter="scope",
    rank=1,
    level=0,
    helper=False,
    operation="chat",
    provider="openai",
    request_model="gpt-4o",
    response_model="gpt-4o-2024-08-06",
    model_key="gpt-4o",
    agent_name="planner",
    agent_placeholder=None,
    agent_path=None,
    agent_rule=False,
    is_error=False,
    error_type="",
    refused=False,
    is_streaming=True,
    finish_reason="stop",
    service_tier="",
    price_context=(),
)


def make_batch(number: int, facts: int = 1) -> FactBatch:
    """A batch of its own for every `number`."""
    return FactBatch(
        tuple(
            Fact(
                number.to_bytes(16, "big"),
                (number * 10_000 + each).to_bytes(8, "big"),
                b"",
                1,
                2,
                ABOUT,
                NOBODY,
                Usage(number, each),
                f"chatcmpl-{number:08d}-{each:08d}",
            )
            for each in range(1, facts + 1)
        )
    )


@pytest.fixture
def batch() -> Callable[..., FactBatch]:
    return make_batch


@pytest.fixture
def open_spool() -> Callable[..., DiskSpool]:
    def open_it(folder: Path, **settings: object) -> DiskSpool:
        return DiskSpool(folder, SpoolSettings(**settings), ManualClock())  # type: ignore[arg-type]

    return open_it


@pytest.fixture(scope="session")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 records, 20 of them confirmed and 40 checkpointed, as they lie on disk when the process is killed."""
    living = tmp_path_factory.mktemp("living")
    spool = DiskSpool(living, SpoolSettings(), ManualClock())
    for number in range(1, 41):
        spool.append(make_batch(number, facts=1 + number * 7 % 90))
    spool.confirm(20)
    spool.release()
    spool = DiskSpool(living, SpoolSettings(), ManualClock())
    for number in range(41, 61):
        spool.append(make_batch(number, facts=1 + number * 7 % 90))
    folder = tmp_path_factory.mktemp("crashed")
    for name in ("spool.db", "spool.db-wal"):
        shutil.copy(living / name, folder / name)
    spool.release()
    return folder
