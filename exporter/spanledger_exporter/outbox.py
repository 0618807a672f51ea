"""The batch on its way to the store, fixed on disk with its deduplication tokens before it is inserted.

A process that is killed during an insert leaves it half done and, over a network, does not know how far. Its next start
sends the very same bytes once more, and not under their tokens: the engine notes the token of a part before the part is
there, so one that was killed in between would believe to have what it has not. What it has is written a second time
then, as the same version of the same row, of which readers see one and merges leave one.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

import structlog

from spanledger_core.durable import sync_folder
from spanledger_core.errors import StoreError
from spanledger_exporter.blocks import Block

_log = structlog.get_logger(__name__)
_NAME: Final = re.compile(
    r"(?P<sequence>\d+)-(?P<place>\d+)of(?P<of>\d+)-(?P<first_day>\d+)-(?P<rows>\d+)-(?P<token>\w+)"
    r"-(?P<checksum>[0-9a-f]{8})\.native"
)


class FixedBatch(NamedTuple):
    """What an earlier process fixed and did not see confirmed."""

    sequence: int
    """Everything up to it is in the batch, or was in the store before."""
    blocks: Sequence[Block]


class Outbox:
    """A folder that holds one batch at a time, one file a block in ClickHouse's Native format. For one thread."""

    def __init__(self, folder: Path | None, store: str = "") -> None:
        """None: batches are not fixed; whoever made them makes them again after a crash.

        `store` is the identity of the store that they are for: the partitions in them are registered there only.
        """
        self._folder = folder
        self._store = store.encode()
        self._holds = True
        """False once it is known to be empty."""

    def fix(self, sequence: int, blocks: Sequence[Block]) -> Sequence[Block]:
        """The blocks, now on disk. Raises `OSError` where the disk does not take them."""
        if self._folder is None or not blocks:
            return blocks
        self.clear()
        self._holds = True
        try:
            return self._written(self._folder, sequence, blocks)
        except OSError:
            with suppress(OSError):
                self.clear()  # a piece of it takes room that the spool needs to confirm
            raise

    def _written(self, folder: Path, sequence: int, blocks: Sequence[Block]) -> Sequence[Block]:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        paths = []
        for place, block in enumerate(blocks):
            body = block.read()
            name = _name(sequence, place, len(blocks), block)
            paths.append(folder / f"{name}-{self._checksum(body)}.native")
            _write(paths[-1].with_suffix(".tmp"), body)
        # a set that is not whole was not inserted from either
        for path in paths:
            path.with_suffix(".tmp").replace(path)
        sync_folder(folder)
        return [block._replace(body=path) for block, path in zip(blocks, paths, strict=True)]

    def left(self) -> FixedBatch | None:
        """What an earlier process left behind for this store, if it is whole. Raises `OSError` if it cannot be read."""
        if self._folder is None:
            return None
        found: dict[int, dict[int, tuple[Block, int]]] = defaultdict(dict)
        for path in self._folder.glob("*.native"):
            match = _NAME.fullmatch(path.name)
            if match and match["checksum"] == self._checksum(path.read_bytes()):
                block = Block(_token(match), int(match["first_day"]), int(match["rows"]), path)
                found[int(match["sequence"])][int(match["place"])] = block, int(match["of"])
        for sequence, parts in found.items():
            if {of for _, of in parts.values()} == {len(parts)}:
                return FixedBatch(sequence, [parts[place][0] for place in sorted(parts)])
        return None

    def clear(self) -> None:
        """The batch is confirmed, or nobody wants it any more. Raises `OSError` if it stays on disk."""
        if self._folder is None or not self._holds:
            return
        for path in (*self._folder.glob("*.native"), *self._folder.glob("*.tmp")):
            path.unlink(missing_ok=True)
        self._holds = False

    def _checksum(self, body: bytes | bytearray) -> str:
        return f"{crc32(body, crc32(self._store)):08x}"


def complete(outbox: Outbox, insert: Callable[[Block], None], since_day: int, confirmed: int = 0) -> int:
    """Insert what an earlier process left behind; the sequence up to which everything is in the store now, or 0.

    Days before `since_day` (days since 1970) may have been folded meanwhile. A batch with such, or one that cannot be
    inserted, is left to whoever makes its rows anew from the spool. One that was `confirmed` already is not inserted
    again: a person may have been forgotten since.
    """
    try:
        batch = outbox.left()
        if batch is None or batch.sequence <= confirmed or any(block.first_day < since_day for block in batch.blocks):
            return 0
        for block in batch.blocks:
            insert(block._replace(token=""))
    except (StoreError, OSError) as error:
        _log.warning("the batch under way when the last process ended is made anew", error=str(error))
        return 0
    rows = sum(block.rows for block in batch.blocks)
    _log.info("completed the batch under way when the last process ended", rows=rows, sequence=batch.sequence)
    return batch.sequence


def _name(sequence: int, place: int, of: int, block: Block) -> str:
    token = block.token.partition("/")[0]
    return f"{sequence}-{place}of{of}-{block.first_day}-{block.rows}-{token}"


def _token(match: re.Match[str]) -> str:
    return match["token"] if match["of"] == "1" else f"{match['token']}/{match['first_day']}"


def _write(path: Path, body: bytes | bytearray) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
