"""Content encodings of replies and requests, incremental and bounded."""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol

import lz4.block  # type: ignore[import-untyped]
import lz4.frame  # type: ignore[import-untyped]

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from spanledger.sqlport.errors import SqlError

_FAST: Final = 1
_LZ4_METHOD: Final = 0x82
_ZSTD_METHOD: Final = 0x90
_FRAME_HEAD_BYTES: Final = 9
_FRAME_BYTES: Final = 1024 * 1024


class Encoder(Protocol):
    """Turns a reply into what goes over the wire."""

    def feed(self, data: bytes) -> bytes:
        """The next part."""

    def finish(self) -> bytes:
        """What is left."""


class Plain:
    """No encoding."""

    def feed(self, data: bytes) -> bytes:
        """The same bytes."""
        return data

    def finish(self) -> bytes:
        """Nothing."""
        return b""


class _Zlib:
    def __init__(self, wbits: int) -> None:
        self._state = zlib.compressobj(_FAST, zlib.DEFLATED, wbits)

    def feed(self, data: bytes) -> bytes:
        return self._state.compress(data)

    def finish(self) -> bytes:
        return self._state.flush()


class _Zstd:
    def __init__(self) -> None:
        self._state = zstd.ZstdCompressor(level=_FAST)

    def feed(self, data: bytes) -> bytes:
        return bytes(self._state.compress(data))

    def finish(self) -> bytes:
        return bytes(self._state.flush())


class _Lz4:
    def __init__(self) -> None:
        self._state = lz4.frame.LZ4FrameCompressor()
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        head = b"" if self._begun else bytes(self._state.begin())
        self._begun = True
        return head + bytes(self._state.compress(data))

    def finish(self) -> bytes:
        return self.feed(b"") + bytes(self._state.flush())


_ENCODERS: Final[dict[str, Callable[[], Encoder]]] = {
    "zstd": _Zstd,
    "lz4": _Lz4,
    "gzip": lambda: _Zlib(31),
    "deflate": lambda: _Zlib(15),
}
_DECODERS: Final[dict[str, Callable[[], Any]]] = {
    "zstd": zstd.ZstdDecompressor,
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "gzip": lambda: zlib.decompressobj(31),
    "deflate": lambda: zlib.decompressobj(15),
}


def negotiate(accept_encoding: str) -> str | None:
    """The first encoding the client accepts that is known here."""
    for part in accept_encoding.split(","):
        name, _, quality = part.partition(";")
        if name.strip().lower() in _ENCODERS and quality.replace(" ", "") not in ("q=0", "q=0.0"):
            return name.strip().lower()
    return None


def encoder(name: str | None) -> Encoder:
    """An encoder for a name that `negotiate` gave."""
    return _ENCODERS[name]() if name else Plain()


def decode(body: bytes, encoding: str, limit: int) -> bytes:
    """A request's body, decompressed. Raises `SqlError` if it is broken, unknown or larger than `limit` bytes."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    if name not in _DECODERS:
        raise SqlError(48, f"Content-Encoding {name} is not supported; use gzip, deflate, lz4 or zstd", status=415)
    state = _DECODERS[name]()
    try:
        plain = bytes(state.decompress(body, limit + 1))
    except (zlib.error, RuntimeError, EOFError, zstd.ZstdError) as error:
        raise SqlError(6, f"the body is not valid {name}: {error}") from error
    if len(plain) > limit:
        raise SqlError(223, f"the query is larger than {limit} bytes", "QUERY_IS_TOO_LARGE")
    if not getattr(state, "eof", True):
        raise SqlError(6, f"the body ends in the middle of its {name} stream")
    return plain


class _Frames:
    """ClickHouse's own compressed blocks (compress=1): checksum, method, both sizes, data."""

    def __init__(self, checksum: Callable[[bytes], int], *, use_zstd: bool) -> None:
        self._checksum = checksum
        self._use_zstd = use_zstd

    def feed(self, data: bytes) -> bytes:
        return b"".join(self._frame(data[at : at + _FRAME_BYTES]) for at in range(0, len(data), _FRAME_BYTES))

    def finish(self) -> bytes:
        return b""

    def _frame(self, data: bytes) -> bytes:
        if self._use_zstd:
            method, packed = _ZSTD_METHOD, bytes(zstd.compress(data, _FAST))
        else:
            method, packed = _LZ4_METHOD, bytes(lz4.block.compress(data, store_size=False))
        frame = struct.pack("<BII", method, len(packed) + _FRAME_HEAD_BYTES, len(data)) + packed
        checksum = self._checksum(frame)
        return struct.pack("<QQ", checksum >> 64, checksum & (1 << 64) - 1) + frame


def framing(method: str) -> Encoder:
    """The encoder of compress=1, with method lz4 or zstd. Raises `SqlError` without the library for its checksums."""
    try:
        from clickhouse_cityhash.cityhash import CityHash128  # noqa: PLC0415 - optional
    except ImportError as error:
        raise SqlError(
            48,
            "compress=1 needs the Python package clickhouse-cityhash where the collector runs; "
            "or ask for gzip, lz4 or zstd with Accept-Encoding",
        ) from error
    return _Frames(CityHash128, use_zstd=method == "zstd")
