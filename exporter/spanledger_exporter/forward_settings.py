"""What an operator can set on forwarding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

MEBIBYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class ForwardSettings:
    """Where received spans go on to, and how much may wait."""

    endpoint: str
    """`http://host:port` or `https://host:port`; `/v1/traces` is added for HTTP."""
    protocol: Literal["grpc", "http/protobuf"] = "grpc"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent with every request; not shown, they hold credentials."""
    ca_file: Path | None = None
    """Authority of the other side's certificate; None: the public ones."""
    compress: bool = True
    """gzip."""
    timeout_s: float = 10.0
    """Longest wait for one answer."""
    max_queue_bytes: int = 64 * MEBIBYTE
    """Of requests that wait; beyond that the oldest are dropped."""
    max_request_bytes: int = 4 * MEBIBYTE
    """Larger requests are sent in parts: 4 MiB is what OpenTelemetry Collectors take over gRPC as shipped."""
    senders: int = 2
    """Requests under way at once."""
    first_retry_s: float = 1.0
    max_retry_s: float = 30.0
    """Retries double their pause from the first to this."""
    give_up_after_s: float = 300.0
    """A request that still fails after this is dropped."""
