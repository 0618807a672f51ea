"""HTTP connections to a server that take no one else's word for ClickHouse's.

A status of 200 alone confirms nothing: maintenance pages and default backends of proxies have it too, and an empty page
would read as an empty result, or as an insert that was carried out. Whatever ClickHouse answers carries headers of its
own.
"""

from __future__ import annotations

from typing import Any, Final

from clickhouse_connect.driver import httputil
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.exceptions import HTTPError

from spanledger_exporter.address import StoreAddress

_SIGN: Final = "x-clickhouse-"


class NotClickHouse(HTTPError):
    """Somebody answered in ClickHouse's place."""


def _checked(response: BaseHTTPResponse) -> BaseHTTPResponse:
    """Raises `NotClickHouse` for a success that is not ClickHouse's or not whole, and for being sent elsewhere."""
    if response.status >= 400:
        return response
    fault = ""
    if response.status >= 300 or not any(name.lower().startswith(_SIGN) for name in response.headers):
        fault = "is not ClickHouse's: what stands before it?"
    elif not _tells_its_end(response):
        # the library takes headers that end in the middle for all of them, and would read on: nothing, an empty result
        fault = "was cut"
    if not fault:
        return response
    response.close()
    raise NotClickHouse(f"an answer with status {response.status} {fault}")


def _tells_its_end(response: BaseHTTPResponse) -> bool:
    headers = response.headers
    return headers.get("content-length", "").isdecimal() or headers.get("transfer-encoding", "").lower() == "chunked"


class _Http(HTTPConnectionPool):
    def urlopen(self, *arguments: Any, **named: Any) -> BaseHTTPResponse:
        """As the library's, checked."""
        return _checked(super().urlopen(*arguments, **named))


class _Https(HTTPSConnectionPool):
    def urlopen(self, *arguments: Any, **named: Any) -> BaseHTTPResponse:
        """As the library's, checked."""
        return _checked(super().urlopen(*arguments, **named))


def pool_of(address: StoreAddress) -> PoolManager:
    """Connections to the server at `address`, through the proxy that the environment names, if it does."""
    scheme = "https" if address.secure else "http"
    proxy = httputil.check_env_proxy(scheme, address.host, address.port)
    options: dict[str, Any] = {**dict(address.options), f"{scheme}_proxy": proxy}
    manager: PoolManager = httputil.get_pool_manager(**options)
    manager.pool_classes_by_scheme = {"http": _Http, "https": _Https}
    return manager
