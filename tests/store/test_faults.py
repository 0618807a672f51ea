"""The table of ClickHouse errors says what ClickHouse says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from spanledger_core.clock import SystemClock
from spanledger_core.errors import StoreRefused, StoreUnavailable
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.faults import passing_errors
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import Store, open_store


def test_every_code_has_the_name_the_engine_gives_it(store: Store) -> None:
    codes = sorted(passing_errors())
    (names,) = store.query("SELECT arrayMap(code -> errorCodeToName(code), {codes:Array(UInt32)})", {"codes": codes})[0]
    assert dict(zip(codes, names, strict=True)) == {code: passing_errors()[code].name for code in codes}


def test_a_missing_table_is_retried_and_says_the_remedy(store: Store) -> None:
    with pytest.raises(StoreUnavailable, match="run `spanledger migrate`") as caught:
        store.query("SELECT * FROM not_there")
    assert caught.value.code == 60


def test_bad_sql_is_refused(store: Store) -> None:
    with pytest.raises(StoreRefused) as caught:
        store.query("SELEC 1")
    assert caught.value.code == 62


def test_a_missing_database_is_unavailable(engine: StoreAddress) -> None:
    with open_store(replace(engine, database="nowhere"), StoreSettings(), SystemClock()) as store:
        with pytest.raises(StoreUnavailable, match="migrate") as caught:
            store.ping()
        assert caught.value.code == 81


def test_a_server_that_is_not_there_is_unavailable() -> None:
    address = StoreAddress.parse("clickhouse://me:hunter2@127.0.0.1:1/x", Path())
    with open_store(address, StoreSettings(connect_timeout_s=1), SystemClock()) as store:
        with pytest.raises(StoreUnavailable, match="cannot be reached") as caught:
            store.ping()
        assert "hunter2" not in str(caught.value)


def test_a_closed_store_is_unavailable(engine: StoreAddress) -> None:
    store = open_store(replace(engine, database="default"), StoreSettings(), SystemClock())
    store.ping()
    store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        store.ping()
