"""Reading what is left of a damaged SQLite file: every record that stands whole in some page, without the trees.

SQLite itself reads from the root of a table downwards, so one damaged page hides all below it. Here each page that is
the leaf of a table is read by itself, and the checksum of a record (`spanledger.spool.codec`) decides whether it is
whole. Format of the files: https://www.sqlite.org/fileformat2.html, sections 1.3 to 1.6, 2.1 and 4.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from mmap import mmap
from typing import Final, NamedTuple, TypeAlias

PAGE_BYTES: Final = 16384
"""What the spool's pages have, where no header can be asked: a quarter of the system calls of SQLite's usual 4096."""
_MAGIC: Final = b"SQLite format 3\0"
_WAL_MAGIC: Final = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
_PAGE_SIZES: Final = frozenset(1 << power for power in range(9, 17))
_FILE_HEADER: Final = 100
_WAL_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_LEAF_OF_TABLE: Final = 0x0D
_LEAF_HEADER: Final = 8
_INTEGER_BYTES: Final = (0, 1, 2, 3, 4, 6, 8)
"""By serial type."""
_PAYLOAD_MAX: Final = 1 << 30

Value: TypeAlias = int | bytes | None
Image: TypeAlias = bytes | mmap
"""The bytes of a file."""


class Row(NamedTuple):
    """One row of any table, as it stands on a page."""

    rowid: int
    values: tuple[Value, ...]


class Frame(NamedTuple):
    """One page image in the write-ahead log."""

    page: int
    is_commit: bool
    at: int
    """Where the image begins in the file."""


def page_bytes(main: Image, wal: Image) -> int:
    """The size of pages, as far as a header still tells it."""
    said = int.from_bytes(wal[8:12]) if wal[:4] in _WAL_MAGIC else 0
    if main[:16] == _MAGIC:
        said = int.from_bytes(main[16:18])
    return said if said in _PAGE_SIZES else PAGE_BYTES


def frames(wal: Image, size: int) -> list[Frame]:
    """The page images of the log's present run, in order, damaged ones included.

    Images of earlier runs, which SQLite overwrites from the front, have other salts.
    """
    step = _FRAME_HEADER + size
    starts = range(_WAL_HEADER, len(wal) - step + 1, step)
    salts = {bytes(wal[16:24]), bytes(wal[_WAL_HEADER + 8 : _WAL_HEADER + 16])}
    return [
        Frame(int.from_bytes(wal[at : at + 4]), wal[at + 4 : at + 8] != bytes(4), at + _FRAME_HEADER)
        for at in starts
        if bytes(wal[at + 8 : at + 16]) in salts
    ]


def rows(main: Image, wal: Image) -> Iterator[Row]:
    """Every row that can be made out in a file and its log, of all tables, those of outdated pages included.

    Nothing here is certain: values may be anything, and the same row may come more than once.
    """
    pages = _Pages(main, wal)
    for page, header in pages.images():
        if len(page) > header + _LEAF_HEADER and page[header] == _LEAF_OF_TABLE:
            yield from _rows_of(page, header, pages)


class _Pages:
    """Pages by number, as the log has them last, else as they are in the file."""

    def __init__(self, main: Image, wal: Image) -> None:
        self._main = memoryview(main)
        self._wal = memoryview(wal)
        self.size = page_bytes(main, wal)
        self._frames = frames(wal, self.size)
        self._newest = {frame.page: frame.at for frame in self._frames}

    def get(self, number: int) -> memoryview:
        """One page; empty where there is none."""
        at = self._newest.get(number)
        if at is not None:
            return self._wal[at : at + self.size]
        return self._in_file(number)

    def images(self) -> Iterator[tuple[memoryview, int]]:
        """Every image of every page, oldest first, and where its own header begins."""
        for number in range(1, -(-len(self._main) // self.size) + 1):
            yield self._in_file(number), _FILE_HEADER if number == 1 else 0
        for frame in self._frames:
            yield self._wal[frame.at : frame.at + self.size], _FILE_HEADER if frame.page == 1 else 0

    def _in_file(self, number: int) -> memoryview:
        return self._main[max(0, number - 1) * self.size : number * self.size]


def _rows_of(page: memoryview, header: int, pages: _Pages) -> Iterator[Row]:
    cells = int.from_bytes(page[header + 3 : header + 5])
    for number in range(min(cells, pages.size // 2)):
        place = header + _LEAF_HEADER + 2 * number
        try:
            row = _row(page, int.from_bytes(page[place : place + 2]), pages)
        except (IndexError, ValueError):
            continue  # no row: the page, or what it points to, is damaged
        yield row


def _row(page: memoryview, at: int, pages: _Pages) -> Row:
    size, at = _varint(page, at)
    rowid, at = _varint(page, at)
    payload = _payload(page, at, size, pages)
    header_end, at = _varint(payload, 0)
    if header_end > len(payload):
        raise ValueError("no row")
    values: list[Value] = []
    value_at = header_end
    while at < header_end:
        serial, at = _varint(payload, at)
        value, value_at = _value(payload, value_at, serial)
        values.append(value)
    return Row(rowid, tuple(values))


def _payload(page: memoryview, at: int, size: int, pages: _Pages) -> memoryview:
    """The payload of a cell, followed over its overflow pages."""
    if size > _PAYLOAD_MAX:
        raise ValueError("no row")
    here = _local_bytes(size, pages.size)
    parts = [page[at : at + here]]
    missing = size - here
    following = int.from_bytes(page[at + here : at + here + 4]) if missing else 0
    while missing > 0:
        overflow = pages.get(following)
        parts.append(overflow[4 : 4 + min(missing, pages.size - 4)])
        if not parts[-1]:
            raise ValueError("the rest is missing")
        missing -= len(parts[-1])
        following = int.from_bytes(overflow[:4])
    return parts[0] if len(parts) == 1 else memoryview(b"".join(parts))


def _local_bytes(size: int, page: int) -> int:
    """How much of a payload stands in the leaf itself."""
    most = page - 35
    if size <= most:
        return size
    least = (page - 12) * 32 // 255 - 23
    fits = least + (size - least) % (page - 4)
    return fits if fits <= most else least


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place in range(at, at + 8):
        byte = data[place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    return value << 8 | data[at + 8], at + 9


def _value(data: memoryview, at: int, serial: int) -> tuple[Value, int]:
    if serial < len(_INTEGER_BYTES):
        end = at + _INTEGER_BYTES[serial]
        return int.from_bytes(data[at:end], signed=True) if serial else None, end
    if serial in (8, 9):
        return serial - 8, at
    if serial < 12:
        raise ValueError("no row")
    end = at + (serial - 12) // 2
    if end > len(data):
        raise ValueError("no row")
    return bytes(data[at:end]), end
