"""Columns of ready-made values to ClickHouse's Native format.

clickhouse-connect turns amounts and times into Decimal and datetime objects and back, value by value. Rows carry
them as the integers that the store keeps (see `spanledger_core.rows`), so the writers here only pack: a column is a
handful of C-level passes, whatever its type. Layout of the types: the Native format of ClickHouse.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, chain, repeat
from operator import is_, itemgetter
from typing import Any, Final, TypeAlias

from clickhouse_connect.driver.ctypes import data_conv
from clickhouse_connect.driver.exceptions import DataError

Column: TypeAlias = Sequence[Any]
Write: TypeAlias = Callable[[Column, bytearray], None]

_WRAPPED: Final = re.compile(r"(Nullable|LowCardinality|Array|Map)\((.*)\)", re.DOTALL)
_SCALARS: Final[tuple[tuple[str, str], ...]] = (
    (r"U?Int8|Bool", "B"),
    (r"UInt16", "H"),
    (r"UInt32", "I"),
    (r"UInt64", "Q"),
    (r"Float64", "d"),
    # Decimals up to 18 digits and DateTime64 are signed 64-bit integers of their last digit's unit.
    (r"Decimal\(1[0-8], \d+\)", "q"),
    (r"DateTime64\(\d(, '\w+')?\)", "q"),
    (r"Date", "H"),
)
_DICTIONARY_VERSION: Final = struct.pack("<Q", 1)
_NEW_DICTIONARY_WITH_KEYS: Final = (1 << 9) | (1 << 10)

_FEW: Final = 4
"""Where less than one of so many is missing, they are sought instead of looking at every one."""
_FAULTS: Final = (struct.error, TypeError, ValueError, OverflowError, AttributeError)
"""What packing a value raises that does not fit its column."""


class ReadyColumn:
    """A column of an insert whose values are ready-made."""

    def __init__(self, type_name: str) -> None:
        """`type_name` is the ClickHouse type as DESCRIBE spells it."""
        self.type_name = type_name
        self._prefix, self._write = _writer(type_name)

    def write_column(self, column: Column, dest: bytearray) -> None:
        """Append `column` in Native format. Raises `DataError` if a value does not fit."""
        dest += self._prefix
        try:
            self._write(column, dest)
        except _FAULTS as fault:
            raise DataError(str(fault)) from fault


def default_of(type_name: str) -> Any:
    """The ready-made value that stands for nothing in a column of this type."""
    if type_name.startswith("Nullable"):
        return None
    if type_name.startswith("Map"):
        return {}
    if type_name.startswith("Array"):
        return ()
    return "" if "String" in type_name else 0


def _writer(type_name: str) -> tuple[bytes, Write]:
    """What comes before the data of a column of this type, and how the data is written."""
    wrapped = _WRAPPED.fullmatch(type_name)
    if wrapped is None:
        return b"", _scalar_writer(type_name)
    wrapper, inner = wrapped.groups()
    if wrapper == "LowCardinality" and inner == "String":
        return _DICTIONARY_VERSION, _write_dictionary
    if wrapper == "Nullable":
        return b"", _nullable_writer(_scalar_writer(inner))
    if wrapper == "Array":
        prefix, write = _writer(inner)
        return prefix, _array_writer(write)
    if wrapper == "Map":
        key, _, value = inner.rpartition(", ")
        key_prefix, write_keys = _writer(key)
        value_prefix, write_values = _writer(value)
        return key_prefix + value_prefix, _map_writer(write_keys, write_values)
    raise TypeError(f"no writer for columns of type {type_name}")


def _scalar_writer(type_name: str) -> Write:
    if type_name == "String":
        return _write_strings
    for pattern, code in _SCALARS:
        if re.fullmatch(pattern, type_name):
            return _number_writer(code)
    raise TypeError(f"no writer for columns of type {type_name}")


def _number_writer(code: str) -> Write:
    def write(column: Column, dest: bytearray) -> None:
        dest += struct.pack(f"<{len(column)}{code}", *column)

    return write


def _write_strings(column: Column, dest: bytearray) -> None:
    try:
        lengths = set(map(len, column))
    except TypeError:
        column = ["" if text is None else text for text in column]
        lengths = set(map(len, column))
    if len(lengths) == 1 and (length := lengths.pop()) < 128:
        # Ids, mostly: the length before each is the same byte, which is what joining puts between them.
        mark = chr(length)
        joined = mark + mark.join(column)
        if joined.isascii():
            dest += joined.encode("ascii")
            return
    if data_conv.write_str_col(column, False, "utf-8", dest):
        raise TypeError("not a string")


def _nullable_writer(write: Write) -> Write:
    def write_nullable(column: Column, dest: bytearray) -> None:
        flags, values = _flagged(column)
        dest += flags
        write(values, dest)

    return write_nullable


def _flagged(column: Column) -> tuple[bytes | bytearray, Column]:
    """A byte for each row, 1 where it is None, and the column with 0 in these places."""
    rows, missing = len(column), column.count(None)
    if missing == 0:
        return bytes(rows), column
    if missing == rows:
        return b"\1" * rows, [0] * rows
    if missing > rows // _FEW:
        return bytes(map(is_, column, repeat(None))), [value or 0 for value in column]
    flags, values, place = bytearray(rows), [*column], -1
    for _ in range(missing):
        place = values.index(None, place + 1)
        flags[place], values[place] = 1, 0
    return flags, values


def _write_dictionary(column: Column, dest: bytearray) -> None:
    """LowCardinality: the distinct values once, then for each row the place of its value among them."""
    if not column:
        return
    distinct = set(column)
    if None in distinct:
        column = ["" if text is None else text for text in column]
        distinct = set(column)
    size = len(distinct)
    width = 0 if size <= 1 << 8 else 1 if size <= 1 << 16 else 2
    dest += struct.pack("<QQ", _NEW_DICTIONARY_WITH_KEYS | width, size)
    _write_strings(list(distinct), dest)
    dest += struct.pack("<Q", len(column))
    if size == 1:
        dest += bytes(len(column))
        return
    places = dict(zip(distinct, range(size), strict=True))
    # itemgetter looks all of them up in one call, which takes two thirds of the time of mapping __getitem__.
    dest += struct.pack(f"<{len(column)}{'BHI'[width]}", *itemgetter(*column)(places))


def _array_writer(write_items: Write) -> Write:
    def write(column: Column, dest: bytearray) -> None:
        if column.count(()) == len(column):
            dest += bytes(8 * len(column))
            return
        dest += struct.pack(f"<{len(column)}Q", *accumulate(map(len, column)))
        write_items(list(chain.from_iterable(column)), dest)

    return write


def _map_writer(write_keys: Write, write_values: Write) -> Write:
    def write(column: Sequence[Mapping[str, Any]], dest: bytearray) -> None:
        if not any(column):
            dest += bytes(8 * len(column))
            return
        dest += struct.pack(f"<{len(column)}Q", *accumulate(map(len, column)))
        write_keys(list(chain.from_iterable(column)), dest)
        write_values(list(chain.from_iterable(entry.values() for entry in column)), dest)

    return write
