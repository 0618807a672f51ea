"""Calls that were priced and booked, a store for a module, a collector as a user starts it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import pytest

from spanledger.reprice.proof import Proofs
from spanledger.reprice.recall import AT
from spanledger_core.calls import Call
from spanledger_core.clock import SystemClock
from spanledger_core.facts import NOBODY, About, Details, Resource, SpanClass, Usage, Who
from spanledger_core.rows import CallRow, row_version
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import Store, open_store
from spanledger_processor.pricing.book import PriceBook, load_book
from spanledger_processor.pricing.rules import PriceRule
from spanledger_processor.rows import call_row

COMMAND = Path(sys.executable).with_name("spanledger")
START_US = 1_790_000_000_000_000
"""2026-09-21T14:13:20Z."""
HOUR_US = 3_600_000_000
RESOURCE = Resource("p", "shop", "test", NOBODY)


def about(refused: bool = False, is_error: bool = False) -> About:
    return About(
        SpanClass.LLM, RESOURCE, "scope", "1", "gen_ai", "scope", 1, 0, False, "chat", "openai", "", "", "", None,
        None, None, False, is_error, "", refused, None, "", "", (),
    )  # fmt: skip


def make_call(number: int = 1, *, at_us: int = START_US, agent: str = "planner", **values: Any) -> Call:
    """A chat of gpt-4o with 1000 tokens in and 100 out; every field of `Call` can be said."""
    start_ns = at_us * 1000
    made = Call(
        trace_id=number.to_bytes(16, "big"), span_id=number.to_bytes(8, "big"), parent_id=b"", start_ns=start_ns,
        end_ns=start_ns + 10**9, about=about(), who=NOBODY, agent_id=agent, agent_source="span", provider="openai",
        request_model="gpt-4o", response_model="gpt-4o-2024-08-06", service_tier="", price_context=(),
        is_streaming=False, finish_reason="stop", usage=Usage(1000, 100, convention="inclusive"), response_id=None,
        details=None, is_aggregate=False, absorbed=(), needs_lookup=False,
    )  # fmt: skip
    return made._replace(**values)


def booked_row(book: PriceBook, call: Call, booked_us: int = START_US, generation: int = 0) -> CallRow:
    return call_row(call, book.price(call), booked_us // 1000, booked_us // 1000, row_version(booked_us, generation))


@pytest.fixture(scope="session")
def make() -> ModuleType:
    """The makers above: `make.call`, `make.row`, ..."""
    module = ModuleType("make")
    module.__dict__.update(
        call=make_call, row=booked_row, about=about, START_US=START_US, HOUR_US=HOUR_US, AT=AT,
        Usage=Usage, Who=Who, Details=Details, COMMAND=COMMAND,
    )  # fmt: skip
    return module


@pytest.fixture(scope="session")
def book() -> PriceBook:
    return load_book()


@pytest.fixture(scope="session")
def dearer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A price file that makes gpt-4o and its snapshots dearer."""
    file = tmp_path_factory.mktemp("prices") / "dearer.csv"
    file.write_text("provider,model,bucket,unit_price\nopenai,gpt-4o*,input,7.5\nopenai,gpt-4o*,output,20\n")
    return file


@pytest.fixture(scope="session")
def dear_book(dearer: Path) -> PriceBook:
    return load_book([dearer])


@pytest.fixture(scope="session")
def ruled_book() -> PriceBook:
    """The shipped book with rules for the process, the provider and single models."""
    return load_book(
        rules=[
            PriceRule(service_name="shop", environment="test", model="gpt-4o", context=(("batch", "true"),)),
            PriceRule(provider="openai", context=(("service_tier", "flex"), ("region", "eu"))),
            PriceRule(model="gpt-4.1", priced_as="gpt-4o"),
            PriceRule(provider="azure", model="prod", priced_as="o3"),
            PriceRule(model="*", priced_as="gpt-4o-mini"),
        ]
    )


@pytest.fixture(scope="module")
def engine() -> Iterator[StoreAddress]:
    """The embedded engine opens one directory per process: one per module."""
    with TemporaryDirectory(prefix="spanledger-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        address = StoreAddress.parse(f"chdb://{folder}", Path(folder))
        with open_store(address, StoreSettings(), SystemClock()):
            yield address


@pytest.fixture
def store(engine: StoreAddress, request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store of this test only."""
    address = replace(engine, database=f"t{abs(hash(request.node.nodeid)):x}")
    # prices of 2024 are asked for: nothing is too old
    with open_store(address, StoreSettings(retention_days=3650), SystemClock()) as opened:
        opened.migrate()
        yield opened
        with opened.lease() as client:
            client.command("DROP DATABASE {name:Identifier} SYNC", {"name": address.database})


@pytest.fixture
def booked(store: Store, book: PriceBook) -> Callable[..., list[CallRow]]:
    """Books calls under the shipped book, with their price lines and rollups."""

    def book_calls(*calls: Call, tombstones: Any = (), booked_us: int = START_US) -> list[CallRow]:
        proofs = Proofs(store, SystemClock())
        rows = []
        for call in calls:
            proofs.note(book, call, book.price(call))
            rows.append(booked_row(book, call, booked_us))
        proofs.write()
        store.book(rows, list(tombstones), f"{len(rows)}-{booked_us}-{calls[:1]}-{len(list(tombstones))}")
        store.rebuild_rollups({row[0] // HOUR_US * 3600 for row in rows})
        return rows

    return book_calls


@pytest.fixture(scope="session")
def smoke() -> ModuleType:
    """The module that knows how to run a collector."""
    path = Path(__file__).resolve().parents[1] / "e2e" / "smoke.py"
    spec = importlib.util.spec_from_file_location("reprice_smoke", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`spanledger` in a folder of its own."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *arguments], cwd=tmp_path, env={**os.environ, **environment}, capture_output=True, text=True,
            timeout=110, check=False,
        )  # fmt: skip

    return run
