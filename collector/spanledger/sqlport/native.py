"""The two answers in format Native that the engine cannot give itself."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Final

from spanledger.sqlport.engine import Handle, whole

GO_HELLO: Final = "SELECT displayName(), version(), revision(), timezone()"
GO_REVISION: Final = 54454
"""clickhouse-go expects the long framing of its hello from this client_protocol_version on."""

_BLOCK_INFO: Final = b"\x01\x00\x02\xff\xff\xff\xff\x00"


def header(columns: Sequence[tuple[str, str]]) -> bytes:
    """A block of no rows: a server sends it for an empty result, the engine sends nothing."""
    return _varint(len(columns)) + _varint(0) + b"".join(_text(name) + _text(kind) for name, kind in columns)


def columns_of(handle: Handle, sql: str, params: Mapping[str, str], *, is_select: bool) -> list[tuple[str, str]]:
    """Names and types of the columns of `sql`, without running a SELECT."""
    if is_select:
        rows = whole(handle, f"DESCRIBE TABLE ({sql})", "JSONCompactEachRow", params).data.splitlines()
        return [(row[0], row[1]) for row in map(json.loads, rows)]
    meta = json.loads(whole(handle, sql, "JSONCompact", params).data)["meta"]
    return [(column["name"], column["type"]) for column in meta]


def go_hello(handle: Handle) -> bytes:
    """clickhouse-go's hello, in the framing of a new revision, saying that the revision is 0.

    The client decodes this one block by the revision it asked for, and everything after it by the revision it is
    told here: that of plain Native blocks, which is what the engine writes.
    """
    sql = "SELECT displayName(), version(), timezone()"
    row = json.loads(whole(handle, sql, "JSONCompactEachRow", {}).data)
    values = (
        ("displayName()", "String", _text(row[0])),
        ("version()", "String", _text(row[1])),
        ("revision()", "UInt32", struct.pack("<I", 0)),
        ("timezone()", "String", _text(row[2])),
    )
    body = b"".join(_text(name) + _text(kind) + b"\x00" + value for name, kind, value in values)
    return _BLOCK_INFO + _varint(len(values)) + _varint(1) + body


def _text(value: str) -> bytes:
    data = value.encode()
    return _varint(len(data)) + data


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
