"""The embedded engine after its disk was full, or after it read a file that is not as it was written.

A merge that runs out of space can leave a part with cut files and take it for whole: every later read of it fails with
CORRUPTED_DATA (seen with chDB 26.9, in about one of ten full disks). The parts that it was made of stay on disk for
eight minutes more. An engine that loads its tables again compares each part with its checksums, sets the cut one aside
and goes on with the parts before it: so the tables are loaded again as soon as there is space. A server has operators.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

import structlog
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error

from spanledger_core.clock import Clock
from spanledger_core.errors import StoreError
from spanledger_exporter.sql import query_text, render, statements

_log = structlog.get_logger(__name__)
_NO_SPACE: Final = frozenset({75, 243})
"""CANNOT_WRITE_TO_FILE_DESCRIPTOR, NOT_ENOUGH_SPACE."""
_DAMAGED: Final = frozenset({32, 33, 40, 226, 228, 246, 271})
"""ATTEMPT_TO_READ_AFTER_EOF, CANNOT_READ_ALL_DATA, CHECKSUM_DOESNT_MATCH, NO_FILE_IN_DATA_PART,
BAD_SIZE_OF_FILE_IN_DATA_PART, CORRUPTED_DATA, CANNOT_DECOMPRESS."""
_ENOUGH_BYTES: Final = 16 << 20
_AGAIN_S: Final = 10.0


class Mender:
    """Watches the errors of one embedded store, and has its tables loaded again where they ask for it."""

    def __init__(self, path: Path, database: str, open_client: Callable[[], Client], clock: Clock) -> None:
        self._path = path
        self._database = database
        self._open_client = open_client
        self._clock = clock
        self._one_at_a_time = Lock()
        self._was_full = False
        self._is_damaged = False
        self._not_before_s = 0.0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Around each use of the store: mends what an earlier one has met, and sees what this one meets."""
        if self._is_due() and self._one_at_a_time.acquire(blocking=False):
            try:
                self._mend()
            finally:
                self._one_at_a_time.release()
        try:
            yield
        except StoreError as error:
            self._was_full |= error.code in _NO_SPACE
            self._is_damaged |= error.code in _DAMAGED
            raise

    def _is_due(self) -> bool:
        if not (self._is_damaged or self._was_full) or self._clock.monotonic_s() < self._not_before_s:
            return False
        return self._is_damaged or shutil.disk_usage(self._path).free >= _ENOUGH_BYTES

    def _mend(self) -> None:
        self._not_before_s = self._clock.monotonic_s() + _AGAIN_S
        client = self._open_client()
        try:
            before = _rows(client, self._database)
            for table in before:
                for statement in statements(query_text("load_again")):
                    client.command(render(statement, {"database": self._database, "table": table}))
            after = _rows(client, self._database)
            broken = client.query(query_text("broken_parts"), {"database": self._database}).result_rows
        except Error as error:
            _log.error("the store cannot be loaded again, trying later", error=str(error)[:500])
            return
        finally:
            client.close()
        self._was_full = self._is_damaged = False
        lost = {table: rows - after.get(table, 0) for table, rows in before.items() if rows > after.get(table, 0)}
        _log.warning(
            "the store was loaded again after its disk was full or a file of it was damaged",
            parts_set_aside=[name for (name,) in broken],
            rows_missing=lost,
            remedy="rows that are missing come back when their spans are sent again" if lost else "",
        )


def _rows(client: Client, database: str) -> dict[str, int]:
    """Table -> rows as its parts count them; reads no data."""
    found = client.query(query_text("rows_of_tables"), {"database": database}).result_rows
    return {str(table): int(rows) for table, rows in found}
