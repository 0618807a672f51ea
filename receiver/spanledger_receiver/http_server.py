"""The HTTP server around the application: a socket, a thread, a graceful end."""

from __future__ import annotations

import math
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Final

import uvicorn
from starlette.applications import Starlette

from spanledger_core.clock import Clock
from spanledger_core.errors import ConfigError
from spanledger_core.metrics import Metrics
from spanledger_core.stages import TraceConsumer
from spanledger_receiver.auth import Access
from spanledger_receiver.http_app import build_app
from spanledger_receiver.http_protocol import bounded_protocol
from spanledger_receiver.intake import Intake
from spanledger_receiver.settings import HttpSettings

_BACKLOG: Final = 2048
_POLL_S: Final = 0.005


class OtlpHttpServer:
    """Serves /v1/traces, and /v1/metrics and /v1/logs as sinks, until stopped."""

    def __init__(
        self,
        settings: HttpSettings,
        consumer: TraceConsumer,
        metrics: Metrics,
        clock: Clock,
        access: Access | None = None,
    ) -> None:
        self._settings = settings
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="otlp-http")
        intake = Intake("http", consumer, metrics, clock)
        app = build_app(settings, intake, access or Access(), self._pool)
        self._server = uvicorn.Server(_config(settings, app, intake))
        self._thread: Thread | None = None
        self.port = 0
        """The port listened on, once started."""

    def start(self) -> None:
        """Listen and serve. Raises `ConfigError` if the endpoint or the certificates cannot be used."""
        try:
            self._server.config.load()
            listener = listen(self._settings.endpoint, self._settings.reuse_port)
        except (OSError, ValueError) as error:
            where = f"receivers.otlp.protocols.http: cannot listen on {self._settings.endpoint}: {error}"
            raise ConfigError([where]) from error
        self.port = listener.getsockname()[1]
        self._thread = Thread(target=self._server.run, args=([listener],), name="otlp-http", daemon=True)
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            self._thread.join(_POLL_S)

    def stop(self, grace_s: float) -> None:
        """Accept nothing new, give requests under way `grace_s` to finish, then cut them."""
        self._server.config.timeout_graceful_shutdown = max(1, math.ceil(grace_s))
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
        self._pool.shutdown(wait=True)


def _config(settings: HttpSettings, app: Starlette, intake: Intake) -> uvicorn.Config:
    tls = settings.tls
    return uvicorn.Config(
        app,
        http=bounded_protocol(settings.request_timeout_s, settings.max_connections, intake.count_answer),
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=math.ceil(settings.keep_alive_s),
        ssl_certfile=tls.cert_file if tls else None,
        ssl_keyfile=tls.key_file if tls else None,
        ssl_ca_certs=str(tls.client_ca_file) if tls and tls.client_ca_file else None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if tls and tls.client_ca_file else ssl.CERT_NONE,
    )


def listen(endpoint: str, reuse_port: bool) -> socket.socket:
    """A listening socket for `host:port`. Raises `ValueError` or `OSError`."""
    host, _, port = endpoint.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError("an endpoint is host:port, with an IPv6 host in brackets")
    host = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, int(port)), family=family, backlog=_BACKLOG, reuse_port=reuse_port)
    # inherited by what it accepts; asyncio sets it only on sockets that name their protocol, and without it a small
    # answer waits some 40 ms for the acknowledgement of the one before
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
