"""Certificates of a listener, replaceable while it serves: the next connection gets the new ones."""

from __future__ import annotations

import ssl
from typing import Any

import grpc

from spanledger_receiver.settings import TlsSettings


def server_context(tls: TlsSettings) -> ssl.SSLContext:
    """What the files say now. Raises `OSError` (which `ssl.SSLError` is) if they cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.cert_file, tls.key_file)
    if tls.client_ca_file is not None:
        context.load_verify_locations(tls.client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class RenewableContext(ssl.SSLContext):
    """A context for asyncio's servers that hands every new connection to the latest one.

    A server keeps the context it was started with, and certificates can be added to that one, but an authority that
    is no longer trusted cannot be taken out of it.
    """

    def __new__(cls, tls: TlsSettings) -> RenewableContext:
        """Raises `OSError` if the files cannot be used."""
        self = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        self._tls = tls
        self.renew()
        return self

    _tls: TlsSettings
    _latest: ssl.SSLContext

    def renew(self) -> None:
        """Read the files again. Raises `OSError` if they cannot be used; then the old ones stay."""
        self._latest = server_context(self._tls)

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """What asyncio calls for a connection."""
        return self._latest.wrap_bio(*args, **kwargs)


class GrpcCertificates:
    """The same for a gRPC server, which asks before every handshake whether there are new ones."""

    def __init__(self, tls: TlsSettings) -> None:
        self._tls = tls
        self._fresh: grpc.ServerCertificateConfiguration | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """For `add_secure_port`. Raises `OSError` if the files cannot be used."""
        mutual = self._tls.client_ca_file is not None
        return grpc.dynamic_ssl_server_credentials(self._read(), self._take_fresh, require_client_authentication=mutual)

    def renew(self) -> None:
        """Read the files again. Raises `OSError` if they cannot be used; then the old ones stay."""
        self._fresh = self._read()

    def _take_fresh(self) -> grpc.ServerCertificateConfiguration | None:
        fresh, self._fresh = self._fresh, None
        return fresh

    def _read(self) -> grpc.ServerCertificateConfiguration:
        tls = self._tls
        server_context(tls)  # gRPC itself would take anything, and then refuse every connection
        authority = tls.client_ca_file.read_bytes() if tls.client_ca_file else None
        pair = (tls.key_file.read_bytes(), tls.cert_file.read_bytes())
        return grpc.ssl_server_certificate_configuration([pair], authority)
