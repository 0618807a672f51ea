"""TLS and client certificates on both servers, with certificates made by openssl."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanledger_core.errors import ConfigError
from spanledger_receiver.settings import TlsSettings

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
MakeRequest = Callable[..., ExportTraceServiceRequest]


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=30)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority (ca), a server and a client certificate of it, and a stranger's."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificates")
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    for name in ("ca", "stranger"):
        _openssl(
            folder, "req", "-x509", *new, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
        )  # fmt: skip
    for name in ("server", "client"):
        _openssl(
            folder, "req", "-x509", *new, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-CA", "ca.pem", "-CAkey", "ca.key",
        )  # fmt: skip
    return folder


def _tls(folder: Path, *, mutual: bool) -> TlsSettings:
    return TlsSettings(folder / "server.pem", folder / "server.key", folder / "ca.pem" if mutual else None)


def _send_grpc(receiver: Any, folder: Path, body: bytes, client: str | None = None) -> bytes:
    pair = [(folder / f"{client}{suffix}").read_bytes() for suffix in (".key", ".pem")] if client else [None, None]
    credentials = grpc.ssl_channel_credentials((folder / "ca.pem").read_bytes(), *pair)
    with grpc.secure_channel(receiver.address, credentials) as channel:
        return bytes(channel.unary_unary(EXPORT)(body, timeout=30))


def _send_http(receiver: Any, folder: Path, body: bytes, client: str | None = None) -> int:
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    if client:
        context.load_cert_chain(folder / f"{client}.pem", folder / f"{client}.key")
    headers = {"content-type": "application/x-protobuf"}
    return httpx.post(
        f"{receiver.url}/v1/traces", content=body, headers=headers, verify=context, timeout=60
    ).status_code


def test_grpc_over_tls(start_grpc: Any, certificates: Path, make_request: MakeRequest) -> None:
    receiver = start_grpc(tls=_tls(certificates, mutual=False))
    assert _send_grpc(receiver, certificates, make_request().SerializeToString()) == b""


def test_grpc_lets_in_only_certificates_of_its_authority(
    start_grpc: Any, certificates: Path, make_request: MakeRequest
) -> None:
    receiver = start_grpc(tls=_tls(certificates, mutual=True))
    body = make_request().SerializeToString()
    for client in (None, "stranger"):
        with pytest.raises(grpc.RpcError) as raised:
            _send_grpc(receiver, certificates, body, client)
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert _send_grpc(receiver, certificates, body, "client") == b""
    assert len(receiver.sink.spans) == 1


def test_http_over_tls(start_http: Any, certificates: Path, make_request: MakeRequest) -> None:
    receiver = start_http(tls=_tls(certificates, mutual=False))
    assert _send_http(receiver, certificates, make_request().SerializeToString()) == 200


def test_http_lets_in_only_certificates_of_its_authority(
    start_http: Any, certificates: Path, make_request: MakeRequest
) -> None:
    receiver = start_http(tls=_tls(certificates, mutual=True))
    body = make_request().SerializeToString()
    for client in (None, "stranger"):
        with pytest.raises(httpx.TransportError):
            _send_http(receiver, certificates, body, client)
    assert _send_http(receiver, certificates, body, "client") == 200
    assert len(receiver.sink.spans) == 1


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_certificates_that_cannot_be_used_are_a_configuration_error(
    transport: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    start = request.getfixturevalue(f"start_{transport}")
    (tmp_path / "bad.pem").write_text("no certificate")
    for name in ("missing.pem", "bad.pem"):
        with pytest.raises(ConfigError, match="cannot listen"):
            start(tls=TlsSettings(tmp_path / name, tmp_path / name))


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_renewed_certificates_serve_the_next_connection_and_another_authority_replaces_the_old(
    transport: str, request: pytest.FixtureRequest, certificates: Path, make_request: MakeRequest, tmp_path: Path
) -> None:
    """A client of the stranger's authority gets in, and one of the old authority does not any more."""
    for name in ("server", "ca", "stranger", "client"):
        for suffix in (".pem", ".key"):
            shutil.copy(certificates / f"{name}{suffix}", tmp_path)
    receiver = request.getfixturevalue(f"start_{transport}")(tls=_tls(tmp_path, mutual=True))
    send = partial(_send_grpc if transport == "grpc" else _send_http, receiver)
    body = make_request().SerializeToString()
    send(tmp_path, body, "client")

    shutil.copy(certificates / "stranger.pem", tmp_path / "ca.pem")
    (tmp_path / "server.pem").write_text("half of a certific")
    with pytest.raises(OSError, match="PEM"):
        receiver.server.renew_certificates()
    send(certificates, body, "client")

    for name in ("server.pem", "server.key"):
        shutil.copy(certificates / name.replace("server", "stranger"), tmp_path / name)
    receiver.server.renew_certificates()
    with pytest.raises((grpc.RpcError, httpx.TransportError)):
        send(certificates, body, "client")  # trusts the old authority only, and is itself of it
    with pytest.raises((grpc.RpcError, httpx.TransportError)):
        send(tmp_path, body, "client")  # trusts the new server, and is of the old authority
    send(tmp_path, body, "stranger")
    assert len(receiver.sink.spans) == 3
