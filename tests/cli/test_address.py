"""The address that a running collector leaves."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from spanledger import address
from spanledger.address import SqlAddress


def test_it_is_readable_by_its_owner_only_and_read_back(tmp_path: Path) -> None:
    left = SqlAddress("http://127.0.0.1:8123", os.getpid(), "spanledger", "/x/store", "local", "secret")
    path = address.publish(tmp_path, left)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert address.read(tmp_path) == left
    assert [entry.name for entry in tmp_path.iterdir()] == ["sql-address.json"]


def test_a_later_collector_replaces_it_and_the_earlier_one_does_not_take_it_away(tmp_path: Path) -> None:
    address.publish(tmp_path, SqlAddress("http://a", 1, "d"))
    address.publish(tmp_path, SqlAddress("http://b", 2, "d"))
    address.withdraw(tmp_path, 1)
    assert address.read(tmp_path) == SqlAddress("http://b", 2, "d")
    address.withdraw(tmp_path, 2)
    assert address.read(tmp_path) is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '{"url": 1, "pid": 1, "database": ""}', '{"url": "", "pid": "1", "database": ""}'],
)
def test_what_is_not_an_address_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / address.FILE_NAME).write_text(text)
    assert address.read(tmp_path) is None


def test_fields_of_later_versions_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / address.FILE_NAME).write_text('{"url": "u", "pid": 7, "database": "d", "colour": "blue"}')
    assert address.read(tmp_path) == SqlAddress("u", 7, "d")


def test_who_is_alive(dead_pid: int) -> None:
    assert address.is_alive(os.getpid())
    assert not address.is_alive(dead_pid)
    assert not address.is_alive(0)
    assert not address.is_alive(-1)
