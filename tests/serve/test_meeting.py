"""What a collector that begins makes of what an earlier one left: it is completed once, and only while it may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest

from spanledger.config.load import load_config
from spanledger.serve import Service
from spanledger.spool.disk import DiskSpool, SpoolSettings
from spanledger_core.clock import SystemClock
from spanledger_core.errors import ConfigError, StoreUnavailable
from spanledger_core.facts import FactBatch
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.outbox import Outbox
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import Store, open_store
from tests.store.conftest import make_row

KEPT = StoreSettings(retention_days=20_000, rollup_retention_days=20_000, literal_days=20_000)


@pytest.fixture
def store() -> Iterator[Store]:
    with open_store(StoreAddress.parse("chdb://memory", Path()), KEPT, SystemClock()) as store:
        store.migrate()
        yield store


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[DiskSpool]:
    spool = DiskSpool(tmp_path / "spool", SpoolSettings(), SystemClock())
    yield spool
    spool.release()


def meeting(store: Store, folder: Path, may_write: Callable[[], None] = lambda: None) -> Service:
    """A collector that begins, with a batch that an earlier one left behind, and a row in its store."""
    store.book([make_row(1)], [], "b2c3")
    Outbox(folder / "outbox", store.identity).fix(7, store.prepare([make_row(2)], [], "a1b2"))
    service = Service(load_config(None, {"SPANLEDGER_DATA_DIR": str(folder)}, None), SystemClock(), Event())
    service._may_write = may_write
    return service


def test_a_batch_under_way_is_completed(store: Store, spool: DiskSpool, tmp_path: Path) -> None:
    meeting(store, tmp_path)._meet(store, spool)
    assert store.query("SELECT count() FROM calls") == [(2,)]
    assert list((tmp_path / "outbox").iterdir()) == []


def test_it_is_not_written_once_the_lease_is_lost(store: Store, spool: DiskSpool, tmp_path: Path) -> None:
    def lost() -> None:
        raise StoreUnavailable("the lease is lost")

    meeting(store, tmp_path, lost)._meet(store, spool)
    assert store.query("SELECT count() FROM calls") == [(1,)]
    assert list((tmp_path / "outbox").iterdir()) == []


def test_it_is_not_written_again_once_it_is_confirmed(store: Store, spool: DiskSpool, tmp_path: Path) -> None:
    """Killed just then, and started again after another collector on this store forgot a person."""
    for _ in range(7):
        spool.append(FactBatch(()))
    spool.confirm(7)
    meeting(store, tmp_path)._meet(store, spool)
    assert store.query("SELECT count() FROM calls") == [(1,)]


def test_an_outbox_that_cannot_be_emptied_is_named(store: Store, spool: DiskSpool, tmp_path: Path) -> None:
    service = meeting(store, tmp_path)
    (tmp_path / "outbox" / "foreign.native").mkdir()
    with pytest.raises(ConfigError, match="data_dir: cannot empty the outbox"):
        service._meet(store, spool)
