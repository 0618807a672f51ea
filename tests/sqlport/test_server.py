"""Starting, stopping, TLS, users that change, and compress=1."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import ssl
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import lz4.block  # type: ignore[import-untyped]
import pytest
from prometheus_client import CollectorRegistry

from spanledger.config.units import Address
from spanledger.sqlport.compression import zstd
from spanledger.sqlport.server import SqlServer
from spanledger.sqlport.settings import SqlSettings, SqlUser
from spanledger_core.clock import SystemClock
from spanledger_core.errors import ConfigError
from spanledger_core.metrics import Metrics
from spanledger_exporter.store import Store
from spanledger_receiver.settings import TlsSettings

Serve = Callable[..., SqlServer]
HAS_CITYHASH = importlib.util.find_spec("clickhouse_cityhash") is not None


def test_an_address_that_is_taken_is_an_error_of_configuration(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigError, match=r"sql\.endpoint"):
        serve(endpoint=Address("127.0.0.1", taken.getsockname()[1]))


def test_stopping_frees_the_port_and_leaves_the_store_open(serve: Serve, store: Store) -> None:
    server = serve()
    server.stop()
    server.stop()
    again = serve(endpoint=Address("127.0.0.1", server.port))
    assert httpx.post(f"http://127.0.0.1:{again.port}/", content="SELECT 1", timeout=60).text == "1\n"
    with store.lease() as client:
        assert client.command("SELECT count() FROM calls") == 300


def test_ipv6_is_listened_on(serve: Serve) -> None:
    try:
        server = serve(endpoint=Address("::1", 0))
    except ConfigError as error:
        pytest.skip(f"no IPv6 loopback here: {error}")
    assert httpx.post(f"http://[::1]:{server.port}/", content="SELECT 1", timeout=60).text == "1\n"


def test_users_can_change_without_a_restart(store: Store) -> None:
    users = [SqlUser("ann", "old")]
    settings, path = SqlSettings(endpoint=Address("127.0.0.1", 0)), str(store.address.path)
    metrics = Metrics(CollectorRegistry())
    server = SqlServer(settings, path, store.address.database, metrics, SystemClock(), users=lambda: tuple(users))
    server.start()
    try:
        url = f"http://127.0.0.1:{server.port}/?query=SELECT+1"
        assert httpx.get(url, auth=("ann", "old"), timeout=60).status_code == 200
        users[0] = SqlUser("ann", "new")
        assert httpx.get(url, auth=("ann", "old"), timeout=60).status_code == 403
        assert httpx.get(url, auth=("ann", "new"), timeout=60).status_code == 200
        users[0] = SqlUser("ann", "")
        assert httpx.get(url, auth=("ann", ""), timeout=60).status_code == 403
        stranger = httpx.get(url, timeout=60)
        assert stranger.status_code == 401
        assert stranger.headers["www-authenticate"].startswith("Basic ")
    finally:
        server.stop()


def test_tls_and_client_certificates(serve: Serve, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    command = [
        openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
    ]  # fmt: skip
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=30)
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    context = ssl.create_default_context(cafile=cert)
    server = serve(tls=TlsSettings(cert, key))
    url = f"https://127.0.0.1:{server.port}/?query=SELECT+1"
    assert httpx.get(url, verify=context, timeout=60).text == "1\n"
    mutual = serve(tls=TlsSettings(cert, key, cert))
    url = f"https://127.0.0.1:{mutual.port}/?query=SELECT+1"
    with pytest.raises(httpx.TransportError):
        httpx.get(url, verify=context, timeout=60)
    context.load_cert_chain(cert, key)
    assert httpx.get(url, verify=context, timeout=60).text == "1\n"


def test_passwords_are_not_shown() -> None:
    assert "secret" not in repr(SqlSettings(users=(SqlUser("ann", "secret"),)))


@pytest.mark.parametrize("method", ["LZ4", "ZSTD"])
def test_clickhouses_own_compressed_blocks(http: httpx.Client, method: str) -> None:
    params = {"compress": "1", "network_compression_method": method, "query": "SELECT agent_id FROM calls"}
    answer = http.post("/", params=params)
    if not HAS_CITYHASH:
        assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (501, "48")
        assert "clickhouse-cityhash" in answer.text
        return
    kind, packed_size, plain_size = struct.unpack_from("<BII", answer.content, 16)
    packed = answer.content[25 : 16 + packed_size]
    unpack = {
        0x82: lambda: lz4.block.decompress(packed, uncompressed_size=plain_size),
        0x90: lambda: zstd.decompress(packed),
    }
    plain = unpack[kind]()
    assert plain.count(b"\n") == 300
    from clickhouse_cityhash.cityhash import CityHash128  # type: ignore[import-not-found]

    high, low = struct.unpack_from("<QQ", answer.content)
    assert CityHash128(answer.content[16 : 16 + packed_size]) == high << 64 | low
