"""What an operator decides about the SQL endpoint."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final

from spanledger.config.units import Address
from spanledger_receiver.settings import TlsSettings

_LOCAL: Final = Address("127.0.0.1", 8123)
_HASHED: Final = "sha256:"
_MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True)
class SqlUser:
    """Who may query. Every user is read-only; `tenant` confines one to rows of that tenant."""

    name: str
    password: str | None = field(default=None, repr=False)
    """Plain, or `sha256:` and 64 hex digits; None: no password is asked for; empty: none is right."""
    tenant: str | None = None

    def accepts(self, password: str) -> bool:
        """Whether `password` is right; takes the same time whichever byte is wrong."""
        own = self.password or ""
        given = hashlib.sha256(password.encode()).hexdigest()
        known = own.removeprefix(_HASHED).lower()
        if not own.startswith(_HASHED):
            known = hashlib.sha256(own.encode()).hexdigest()
        return hmac.compare_digest(given, known) and self.password != ""


@dataclass(frozen=True)
class SqlSettings:
    """Address, users and limits of the endpoint. Limits hold per query; a request may lower them, never raise them."""

    endpoint: Address = _LOCAL
    """Port 0: any free one."""
    users: tuple[SqlUser, ...] = (SqlUser("default"),)
    max_execution_time_s: float = 60.0
    max_memory_bytes: int = 2048 * _MEBIBYTE
    max_result_bytes: int = 256 * _MEBIBYTE
    max_request_bytes: int = 1 * _MEBIBYTE
    """Of the SQL text, compressed and decompressed."""
    concurrency: int = 4
    """Queries that run at one time."""
    max_waiting: int = 32
    """Queries that may wait for one of those places; more are refused."""
    max_sessions: int = 1000
    tenant_tables: tuple[str, ...] = ("calls", "hourly", "hourly_customer", "budgets")
    """What users with a tenant may read: relations that have a column `tenant_id`."""

    max_connections: int = 256
    request_timeout_s: float = 30.0
    """From a request's first byte to its last; the query's own time is `max_execution_time_s`."""
    keep_alive_s: float = 75.0
    slow_client_s: float = 60.0
    """How long a query waits for its client to read on."""
    tls: TlsSettings | None = None
