"""An ASGI application served by uvicorn in a thread of its own."""

from __future__ import annotations

import asyncio
from threading import Event, Thread
from typing import Any

import uvicorn

from spanledger_core.errors import ConfigError


class _Server(uvicorn.Server):
    """Signals belong to the process, not to one of its servers."""

    def __init__(self, config: uvicorn.Config, up: Event) -> None:
        super().__init__(config)
        self._up = up

    async def startup(self, sockets: Any = None) -> None:
        """Bind, then say so."""
        await super().startup(sockets)
        self._up.set()

    def capture_signals(self) -> Any:
        """Leave the signal handlers alone."""
        return _nothing()


class _nothing:  # noqa: N801 - a context manager that does nothing
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


class BackgroundHttp:
    """Serve `app` on host:port until stopped; `port` 0 takes a free one."""

    def __init__(self, app: Any, host: str, port: int, name: str) -> None:
        self._up = Event()
        self._config = uvicorn.Config(app, host=host, port=port, log_level="warning", access_log=False, lifespan="off")
        self._server = _Server(self._config, self._up)
        self._where = f"{host}:{port}"
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._error: BaseException | None = None

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve())
        except (OSError, SystemExit) as error:  # uvicorn exits the thread when it cannot bind
            self._error = error
        finally:
            self._up.set()

    def start(self) -> None:
        """Return once the port is bound. Raises `ConfigError` if it cannot be."""
        self._thread.start()
        self._up.wait(10)
        if self._error is not None or not self._server.started:
            raise ConfigError([f"cannot listen on {self._where}: in use or not allowed; choose another endpoint"])

    @property
    def port(self) -> int:
        """The port bound."""
        return int(self._server.servers[0].sockets[0].getsockname()[1])

    def stop(self, grace_s: float = 2.0) -> None:
        """Finish what is under way, at most `grace_s` seconds."""
        self._config.timeout_graceful_shutdown = int(grace_s) or 1
        self._server.should_exit = True
        self._thread.join(grace_s + 2)
