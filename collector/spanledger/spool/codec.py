"""One spool record as bytes: the facts of a batch, with what they share written once.

Layout: one byte of format version, the CRC-32 of the rest (little-endian; format 1 had none), then MessagePack of
(abouts, whos, facts); a fact refers to its About and Who by index. SQLite does not notice a flipped bit in a body, and
a flipped bit in a token count would be money. Reading gives back shared objects, so that a million retained facts hold
a few thousand of them.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar
from zlib import crc32

import msgspec

from spanledger_core.errors import SpanledgerError
from spanledger_core.facts import NOBODY, About, Details, Fact, FactBatch, Usage, Who

FORMAT: Final = 2
_WITHOUT_CHECKSUM: Final = 1
_HEADER: Final = bytes([FORMAT])
_CHECKSUM_BYTES: Final = 4
_MAX_SHARED: Final = 100_000
"""Distinct shared objects kept for reuse; beyond this the table starts afresh and memory stays bounded."""

_FactRow = tuple[bytes, bytes, bytes, int, int, int, int, Usage | None, str | None, Details | None]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[list[About], list[Who], list[_FactRow]]).decode
_Shared = TypeVar("_Shared", About, Who)


class UnreadableRecord(SpanledgerError):
    """A spool record this version cannot read: damaged, or written by a later version."""


def encode_batch(batch: FactBatch) -> bytes:
    """The facts of a batch; refusals and notes were answered and counted, and are not kept."""
    places: dict[int, int] = {}
    abouts: list[About] = []
    whos: list[Who] = []
    rows: list[tuple[Any, ...]] = []
    for trace_id, span_id, parent_id, start_ns, end_ns, about, who, usage, response_id, details in batch.facts:
        about_at = places.get(id(about))
        if about_at is None:
            about_at = places[id(about)] = len(abouts)
            abouts.append(about)
        who_at = places.get(id(who))
        if who_at is None:
            who_at = places[id(who)] = len(whos)
            whos.append(who)
        rows.append((trace_id, span_id, parent_id, start_ns, end_ns, about_at, who_at, usage, response_id, details))
    encoded = _encode((abouts, whos, rows))
    return b"".join((_HEADER, crc32(encoded).to_bytes(_CHECKSUM_BYTES, "little"), encoded))


def _content(body: bytes) -> memoryview:
    """What the checksum vouches for. Raises `UnreadableRecord`."""
    form = body[0] if body else 0
    if form == _WITHOUT_CHECKSUM:
        return memoryview(body)[1:]
    if form != FORMAT:
        raise UnreadableRecord(f"spool record of format {form}; this version reads {FORMAT}")
    content = memoryview(body)[1 + _CHECKSUM_BYTES :]
    if crc32(content).to_bytes(_CHECKSUM_BYTES, "little") != body[1 : 1 + _CHECKSUM_BYTES]:
        raise UnreadableRecord("damaged spool record: its checksum does not fit")
    return content


class Reader:
    """Decodes records, sharing equal objects between them."""

    def __init__(self) -> None:
        self._shared: dict[Any, Any] = {}

    def decode(self, body: bytes) -> FactBatch:
        """The batch that was encoded. Raises `UnreadableRecord`."""
        content = _content(body)
        try:
            raw_abouts, raw_whos, rows = _decode(content)
            abouts = [self._share(about) for about in raw_abouts]
            whos = [self._share(who) for who in raw_whos]
            facts = [
                Fact(row[0], row[1], row[2], row[3], row[4], abouts[row[5]], whos[row[6]], row[7], row[8], row[9])
                for row in rows
            ]
        except (msgspec.MsgspecError, ValueError, IndexError, RecursionError) as error:
            raise UnreadableRecord(f"damaged spool record: {error}") from error
        return FactBatch(tuple(facts))

    def _share(self, value: _Shared) -> _Shared:
        if len(self._shared) > _MAX_SHARED or not self._shared:
            # "nobody" is compared by identity all over the pipeline
            self._shared = {NOBODY: NOBODY}
        shared: _Shared = self._shared.setdefault(value, value)
        return shared
