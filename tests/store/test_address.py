"""Store addresses: every form of DESIGN's, and never a password in anything a user or a log may see."""

from __future__ import annotations

from pathlib import Path

import pytest

from spanledger_core.errors import ConfigError
from spanledger_exporter.address import StoreAddress

HERE = Path("/data")


def test_the_embedded_forms() -> None:
    assert StoreAddress.parse("chdb", HERE) == StoreAddress("embedded", path=Path("/data/store"))
    assert StoreAddress.parse("chdb:///abs/dir%20x", HERE).path == Path("/abs/dir x")
    assert StoreAddress.parse("chdb://memory", HERE).path is None
    assert StoreAddress.parse("chdb:///x?database=costs", HERE).database == "costs"
    assert StoreAddress.parse("chdb", HERE).database == "spanledger"


@pytest.mark.parametrize(("dsn", "data_dir"), [("chdb", "/data?x"), ("chdb:///data%3Fx/store", "/data")])
def test_a_folder_that_the_engine_would_misread_is_refused(dsn: str, data_dir: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot keep a store in a folder with '\?' in its path: /data\?x/store"):
        StoreAddress.parse(dsn, Path(data_dir))


def test_the_server_forms() -> None:
    address = StoreAddress.parse("clickhouse://me:p%40ss%3A%2F@db.example:9999/costs", HERE)
    assert (address.user, address.password, address.host, address.port) == ("me", "p@ss:/", "db.example", 9999)
    assert (address.database, address.secure) == ("costs", False)
    plain = StoreAddress.parse("clickhouse://db", HERE)
    assert (plain.user, plain.password, plain.port, plain.database) == ("default", "", 8123, "spanledger")
    secure = StoreAddress.parse("clickhouses://[::1]/x?ca_cert=/ca.pem", HERE)
    assert (secure.secure, secure.host, secure.port, secure.options) == (True, "::1", 8443, (("ca_cert", "/ca.pem"),))


def test_the_password_is_in_no_text() -> None:
    address = StoreAddress.parse("clickhouse://me:hunter2@db/x", HERE)
    assert "hunter2" not in f"{address} {address!r}"
    assert str(address) == "clickhouse://me@db:8123/x"


@pytest.mark.parametrize(
    "dsn",
    [
        "",
        "postgres://me:hunter2@db",
        "chdb://hunter2",
        "chdb:relative/hunter2",
        "chdb:///x?mode=hunter2",
        "clickhouse://",
        "clickhouse:///hunter2",
        "clickhouse://me:hunter2@db:port/x",
        "clickhouse://me:hun#ter2@db:99999/x",
        "clickhouse://[hunter2/x",
        "clickhouse://db/x?unknown=hunter2",
    ],
)
def test_what_cannot_be_an_address_is_refused_without_quoting_it(dsn: str) -> None:
    with pytest.raises(ConfigError) as caught:
        StoreAddress.parse(dsn, HERE)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert str(caught.value).startswith("store: ")
