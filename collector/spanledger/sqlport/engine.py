"""Handles to the embedded engine, and running judged text on them within limits.

The process that owns the store may hold any number of handles to it. A handle carries settings and the current
database, so every query gets a fresh one (about a millisecond): nothing of one request is left for the next.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple, Protocol

from spanledger.sqlport.errors import from_engine
from spanledger_core.placement import anywhere

# `readonly` is the last line behind the gate; it also freezes all other settings, so it is set last.
_FREEZE: Final = "SET readonly = 1"
_KILL: Final = "KILL QUERY WHERE Settings['log_comment'] = {tag:String} ASYNC"


class Result(Protocol):
    """One block, or a whole result, in some output format."""

    def bytes(self) -> bytes | None:
        """The formatted rows."""

    def rows_read(self) -> int:
        """Rows in the result."""

    def storage_rows_read(self) -> int:
        """Rows read from tables."""

    def storage_bytes_read(self) -> int:
        """Bytes read from tables."""


class Stream(Protocol):
    """A running query whose blocks are fetched one by one."""

    def fetch(self) -> Result | None:
        """The next block; None at the end."""

    def cancel(self) -> None:
        """Stop the query."""


class Handle(Protocol):
    """What `chdb.connect` returns. Not for two threads at once."""

    def query(self, query: str, format: str, params: Mapping[str, str] | None = None) -> Result:  # noqa: A002
        """Run to the end."""

    def send_query(self, query: str, format: str, params: Mapping[str, str] | None = None) -> Stream:  # noqa: A002
        """Start a SELECT."""

    def close(self) -> None:
        """Give the handle back."""


class Block(NamedTuple):
    """Formatted rows and what reading them took."""

    data: bytes
    rows: int
    read_rows: int
    read_bytes: int


class Engine:
    """Opens handles through `connect`; knows nothing of HTTP or of what is allowed."""

    def __init__(self, connect: Callable[[], Handle], max_query_bytes: int) -> None:
        self._connect = connect
        self._sized = f"SET max_query_size = {max_query_bytes}"

    @contextmanager
    def handle(self) -> Iterator[Handle]:
        """A fresh handle. Nothing of a request may run on it before `freeze`."""
        with anywhere():
            handle = self._connect()
            try:
                _run(handle, self._sized)
                yield handle
            finally:
                handle.close()

    def kill(self, tag: str) -> None:
        """Ask the engine to stop the queries whose log_comment is `tag`."""
        with self.handle() as handle:
            _run(handle, _KILL, "Null", {"tag": tag})


def freeze(handle: Handle, database: str, settings: Mapping[str, str]) -> None:
    """Make `handle` read-only for good, on `database`, with `settings` (name -> SQL literal)."""
    _run(handle, f"USE {quoted(database)}")
    _run(handle, "SET " + ", ".join(f"{name} = {value}" for name, value in settings.items()))
    _run(handle, _FREEZE)


def whole(handle: Handle, sql: str, output_format: str, params: Mapping[str, str]) -> Block:
    """The complete result."""
    return _block(_run(handle, sql, output_format, params))


def blocks(handle: Handle, sql: str, output_format: str, params: Mapping[str, str]) -> Generator[Block]:
    """The result block by block. Closing the iterator stops the query."""
    try:
        stream = handle.send_query(sql, output_format, params=params)
    except RuntimeError as error:
        raise from_engine(error) from error
    try:
        while (part := _fetch(stream)) is not None:
            yield _block(part)
    finally:
        # The engine also reports here what fetch has already raised.
        with suppress(RuntimeError):
            stream.cancel()


def quoted(identifier: str) -> str:
    """An identifier as it may stand in SQL."""
    return "`" + identifier.replace("\\", "\\\\").replace("`", "\\`") + "`"


def literal(value: str) -> str:
    """A string as it may stand in SQL."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _fetch(stream: Stream) -> Result | None:
    try:
        return stream.fetch()
    except RuntimeError as error:
        raise from_engine(error) from error


def _run(handle: Handle, sql: str, output_format: str = "Null", params: Mapping[str, str] | None = None) -> Result:
    try:
        return handle.query(sql, output_format, params=params)
    except RuntimeError as error:
        raise from_engine(error) from error


def _block(result: Any) -> Block:
    return Block(result.bytes() or b"", result.rows_read(), result.storage_rows_read(), result.storage_bytes_read())
