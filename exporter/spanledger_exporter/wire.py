"""Inserts that notice damage on their way to a server: a wrong digit in an amount must not be stored in silence."""

from __future__ import annotations

import sys
from typing import Final

from clickhouse_connect.driver.compression import Compressor

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHECKED: Final = "zstd"
"""What to ask clickhouse-connect for: it finds `CheckedZstd` under this name."""

Damaged = zstd.ZstdError
"""What the client library raises for an answer whose checksum does not fit."""

_OPTIONS: Final[dict[int, int]] = {
    zstd.CompressionParameter.compression_level: 1,
    zstd.CompressionParameter.checksum_flag: 1,
}


class CheckedZstd(Compressor, tag=CHECKED):
    """Replaces the library's compressor: one frame per block, with a checksum of the content that the server verifies.

    TCP's own checksum is 16 bits, and proxies make it anew.
    """

    def compress_block(self, block: bytes | bytearray) -> bytes:
        """One frame."""
        return zstd.compress(block, options=_OPTIONS)
