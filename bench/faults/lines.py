"""A TCP line to the store that can be made bad: cut, slow, stalled, corrupting, closed."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from types import TracebackType
from typing import Any, Final, Self

from bench.faults.process import free_ports

_PIECE: Final = 16_384
_CONNECTIONS_MAX: Final = 64
_RESET: Final = struct.pack("ii", 1, 0)
"""Linger for no time: the other side is told with a reset."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with the line. Chances are of each piece that passes, whichever way it goes."""

    refuses: bool = False
    cuts: float = 0.0
    """Chance that the connection ends in the middle of the piece, or before it."""
    delay_s: float = 0.0
    """Longest delay of a piece."""
    stalls: bool = False
    """Nothing passes; what is under way does when the trouble is over."""
    corrupts: float = 0.0
    """Chance that one byte of the piece is another."""


NONE: Final = Trouble()


class BadLine:
    """Listens on a port of its own and passes to `target` what comes, as well as it can."""

    def __init__(self, target: int, seed: int) -> None:
        self._target = target
        self._chance = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="bad-line", daemon=True)
        self._trouble = NONE
        self._flowing = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        (self.port,) = free_ports(1)
        self.done: Counter[str] = Counter()
        """What was done to pieces and connections."""

    def __enter__(self) -> Self:
        self._thread.start()
        self._ask(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ask(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def trouble(self, trouble: Trouble) -> None:
        """From now on."""
        self._ask(self._become(trouble))

    def heal(self) -> None:
        """As good as new. What cut or corrupted is replaced, so its connections end; what was only slow goes on."""
        self._ask(self._become(NONE))

    def _ask(self, what: Coroutine[Any, Any, None]) -> None:
        asked: Future[None] = asyncio.run_coroutine_threadsafe(what, self._loop)
        asked.result(60)

    async def _listen(self) -> None:
        self._flowing.set()
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        self._flowing.set()
        for writer in [*self._open]:
            writer.transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _become(self, trouble: Trouble) -> None:
        before, self._trouble = self._trouble, trouble
        if before.corrupts or before.cuts or trouble.refuses:
            for writer in [*self._open]:
                writer.transport.abort()
        if trouble.stalls:
            self._flowing.clear()
        else:
            self._flowing.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._trouble.refuses or len(self._open) >= 2 * _CONNECTIONS_MAX:
            self.done["refused"] += 1
            _reset(writer)
            return
        try:
            there, here = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            _reset(writer)
            return
        self._open |= {writer, here}
        try:
            await asyncio.gather(self._pass(reader, here), self._pass(there, writer))
        except (OSError, _Cut, asyncio.CancelledError):
            pass  # all of them are the end of a connection
        finally:
            self._open -= {writer, here}
            for each in (writer, here):
                if self._chance.random() < 0.5:
                    _reset(each)
                else:
                    each.close()

    async def _pass(self, source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while piece := await source.read(_PIECE):
            trouble = self._trouble
            if trouble.delay_s:
                self.done["delayed"] += 1
                await asyncio.sleep(self._chance.uniform(0, trouble.delay_s))
            if not self._flowing.is_set():
                self.done["stalled"] += 1
                await self._flowing.wait()
            if self._chance.random() < trouble.cuts:
                self.done["cut"] += 1
                to.write(piece[: self._chance.randrange(len(piece))])
                with contextlib.suppress(OSError):
                    await to.drain()
                raise _Cut
            if self._chance.random() < trouble.corrupts:
                self.done["corrupted"] += 1
                piece = self._corrupted(piece)
            to.write(piece)
            await to.drain()
        if to.can_write_eof():
            to.write_eof()

    def _corrupted(self, piece: bytes) -> bytes:
        damaged = bytearray(piece)
        damaged[self._chance.randrange(len(piece))] ^= self._chance.randrange(1, 256)
        return bytes(damaged)


class _Cut(Exception):
    """The end of a connection, made by us."""


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
