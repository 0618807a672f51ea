"""OTLP over HTTP: the application, its workers and its socket."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Final

from spanledger_core.clock import Clock
from spanledger_core.metrics import Metrics
from spanledger_core.stages import TraceConsumer
from spanledger_receiver.auth import Access
from spanledger_receiver.http_app import build_app
from spanledger_receiver.http_protocol import bounded_protocol
from spanledger_receiver.http_thread import HttpThread
from spanledger_receiver.intake import Intake
from spanledger_receiver.settings import HttpSettings

_BACKLOG: Final = 2048


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
        self._server = HttpThread(
            build_app(settings, intake, access or Access(), self._pool),
            "otlp-http",
            bounded_protocol(settings.request_timeout_s, settings.max_connections, intake.count_answer),
            keep_alive_s=settings.keep_alive_s,
            backlog=_BACKLOG,
            tls=settings.tls,
            reuse_port=settings.reuse_port,
        )
        self.renew_certificates = self._server.renew_certificates

    @property
    def port(self) -> int:
        """The port listened on, once started."""
        return self._server.port

    def start(self) -> None:
        """Listen and serve. Raises `ConfigError` if the endpoint or the certificates cannot be used."""
        self._server.start(self._settings.endpoint, "receivers.otlp.protocols.http")

    def stop(self, grace_s: float) -> None:
        """Accept nothing new, give requests under way `grace_s` to finish, then cut them."""
        self._server.stop(grace_s)
        self._pool.shutdown(wait=True)
