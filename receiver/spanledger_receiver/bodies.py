"""Request bodies: unpacking them within a bound."""

from __future__ import annotations

import zlib
from typing import Final

from spanledger_core.errors import InvalidRequest, TooLarge

_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_WINDOWS: Final[dict[str, int]] = {"gzip": _GZIP_WINDOW, "x-gzip": _GZIP_WINDOW, "deflate": zlib.MAX_WBITS}
"""The OTLP specification asks for gzip; SDKs can also be set to deflate (the zlib format, RFC 9110 8.4.1.2)."""

_MAX_MEMBERS: Final = 16
"""Gzip members may follow one another (RFC 1952 2.2); each costs a copy of what is left."""

ENCODINGS: Final = ("gzip", "deflate")


def is_known_encoding(encoding: str) -> bool:
    """Whether `inflate` can read a content encoding."""
    return encoding in ("", "identity") or encoding in _WINDOWS


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its content encoding; never makes more than `limit` bytes and a little.

    Raises `TooLarge` for a body beyond the limit, `InvalidRequest` if the bytes are not what the encoding says.
    """
    window = _WINDOWS.get(encoding)
    plain = body if window is None else _inflate(body, window, encoding, limit)
    if len(plain) > limit:
        raise too_large(limit)
    return plain


def _inflate(body: bytes, window: int, encoding: str, limit: int) -> bytes:
    """At most `limit + 1` bytes: one too many shows that there is more."""
    parts: list[bytes] = []
    room = limit + 1
    for _ in range(_MAX_MEMBERS):
        unpacker = zlib.decompressobj(window)
        try:
            parts.append(unpacker.decompress(body, room))
        except zlib.error:
            raise InvalidRequest(f"the body is not valid {encoding}, as its content encoding says") from None
        room -= len(parts[-1])
        if room <= 0 or (unpacker.eof and not unpacker.unused_data):
            return b"".join(parts)
        if not unpacker.eof:
            raise InvalidRequest(f"the {encoding} body ends too early")
        body = unpacker.unused_data
    raise InvalidRequest(f"the {encoding} body has more than {_MAX_MEMBERS} members")


def too_large(limit: int) -> TooLarge:
    """What a sender is told that passes the limit."""
    return TooLarge(
        f"the request is larger than {limit} bytes; send smaller batches "
        "(OTEL_BSP_MAX_EXPORT_BATCH_SIZE, or the batch processor's send_batch_max_size)"
    )
