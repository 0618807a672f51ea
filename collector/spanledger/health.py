"""Health and metrics over HTTP: /healthz (the process works), /readyz (it takes spans), /metrics (Prometheus)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from spanledger_core.metrics import Metrics
from spanledger_receiver.http_protocol import bounded_protocol
from spanledger_receiver.http_thread import HttpThread

Checks = Callable[[], dict[str, str]]
"""Name of a part -> what is wrong with it; empty when all is well."""


TELEMETRY_GRACE_S: Final = 2.0
_REQUEST_S: Final = 30.0
_MAX_CONNECTIONS: Final = 256
_KEEP_ALIVE_S: Final = 75.0


def telemetry_server(metrics: Metrics, alive: Checks, ready: Checks, refresh: Callable[[], None]) -> HttpThread:
    """The server for `telemetry.endpoint`, to be started; arguments as of `telemetry_app`."""
    protocol = bounded_protocol(_REQUEST_S, _MAX_CONNECTIONS, lambda _: None)
    return HttpThread(telemetry_app(metrics, alive, ready, refresh), "telemetry", protocol, keep_alive_s=_KEEP_ALIVE_S)


def telemetry_app(metrics: Metrics, alive: Checks, ready: Checks, refresh: Callable[[], None]) -> Starlette:
    """The application behind `telemetry.endpoint`. `refresh` brings gauges up to date before they are read."""

    def answer(checks: Checks) -> Response:
        faults = checks()
        return JSONResponse({"status": "unavailable" if faults else "ok", "faults": faults}, 503 if faults else 200)

    def healthz(_: Request) -> Response:
        return answer(alive)

    def readyz(_: Request) -> Response:
        return answer(ready)

    def metrics_page(_: Request) -> Response:
        refresh()
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics_page),
        ]
    )
