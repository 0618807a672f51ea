"""What can go wrong between the stages, decided where it arises and mapped to protocol codes in one place.

SpanledgerError
├── InvalidRequest      the sender's bytes are wrong; the same bytes will always be refused
│   ├── TooLarge        a size limit was passed
│   └── Unauthenticated no valid credentials
├── Busy                nothing is wrong, but there is no room now; retry after `retry_after_s`
├── StoreError          the store answered with an error
│   ├── StoreUnavailable  try again later, nothing was decided
│   └── StoreRefused      the same statement will always fail
└── ConfigError         the operator must change something; lists every fault found
"""

from __future__ import annotations

from collections.abc import Sequence


class SpanledgerError(Exception):
    """Base of every error the project raises on purpose."""


class InvalidRequest(SpanledgerError):
    """A request that can never succeed as sent (gRPC INVALID_ARGUMENT, HTTP 400)."""


class TooLarge(InvalidRequest):
    """A request beyond a size limit (gRPC RESOURCE_EXHAUSTED without retry, HTTP 413)."""


class Unauthenticated(InvalidRequest):
    """Missing or wrong credentials (gRPC UNAUTHENTICATED, HTTP 401)."""


class Busy(SpanledgerError):
    """No room now; the sender should come back (gRPC RESOURCE_EXHAUSTED + RetryInfo, HTTP 429/503 + Retry-After)."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreError(SpanledgerError):
    """The store answered with an error; `code` is ClickHouse's numeric code where there is one."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class StoreUnavailable(StoreError):
    """The store could not be reached or is overloaded: retrying may help."""


class StoreRefused(StoreError):
    """The store understood and refused: retrying the same statement cannot help."""


class ConfigError(SpanledgerError):
    """Configuration that cannot be used; `faults` lists all of them, each with its place and the remedy."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)
