"""Which ports other machines can reach, and whether that was said on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from spanledger.config.model import Config, Listener
from spanledger.config.units import Address


class _Port(NamedTuple):
    key: str
    endpoint: Address
    listener: Listener
    credentials: bool


def _ports(config: Config) -> Iterator[_Port]:
    otlp = config.receivers.otlp
    tokens = bool(otlp.auth.tokens)
    yield _Port("receivers.otlp.protocols.grpc", otlp.protocols.grpc.endpoint, otlp.protocols.grpc, tokens)
    yield _Port("receivers.otlp.protocols.http", otlp.protocols.http.endpoint, otlp.protocols.http, tokens)
    if config.store.get_secret_value().startswith("chdb"):
        yield _Port("sql", config.sql.endpoint, config.sql, bool(config.sql.users))


def exposure_faults(config: Config) -> list[str]:
    """Ports that strangers could use without anybody having said so."""
    return [
        f"{port.key}.endpoint: {port.endpoint} can be reached from other machines without TLS or credentials; "
        f"{_remedy(port.key)}, or, on a network you trust, set {port.key}.insecure: true"
        for port in _ports(config)
        if not port.endpoint.is_loopback
        and not (port.credentials or port.listener.tls is not None or port.listener.insecure)
    ]


def _remedy(key: str) -> str:
    return "set sql.users or sql.tls" if key == "sql" else f"set receivers.otlp.auth.tokens or {key}.tls"


def exposure_warnings(config: Config) -> list[str]:
    """What was allowed on purpose and should be seen at every start."""
    warnings = []
    for port in _ports(config):
        tls = port.listener.tls
        if port.endpoint.is_loopback:
            continue
        if port.credentials and tls is None:
            warnings.append(
                f"{port.key}: credentials cross the network in clear text on {port.endpoint}; set {port.key}.tls"
            )
        elif not port.credentials and (tls is None or tls.client_ca_file is None):
            warnings.append(f"{port.key}: everybody who can reach {port.endpoint} can use it; {_remedy(port.key)}")
    telemetry = config.telemetry.endpoint
    if not telemetry.is_loopback:
        # its pages hold no secret and name no tenant, so probes need not say anything to be let in
        warnings.append(
            f"telemetry: everybody who can reach {telemetry} can read health and metrics; let only probes and "
            "Prometheus reach it"
        )
    return warnings
