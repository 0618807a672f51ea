"""The examination behind `spanledger doctor`: the collector, the machine, the store, the prices, the traffic."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx

from spanledger.cli import traffic
from spanledger.cli.findings import Finding, fail, ok, warn
from spanledger.cli.target import QueryTarget, collector_to_ask, open_target, rows
from spanledger.config.exposure import exposure_warnings
from spanledger.config.model import Config
from spanledger.config.units import Address
from spanledger_core.clock import Clock
from spanledger_core.errors import ConfigError, SpanledgerError, StoreRefused
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.sql import query_text

_GIB: Final = 1024**3
_TIMEOUT_S: Final = 3.0
_SKEW_MS: Final = 5000
_PROJECT_START_NS: Final = 1_735_689_600 * 10**9
"""2025-01-01: no machine that runs this is older."""


def examine(config: Config, clock: Clock) -> list[Finding]:
    """Everything that can be looked at from here, in the order a reader would ask."""
    base = f"http://{_reachable(config.telemetry.endpoint)}"
    is_up = _answers(base)
    findings = [*_collector(base, is_up), *_ports(config, is_up)]
    findings += [warn("exposure", text, "see docs/configuration.md") for text in exposure_warnings(config)]
    findings += [*_clock(clock), *_data_dir(config.data_dir), *_prices(config), *_store(config, clock)]
    if is_up:
        findings += traffic.of_metrics(_metrics(base))
    return findings


def _reachable(endpoint: Address) -> Address:
    """A port that listens everywhere is asked on loopback."""
    return endpoint._replace(host={"0.0.0.0": "127.0.0.1", "::": "::1"}.get(endpoint.host, endpoint.host))  # noqa: S104


def _answers(base: str) -> bool:
    try:
        return "status" in httpx.get(f"{base}/healthz", timeout=_TIMEOUT_S, trust_env=False).text
    except httpx.TransportError:
        return False


def _collector(base: str, is_up: bool) -> Iterator[Finding]:
    if not is_up:
        yield warn("collector", f"none answers at {base}", "start it: spanledger serve")
        return
    for path, meaning in (("healthz", "works"), ("readyz", "takes spans")):
        try:
            reply = httpx.get(f"{base}/{path}", timeout=_TIMEOUT_S, trust_env=False)
        except httpx.TransportError as error:
            yield fail("collector", f"{base}/{path}: {error}", "see its log")
            continue
        if reply.status_code == 200:
            yield ok("collector", f"{meaning} ({base}/{path})")
        else:
            yield fail("collector", f"{path}: {reply.text[:500]}", "see its log")


def _ports(config: Config, is_up: bool) -> Iterator[Finding]:
    """With a collector its ports must answer; without one they must be free."""
    protocols = config.receivers.otlp.protocols
    ports = [("OTLP/gRPC", protocols.grpc.endpoint), ("OTLP/HTTP", protocols.http.endpoint)]
    if config.store.get_secret_value().startswith("chdb"):
        ports.append(("SQL", config.sql.endpoint))
    if not is_up:
        ports.append(("telemetry", config.telemetry.endpoint))
    for name, endpoint in ports:
        taken = _connects(_reachable(endpoint))
        if is_up and not taken:
            yield fail(
                f"port {name}", f"nothing answers at {endpoint}", "is it the configuration the collector runs with?"
            )
        elif taken and not is_up:
            yield fail(f"port {name}", f"{endpoint} is taken by another program", "stop it, or choose another endpoint")
        else:
            yield ok(f"port {name}", f"{endpoint} {'answers' if taken else 'is free'}")


def _connects(endpoint: Address) -> bool:
    try:
        socket.create_connection(endpoint, _TIMEOUT_S).close()
    except OSError:
        return False
    return True


def _clock(clock: Clock) -> Iterator[Finding]:
    if clock.now_ns() < _PROJECT_START_NS:
        yield fail(
            "clock", "this machine believes it is before 2025", "set it; spans would be refused as in the future"
        )


def _data_dir(data_dir: Path) -> Iterator[Finding]:
    home = next(folder for folder in (data_dir.absolute(), *data_dir.absolute().parents) if folder.exists())
    if not home.is_dir() or not os.access(home, os.W_OK | os.X_OK):
        yield fail("data directory", f"{home} cannot be written", "change its owner, or set data_dir")
        return
    free = shutil.disk_usage(home).free
    says = f"{data_dir}: writable, {free / _GIB:.1f} GiB free"
    if free < _GIB:
        yield fail("data directory", says, "make room: the spool and the store need at least 1 GiB")
    elif free < 10 * _GIB:
        yield warn("data directory", says, "make room, or shorten retention_days")
    else:
        yield ok("data directory", says)
    refused = sum(1 for _ in (data_dir / "dead-letters").glob("*.jsonl"))
    if refused:
        yield warn(
            "dead letters",
            f"{refused} files of rows that the store refused, in {data_dir / 'dead-letters'}",
            "each says why in its first line; see docs/reliability.md",
        )


def _prices(config: Config) -> Iterator[Finding]:
    from spanledger.configured_prices import price_book

    try:
        book = price_book(config)
    except ConfigError as error:
        for fault in error.faults:
            yield fail("prices", fault, "mend the file; spanledger prices check names every fault")
        return
    yield ok("prices", f"{book.version}, {len(config.prices.files)} files of your own")


def _store(config: Config, clock: Clock) -> Iterator[Finding]:
    address = StoreAddress.parse(config.store_url, config.data_dir)
    if address.path is not None and not address.path.exists() and collector_to_ask(config, address) is None:
        yield ok("store", f"none yet at {address.path}; the collector makes it")
        return
    try:
        with open_target(config) as target:
            yield from _asked(target, clock)
    except StoreRefused as error:
        yield fail("store", str(error), "may this user read it, and are its tables there (spanledger migrate)?")
    except SpanledgerError as error:
        yield fail("store", str(error), "is it running, and is its address right?")


def _asked(target: QueryTarget, clock: Clock) -> Iterator[Finding]:
    from spanledger_exporter.migrations import known_migrations

    (about,) = rows(target, query_text("doctor_store"))
    here, newest = int(about["schema_version"]), max(migration.version for migration in known_migrations())
    says = f"{target.where}: ClickHouse {about['engine']}, schema {here}, {int(about['calls']):,} calls in 7 days"
    if here < newest:
        yield warn("store", says, f"run spanledger migrate: this version knows schema {newest}")
    elif here > newest:
        yield fail("store", says, f"upgrade spanledger: this version knows schema {newest} only")
    else:
        yield ok("store", says)
    skew_ms = int(about["now_ms"]) - clock.now_ns() // 1_000_000
    if abs(skew_ms) > _SKEW_MS:
        yield warn("clock", f"the store's differs by {skew_ms / 1000:.0f} s", "synchronise both (chrony, ntpd)")
    yield from traffic.of_unpriced(rows(target, query_text("doctor_unpriced")))
    yield from traffic.of_scopes(rows(target, query_text("doctor_scopes")))


def _metrics(base: str) -> Sequence[tuple[str, Mapping[str, str], float]]:
    from prometheus_client.parser import text_string_to_metric_families

    try:
        text = httpx.get(f"{base}/metrics", timeout=_TIMEOUT_S, trust_env=False).text
        families: Any = text_string_to_metric_families(text)
        return [(sample.name, sample.labels, sample.value) for family in families for sample in family.samples]
    except (httpx.TransportError, ValueError):
        return []
