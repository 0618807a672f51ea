"""What an operator can set on the receivers. Frozen: a change makes a new server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

MEBIBYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """A server certificate; with `client_ca_file` only clients with a certificate of that authority get in (mTLS)."""

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class GrpcSettings:
    """OTLP/gRPC. `endpoint` is `host:port`, IPv6 hosts in brackets; port 0 takes a free one."""

    endpoint: str = "127.0.0.1:4317"
    max_request_bytes: int = 16 * MEBIBYTE
    """Of one request after decompression."""
    workers: int = 32
    """Requests served at once. A worker is held while its client sends and while the commit lasts."""
    request_timeout_s: float = 30.0
    """How long a client may take to send one request."""
    reuse_port: bool = False
    """Several receiver processes on one port (SO_REUSEPORT); the kernel spreads connections, not requests."""
    tls: TlsSettings | None = None


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """OTLP/HTTP. `endpoint` is `host:port`, IPv6 hosts in brackets; port 0 takes a free one."""

    endpoint: str = "127.0.0.1:4318"
    max_request_bytes: int = 16 * MEBIBYTE
    """Of one request, as sent and after decompression."""
    max_buffered_bytes: int = 256 * MEBIBYTE
    """Of all requests that are being read or wait for a worker; beyond that clients are told to come back."""
    workers: int = 8
    """Requests decoded and committed at once."""
    request_timeout_s: float = 30.0
    """How long a client may take to send one request, head and body."""
    keep_alive_s: float = 75.0
    """How long an idle connection stays open: longer than exporters wait between two batches (5 to 60 s)."""
    max_connections: int = 4096
    """Open at once; beyond that the longest idle one is closed for a new one."""
    reuse_port: bool = False
    tls: TlsSettings | None = None
