"""Blocks: what one insert sends, in ClickHouse's Native format."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from spanledger_exporter.columns import ReadyColumn


class Block(NamedTuple):
    """Rows that are written under one token."""

    token: str
    """Written once, however often it is sent with it; empty: whatever was written before."""
    first_day: int
    """Of its rows, days since 1970."""
    rows: int
    body: bytes | bytearray | Path
    """Native format, or the file that has it."""
    epoch: int | None = None
    """Of the partition labels in it; None: of an earlier process."""

    def read(self) -> bytes | bytearray:
        """The bytes. Raises `OSError` where a file cannot be read."""
        return self.body.read_bytes() if isinstance(self.body, Path) else self.body


def native(names: Sequence[str], types: Sequence[ReadyColumn], columns: Sequence[Sequence[Any]]) -> bytearray:
    """`columns` of ready-made values as one block. Raises `DataError` if a value does not fit."""
    block = bytearray()
    _number(len(names), block)
    _number(len(columns[0]), block)
    for name, kind, column in zip(names, types, columns, strict=True):
        _text(name, block)
        _text(kind.type_name, block)
        kind.write_column(column, block)
    return block


def _number(value: int, block: bytearray) -> None:
    """As LEB128: seven bits a byte, the lowest first."""
    while value >= 0x80:
        block += struct.pack("B", value & 0x7F | 0x80)
        value >>= 7
    block += struct.pack("B", value)


def _text(text: str, block: bytearray) -> None:
    encoded = text.encode()
    _number(len(encoded), block)
    block += encoded
