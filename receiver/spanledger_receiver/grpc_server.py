"""OTLP over gRPC: the three Export methods, bytes in and bytes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import grpc

from spanledger_core.clock import Clock
from spanledger_core.errors import ConfigError
from spanledger_core.metrics import Metrics
from spanledger_core.stages import TraceConsumer
from spanledger_receiver.auth import Access
from spanledger_receiver.intake import Intake
from spanledger_receiver.responses import TAKEN, encode_receipt
from spanledger_receiver.settings import GrpcSettings
from spanledger_receiver.status import trailing_metadata
from spanledger_receiver.tls import GrpcCertificates
from spanledger_receiver.watchdog import Watchdog

_SERVICE: Final = "opentelemetry.proto.collector.{signal}.v1.{name}Service"
_STREAMS_PER_CONNECTION: Final = 128
_MINUTE_MS: Final = 60_000

_Take = Callable[[bytes, "str | None"], bytes]


class OtlpGrpcServer:
    """Serves TraceService, and MetricsService and LogsService as sinks, until stopped.

    Requests are declared as client streams of one message: on the wire that is the same as a unary call, but the
    handler starts before the message is read, so strangers are refused before they send and slow senders can be cut.
    """

    def __init__(
        self,
        settings: GrpcSettings,
        consumer: TraceConsumer,
        metrics: Metrics,
        clock: Clock,
        access: Access | None = None,
    ) -> None:
        self._settings = settings
        self._access = access or Access()
        self._intake = Intake("grpc", consumer, metrics, clock)
        self._watchdog = Watchdog(settings.request_timeout_s, settings.workers, clock)
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="otlp-grpc")
        self._server = grpc.server(self._pool, handlers=self._handlers(), options=_options(settings))
        self._certificates = GrpcCertificates(settings.tls) if settings.tls else None
        self.port = 0
        """The port listened on, once started."""

    def start(self) -> None:
        """Listen and serve. Raises `ConfigError` if the endpoint or the certificates cannot be used."""
        settings = self._settings
        try:
            if self._certificates is None:
                self.port = self._server.add_insecure_port(settings.endpoint)
            else:
                self.port = self._server.add_secure_port(settings.endpoint, self._certificates.credentials())
        except (RuntimeError, OSError) as error:
            raise ConfigError(
                [f"receivers.otlp.protocols.grpc: cannot listen on {settings.endpoint}: {error}"]
            ) from error
        self._watchdog.start()
        self._server.start()

    def renew_certificates(self) -> None:
        """Read them again, for the connections to come. Raises `OSError` if they cannot be used; the old ones stay."""
        if self._certificates is not None:
            self._certificates.renew()

    def stop(self, grace_s: float) -> None:
        """Refuse new requests, give those under way `grace_s` to finish, then cut them."""
        self._server.stop(grace_s).wait()
        self._watchdog.stop()
        self._pool.shutdown(wait=True)

    def _handlers(self) -> list[Any]:
        takes: dict[str, _Take] = {
            "Trace": self._take_traces,
            "Metrics": partial(self._discard, "metrics"),
            "Logs": partial(self._discard, "logs"),
        }
        return [
            grpc.method_handlers_generic_handler(
                _SERVICE.format(signal=name.lower(), name=name),
                {"Export": grpc.stream_unary_rpc_method_handler(partial(self._serve, take))},
            )
            for name, take in takes.items()
        ]

    def _take_traces(self, body: bytes, tenant: str | None) -> bytes:
        return encode_receipt(self._intake.traces(body, "protobuf", tenant))

    def _discard(self, signal: str, body: bytes, tenant: str | None) -> bytes:
        self._intake.discard(signal)
        return TAKEN

    def _serve(self, take: _Take, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        try:
            tenant = self._access.tenant_of(_authorization(context))
            with self._watchdog.watch(context.cancel):
                body = next(messages, None)
            if body is None:
                raise _BrokenOff
            self._intake.count_bytes(len(body))
            answer = take(body, tenant)
        except (grpc.RpcError, _BrokenOff):  # the sender left, was cut off, or passed gRPC's size limit
            self._intake.broken_off(grpc.StatusCode.CANCELLED.name, self._settings.max_request_bytes)
            context.abort(grpc.StatusCode.CANCELLED, "the request did not arrive whole")
            raise  # as below
        except Exception as error:  # the border: whatever goes wrong becomes a status
            failure = self._intake.failure(error)
            self._intake.count_answer(failure.code.name)
            context.set_trailing_metadata(trailing_metadata(failure))
            context.abort(failure.code, failure.message)
            raise  # abort has raised; this is for the reader and the type checker
        self._intake.count_answer(grpc.StatusCode.OK.name)
        return answer


class _BrokenOff(Exception):
    """The call ended without a message. gRPC says so by an end of the stream or by an error, as the race goes."""


def _authorization(context: grpc.ServicerContext) -> str | None:
    for key, value in context.invocation_metadata():
        if key == "authorization":
            return str(value)
    return None


def _options(settings: GrpcSettings) -> list[tuple[str, int]]:
    """Channel arguments (grpc/impl/channel_arg_names.h)."""
    return [
        ("grpc.max_receive_message_length", settings.max_request_bytes),
        ("grpc.max_concurrent_streams", _STREAMS_PER_CONNECTION),
        ("grpc.so_reuseport", int(settings.reuse_port)),
        # find out about peers that vanished, and let exporters do the same as often as they like
        ("grpc.keepalive_time_ms", _MINUTE_MS),
        ("grpc.keepalive_timeout_ms", _MINUTE_MS // 3),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _MINUTE_MS // 6),
    ]
