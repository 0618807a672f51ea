"""Jobs for the running collector, over a Unix socket in its data directory.

Only one process may write the embedded store, so commands that write hand their job to the collector that has it open.
One connection is one job: a line of JSON asks, lines of JSON tell the progress, the last line has `result` or `error`.
The socket belongs to its owner (0600), and the peer's user is checked as well.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Thread
from typing import Any, Final

import structlog

from spanledger_core.errors import ConfigError, SpanledgerError

_log = structlog.get_logger(__name__)
_NAME: Final = "control.sock"
_LINE_MAX: Final = 1 << 20
_BACKLOG: Final = 4
_PATH_MAX: Final = 100
"""Of sockaddr_un: longer paths go through a short name in the process's own directory of descriptors."""

Job = Callable[[Mapping[str, Any], Callable[[Mapping[str, Any]], None]], Mapping[str, Any]]
"""Arguments and a way to tell progress in, the result out."""


class ControlServer:
    """Takes jobs, one at a time, in a thread of its own."""

    def __init__(self, data_dir: Path, jobs: Mapping[str, Job]) -> None:
        self._path = data_dir / _NAME
        self._jobs = jobs
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._thread = Thread(target=self._run, name="control", daemon=True)

    def start(self) -> None:
        """Listen. The data directory is ours, so a socket left there is a leftover."""
        self._path.unlink(missing_ok=True)
        with _reachable(self._path) as path:
            self._listener.bind(path)
        self._path.chmod(0o600)
        self._listener.listen(_BACKLOG)
        self._thread.start()

    def stop(self) -> None:
        """Take no more jobs."""
        self._path.unlink(missing_ok=True)
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _run(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer:
                self._serve(peer)

    def _serve(self, peer: socket.socket) -> None:
        def tell(message: Mapping[str, Any]) -> None:
            peer.sendall(json.dumps(message).encode() + b"\n")

        try:
            if not _is_us(peer):
                tell({"error": "this socket belongs to another user"})
                return
            asked = json.loads(next(_lines(peer)))
            job = self._jobs[asked["job"]]
        except (KeyError, TypeError, ValueError, StopIteration):
            self._fail(tell, "not a job this collector knows; are both of one version?")
        except OSError as error:
            self._fail(tell, str(error))
        else:
            self._do(job, asked, tell)

    def _do(self, job: Job, asked: Mapping[str, Any], tell: Callable[[Mapping[str, Any]], None]) -> None:
        try:
            tell({"result": job(asked, tell)})
        except (SpanledgerError, OSError) as error:
            self._fail(tell, str(error))
        except Exception as error:  # noqa: BLE001
            # The border of the stage: a fault of one job must not keep the collector from taking others.
            _log.exception("job failed by a fault of ours", job=asked["job"], remedy="report this with the log")
            self._fail(tell, f"{type(error).__name__} inside the collector; its log has the details")

    def _fail(self, tell: Callable[[Mapping[str, Any]], None], why: str) -> None:
        _log.warning("job failed", why=why)
        try:
            tell({"error": why})
        except OSError:
            return  # whoever asked has left


def ask(data_dir: Path, job: str, **arguments: Any) -> Iterator[Mapping[str, Any]]:
    """Hand a job to the collector of `data_dir`; its progress, then its result under `result`.

    Raises `ConfigError` with the collector's reason, `ConnectionError` where no collector listens.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        with _reachable(data_dir / _NAME) as path:
            try:
                peer.connect(path)
            except OSError as error:
                raise ConnectionError(f"no collector takes jobs in {data_dir}") from error
        peer.sendall(json.dumps({"job": job, **arguments}).encode() + b"\n")
        for line in _lines(peer):
            message = json.loads(line)
            if "error" in message:
                raise ConfigError([message["error"]])
            yield message
            if "result" in message:
                return
    raise ConnectionError("the collector ended before the job did")


class _reachable:  # noqa: N801 - reads as a function
    """A path that fits into a socket address: itself, or through a descriptor of its folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder: int | None = None

    def __enter__(self) -> str:
        path = str(self._path.absolute())
        if len(path.encode()) <= _PATH_MAX:
            return path
        self._folder = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY)
        return f"/proc/self/fd/{self._folder}/{self._path.name}"

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            os.close(self._folder)


def _is_us(peer: socket.socket) -> bool:
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return uid in (os.geteuid(), 0)


def _lines(peer: socket.socket) -> Iterator[bytes]:
    """Lines, each at most `_LINE_MAX` long."""
    buffer = b""
    while received := peer.recv(1 << 16):
        *whole, buffer = (buffer + received).split(b"\n")
        yield from whole
        if len(buffer) > _LINE_MAX:
            raise ValueError("line too long")
