"""The other side: an OTLP endpoint over gRPC or HTTP, and what its answers mean."""

from __future__ import annotations

import gzip
import ssl
from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import urlsplit

import grpc
import httpx
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from spanledger_core import rpc_status
from spanledger_exporter.forward_settings import ForwardSettings

_EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_TRACES_PATH: Final = "/v1/traces"
_FAST: Final = 1
"""gzip level: telemetry shrinks to a fifth at the lowest already."""

# OTLP specification, "Failures" (gRPC) and "Retryable Response Codes" (HTTP)
_RETRYABLE_GRPC: Final = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
_RETRYABLE_HTTP: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


class SendFailed(Exception):
    """The other side did not take a request. The text names the code, not the answer: it may repeat content."""

    def __init__(self, code: str, *, retryable: bool, retry_after_s: float | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.retryable = retryable
        self.retry_after_s = retry_after_s


class Target(Protocol):
    """Where requests go."""

    def send(self, body: bytes) -> int:
        """Send an ExportTraceServiceRequest; how many of its spans were rejected. Raises `SendFailed`."""

    def close(self) -> None:
        """Break off what is under way and let go of connections."""


def open_target(settings: ForwardSettings) -> Target:
    """The target that the settings name; connects when the first request is sent."""
    return GrpcTarget(settings) if settings.protocol == "grpc" else HttpTarget(settings)


class GrpcTarget:
    """OTLP/gRPC."""

    def __init__(self, settings: ForwardSettings) -> None:
        url = urlsplit(settings.endpoint)
        if url.scheme == "https":
            authority = settings.ca_file.read_bytes() if settings.ca_file else None
            self._channel = grpc.secure_channel(url.netloc, grpc.ssl_channel_credentials(authority))
        else:
            self._channel = grpc.insecure_channel(url.netloc)
        self._export = self._channel.unary_unary(_EXPORT)
        self._metadata = [(name.lower(), value) for name, value in settings.headers.items()]
        self._compression = grpc.Compression.Gzip if settings.compress else grpc.Compression.NoCompression
        self._timeout_s = settings.timeout_s

    def send(self, body: bytes) -> int:
        """See `Target`."""
        try:
            answer = self._export(body, timeout=self._timeout_s, metadata=self._metadata, compression=self._compression)
        except grpc.RpcError as error:
            raise _grpc_failure(error) from None
        except ValueError:  # grpcio's word for a closed channel
            raise SendFailed("CLOSED", retryable=False) from None
        return _rejected(answer)

    def close(self) -> None:
        """See `Target`."""
        self._channel.close()


class HttpTarget:
    """OTLP/HTTP with protobuf bodies."""

    def __init__(self, settings: ForwardSettings) -> None:
        base = settings.endpoint.rstrip("/")
        self._url = base if base.endswith(_TRACES_PATH) else base + _TRACES_PATH
        headers = {**settings.headers, "content-type": "application/x-protobuf"}
        if settings.compress:
            headers["content-encoding"] = "gzip"
        self._compress = settings.compress
        self._client = httpx.Client(
            headers=headers, timeout=settings.timeout_s, verify=_verification(settings), follow_redirects=False
        )

    def send(self, body: bytes) -> int:
        """See `Target`."""
        try:
            answer = self._client.post(self._url, content=gzip.compress(body, _FAST) if self._compress else body)
        except httpx.HTTPError as error:
            raise SendFailed(type(error).__name__, retryable=True) from None
        except RuntimeError:  # httpx's word for a closed client
            raise SendFailed("CLOSED", retryable=False) from None
        if not answer.is_success:
            delay = _seconds(answer.headers.get("retry-after"))
            raise SendFailed(
                f"HTTP {answer.status_code}", retryable=answer.status_code in _RETRYABLE_HTTP, retry_after_s=delay
            )
        return _rejected(answer.content)

    def close(self) -> None:
        """See `Target`."""
        self._client.close()


def _grpc_failure(error: grpc.RpcError) -> SendFailed:
    code = error.code()
    details = next((value for key, value in error.trailing_metadata() or () if key == rpc_status.DETAILS_KEY), None)
    delay = rpc_status.retry_after(details) if isinstance(details, bytes) else None
    # RESOURCE_EXHAUSTED is a size limit or a full queue: only the one with a delay is worth a retry
    retryable = code in _RETRYABLE_GRPC or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and delay is not None)
    return SendFailed(code.name, retryable=retryable, retry_after_s=delay)


def _rejected(answer: bytes) -> int:
    try:
        return max(0, ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans)
    except DecodeError:  # it said yes; what else it said is its own affair
        return 0


def _seconds(header: str | None) -> float | None:
    """Retry-After in seconds; its other form, a date, is left to our own back-off."""
    return float(header) if header is not None and header.isascii() and header.isdigit() else None


def _verification(settings: ForwardSettings) -> ssl.SSLContext | bool:
    return True if settings.ca_file is None else ssl.create_default_context(cafile=settings.ca_file)
