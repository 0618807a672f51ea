"""Fixtures of the end-to-end tests: a collector as a user starts it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _load(name: str) -> ModuleType:
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"e2e_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def smoke() -> ModuleType:
    """The module that knows how to run a collector."""
    return _load("smoke")


@pytest.fixture(scope="module")
def collector(smoke: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One running collector with the defaults, for the tests of a module; each uses names of its own."""
    with smoke.Collector(
        tmp_path_factory.mktemp("serve"), SPANLEDGER_EXPORTERS__CLICKHOUSE__FLUSH_INTERVAL="500ms"
    ) as running:
        yield running


@pytest.fixture(scope="session")
def provider_url() -> Iterator[str]:
    """The base URL of a stand-in for a provider's API."""
    with _load("provider").standing_in() as url:
        yield url
