"""Changes that the store does not take, kept on disk with the reason until the next start tries them again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

from spanledger_core.calls import CallKey
from spanledger_core.durable import sync_folder
from spanledger_core.errors import StoreUnavailable
from spanledger_core.rows import CALL_COLUMNS, CallRow
from spanledger_exporter.batches import Tombstone

_SUFFIX: Final = ".jsonl"


class DeadLetter(NamedTuple):
    """One refused batch. In the file: a line with the reason, then one line for each change."""

    reason: str
    code: int | None
    """ClickHouse's, where there is one."""
    rows: Sequence[CallRow]
    tombstones: Sequence[Tombstone]


class DeadLetters:
    """A folder of refused batches, one file each, readable by its owner only."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def write(self, letter: DeadLetter) -> Path:
        """Keep `letter`, on disk when this returns; the same letter twice is one file.

        Raises `StoreUnavailable` when the folder is full or cannot be written: nothing is thrown away then.
        """
        lines = [f"{json.dumps(line, default=repr)}\n" for line in _lines(letter)]
        path = self._folder / f"{sha256(''.join(lines).encode()).hexdigest()[:32]}{_SUFFIX}"
        unfinished = path.with_suffix(".tmp")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.size() >= self._max_bytes:
                raise StoreUnavailable(f"{self._folder} is full: look at what was refused, then empty it")
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.writelines(lines)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
            sync_folder(self._folder)
        except OSError as error:
            raise StoreUnavailable(f"a refused batch cannot be kept: {error}") from error
        return path

    def size(self) -> int:
        """Bytes in the folder."""
        return sum(path.stat().st_size for path in self.paths())

    def paths(self) -> list[Path]:
        """All letters, by name."""
        return sorted(self._folder.glob(f"*{_SUFFIX}"))

    @staticmethod
    def read(path: Path) -> DeadLetter:
        """The letter at `path`, ready to be booked again once its cause is gone."""
        with path.open(encoding="utf-8") as file:
            head, *changes = map(json.loads, file)
        rows = [tuple(change["put"][name] for name in CALL_COLUMNS) for change in changes if "put" in change]
        tombstones = [_tombstone(change["delete"]) for change in changes if "delete" in change]
        return DeadLetter(head["reason"], head["code"], rows, tombstones)


def _lines(letter: DeadLetter) -> Iterator[Mapping[str, Any]]:
    yield {"reason": letter.reason, "code": letter.code}
    for row in letter.rows:
        yield {"put": dict(zip(CALL_COLUMNS, row, strict=False))}
    for key, version in letter.tombstones:
        ids = {"trace_id": key.trace_id.hex(), "span_id": key.span_id.hex()}
        yield {"delete": key._asdict() | ids | {"version": version}}


def _tombstone(stored: dict[str, Any]) -> Tombstone:
    version = stored.pop("version")
    ids = {name: bytes.fromhex(stored[name]) for name in ("trace_id", "span_id")}
    return CallKey(**stored | ids), version
