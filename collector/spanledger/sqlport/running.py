"""Runs one query on a worker thread and hands the reply over, whole where it is small, streamed where it is not."""

from __future__ import annotations

import itertools
import json
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Final, NamedTuple

from spanledger.sqlport import compression, native
from spanledger.sqlport.asking import Ask
from spanledger.sqlport.channel import Channel, ClientGone, Head
from spanledger.sqlport.engine import Block, Engine, Handle, blocks, freeze, whole
from spanledger.sqlport.errors import SqlError
from spanledger.sqlport.preparing import Plan, Planner
from spanledger.sqlport.sessions import Session, Sessions
from spanledger_core.clock import Clock

_HELD_BACK: Final = 1024 * 1024
"""Bytes kept before the headers go out: until then an error still gets its status."""
_WITHOUT_HEAD: Final = "Native"


class Reading(NamedTuple):
    """What reading took, as in X-ClickHouse-Summary."""

    read_rows: int = 0
    read_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0

    def plus(self, block: Block, *, shows_reading: bool) -> Reading:
        """With one more block."""
        return Reading(
            max(self.read_rows, block.read_rows) if shows_reading else 0,
            max(self.read_bytes, block.read_bytes) if shows_reading else 0,
            self.result_rows + block.rows,
            self.result_bytes + len(block.data),
        )


class Runner:
    """Answers queries; knows the engine and the rules, not the sockets."""

    def __init__(self, engine: Engine, planner: Planner, sessions: Sessions, clock: Clock, max_result_bytes: int):
        self._engine = engine
        self._planner = planner
        self._sessions = sessions
        self._clock = clock
        self._max_result_bytes = max_result_bytes

    def run(self, ask: Ask, tag: str, channel: Channel) -> None:
        """Compute the reply to `ask` into `channel`. Raises `SqlError` before it has begun, `ClientGone`."""
        session = self._session(ask)
        with self._engine.handle() as handle:
            if ask.query.strip().rstrip(";") == native.GO_HELLO and ask.protocol_version >= native.GO_REVISION:
                reply = Reply(ask, channel, "Native", self._clock)
                reply.run(iter([Block(native.go_hello(handle), 1, 1, 0)]))
                return
            plan = self._planner.plan(handle, ask, session, tag)
            reply = Reply(ask, channel, plan.output_format, self._clock)
            if plan.sql is None:
                reply.run(iter(()))
                return
            freeze(handle, plan.database, plan.settings)
            with closing(self._blocks(handle, plan.sql, plan)) as parts:
                reply.run(parts)

    def _session(self, ask: Ask) -> Session:
        if not ask.session_id:
            return Session()
        session = self._sessions.get(ask.user.name, ask.session_id, ask.session_timeout_s, must_exist=ask.session_check)
        if ask.close_session:
            self._sessions.close(ask.user.name, ask.session_id)
        return session

    def _blocks(self, handle: Handle, sql: str, plan: Plan) -> Generator[Block]:
        size = 0
        if plan.streams:
            with closing(blocks(handle, sql, plan.output_format, plan.params)) as parts:
                for block in parts:
                    size = self._bounded(size, block)
                    yield block
        else:
            block = whole(handle, sql, plan.output_format, plan.params)
            size = self._bounded(size, block)
            yield block
        if size == 0 and plan.output_format == _WITHOUT_HEAD:
            columns = native.columns_of(handle, sql, plan.params, is_select=plan.is_select)
            yield Block(native.header(columns), 0, 0, 0)

    def _bounded(self, size: int, block: Block) -> int:
        size += len(block.data)
        if size > self._max_result_bytes:
            raise SqlError(396, f"Limit for result exceeded, max bytes: {self._max_result_bytes}, current: {size}")
        return size


class Reply:
    """Sends blocks as one HTTP reply."""

    def __init__(self, ask: Ask, channel: Channel, output_format: str, clock: Clock) -> None:
        self._ask = ask
        self._channel = channel
        self._format = output_format
        self._clock = clock
        self._started_s = clock.monotonic_s()
        self._tag = clock.token()[:16]
        self._encoder = compression.framing(ask.frames) if ask.frames else compression.encoder(ask.encoding)

    def run(self, parts: Iterator[Block]) -> None:
        """Hold back the first bytes; if that was all, send it whole with a true summary, else stream the rest."""
        reading, held = Reading(), bytearray()
        for block in parts:
            # What was read to answer a user with a tenant includes the rows of others.
            reading = reading.plus(block, shows_reading=self._ask.user.tenant is None)
            held += block.data
            if len(held) > _HELD_BACK and not self._ask.wait_end_of_query:
                break
        else:
            body = self._encoder.feed(bytes(held)) + self._encoder.finish() if held else b""
            self._start(reading, {"Content-Length": str(len(body))}, encoded=bool(held))
            self._channel.send(body)
            self._channel.end()
            return
        self._start(reading, {"X-ClickHouse-Exception-Tag": self._tag}, encoded=True)
        self._stream(itertools.chain([bytes(held)], (block.data for block in parts)))

    def _stream(self, parts: Iterator[bytes]) -> None:
        try:
            for data in parts:
                self._channel.send(self._encoder.feed(data))
        except ClientGone:
            raise
        except SqlError as error:
            # The status is sent: the protocol's way to tell is a marked block at the end of the body.
            self._channel.send(self._encoder.feed(self._marked(str(error))))
        self._channel.send(self._encoder.finish())
        self._channel.end()

    def _marked(self, message: str) -> bytes:
        text = message.encode() + b"\n"
        tag = self._tag.encode()
        return b"\r\n__exception__\r\n%s\r\n%s%d %s\r\n__exception__\r\n" % (tag, text, len(text), tag)

    def _start(self, reading: Reading, extra: dict[str, str], *, encoded: bool) -> None:
        headers = {
            "Content-Type": _content_type(self._format),
            "X-ClickHouse-Format": self._format,
            "X-ClickHouse-Query-Id": self._ask.query_id,
            "X-ClickHouse-Server-Display-Name": "spanledger",
            "X-ClickHouse-Summary": self._summary(reading),
            "X-ClickHouse-Timezone": "UTC",
            "X-Content-Type-Options": "nosniff",
            **extra,
        }
        if encoded and self._ask.encoding:
            headers["Content-Encoding"] = self._ask.encoding
        self._channel.start(Head(200, headers))

    def _summary(self, reading: Reading) -> str:
        elapsed_ns = int((self._clock.monotonic_s() - self._started_s) * 1e9)
        figures = {
            "read_rows": reading.read_rows,
            "read_bytes": reading.read_bytes,
            "written_rows": 0,
            "written_bytes": 0,
            "total_rows_to_read": reading.read_rows,
            "result_rows": reading.result_rows,
            "result_bytes": reading.result_bytes,
            "elapsed_ns": elapsed_ns,
        }
        return json.dumps({name: str(figure) for name, figure in figures.items()}, separators=(",", ":"))


def _content_type(output_format: str) -> str:
    if output_format.startswith(("JSON", "Pretty", "NDJSON")):
        return "application/json; charset=UTF-8" if "JSON" in output_format else "text/plain; charset=UTF-8"
    if output_format.startswith(("TSV", "TabSeparated")):
        return "text/tab-separated-values; charset=UTF-8"
    if output_format.startswith("CSV"):
        return "text/csv; charset=UTF-8; header=" + ("present" if "WithNames" in output_format else "absent")
    if output_format == "XML":
        return "application/xml; charset=UTF-8"
    if output_format in ("Vertical", "Markdown", "MD", "Values", "TSKV"):
        return "text/plain; charset=UTF-8"
    return "application/octet-stream"
