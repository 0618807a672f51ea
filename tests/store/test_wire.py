"""What travels to a server says itself when it was damaged."""

from __future__ import annotations

import random
import sys

import pytest
from clickhouse_connect.driver.compression import get_compressor

from spanledger_exporter.wire import CHECKED

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def test_the_library_compresses_with_our_checksum() -> None:
    compressor = get_compressor(CHECKED)
    blocks = [b"agent planner 0.00325 " * 100, random.Random(1).randbytes(5000)]
    sent = b"".join(compressor.compress_block(block) for block in blocks)
    assert zstd.decompress(sent) == b"".join(blocks)


@pytest.mark.parametrize("seed", range(30))
def test_no_flipped_bit_goes_unnoticed(seed: int) -> None:
    rng = random.Random(seed)
    block = rng.randbytes(2000) + b"0.00325" * 300
    sent = bytearray(get_compressor(CHECKED).compress_block(block))
    sent[rng.randrange(len(sent))] ^= 1 << rng.randrange(8)
    try:
        received = zstd.decompress(bytes(sent))
    except zstd.ZstdError:
        return
    assert received == block
