"""Where a question goes: the collector that has the store open, a ClickHouse server, or the store itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol, Self, TypeAlias

from spanledger import address as sql_address
from spanledger.config.model import Config
from spanledger_core.errors import StoreError, StoreRefused, StoreUnavailable
from spanledger_exporter.address import StoreAddress

Parameters: TypeAlias = Mapping[str, str | int]
_CONNECT_TIMEOUT_S: Final = 5.0
_QUERY_TIMEOUT_S: Final = 600.0
_LOCAL_VERIFY: Final = False
"""This machine's own collector, by an address that only its owner can leave: its certificate names other hosts."""
_READONLY: Final = 164
"""ClickHouse's code for a setting that a read-only user may not touch."""
_NOT_THERE_YET: Final = frozenset({60, 81})
"""UNKNOWN_TABLE, UNKNOWN_DATABASE."""


class QueryTarget(Protocol):
    """Answers SQL, reading only."""

    where: str
    """For people; holds no password."""

    def query(self, sql: str, parameters: Parameters | None = None, fmt: str | None = None) -> bytes:
        """The result in a ClickHouse output format; without `fmt`, the one the statement names, else TabSeparated.

        `{name:Type}` in `sql` takes its value from `parameters`. Raises `StoreRefused` or `StoreUnavailable`.
        """

    def close(self) -> None:
        """Let go of it."""


def rows(target: QueryTarget, sql: str, parameters: Parameters | None = None) -> list[dict[str, Any]]:
    """The rows of a query by column name. Decimals and integers are exact; no float is made on the way."""
    result = json.loads(target.query(sql, parameters, "JSONCompact"), parse_float=Decimal)
    names = [column["name"] for column in result["meta"]]
    return [dict(zip(names, row, strict=True)) for row in result["data"]]


@contextmanager
def open_target(config: Config) -> Iterator[QueryTarget]:
    """The target that `config.store` means; a collector that runs on the embedded store is asked instead of it.

    Raises `StoreUnavailable` where there is nothing to ask.
    """
    target = _target(config)
    try:
        yield target
    finally:
        target.close()


def _target(config: Config) -> QueryTarget:
    store = StoreAddress.parse(config.store_url, config.data_dir)
    if store.kind == "server":
        return HttpTarget.of_server(store)
    running = collector_to_ask(config, store)
    return HttpTarget.of_collector(running) if running is not None else EmbeddedTarget(store)


def collector_to_ask(config: Config, store: StoreAddress) -> sql_address.SqlAddress | None:
    """The collector that runs on the embedded `store`; where nobody named a store, the one of `data_dir` on any."""
    running = running_collector(config.data_dir, store.path)
    if running is not None or "store" in config.model_fields_set:
        return running
    address = sql_address.read(config.data_dir)
    is_there = address is not None and sql_address.is_alive(address.pid) and _listens(address.url)
    return address if is_there else None


def running_collector(data_dir: Path, store: Path | None) -> sql_address.SqlAddress | None:
    """The collector that has the embedded store at `store` open (None: in its memory), if one runs and answers."""
    for folder in dict.fromkeys((data_dir, store.parent) if store is not None else (data_dir,)):
        address = sql_address.read(folder)
        if address is None or not sql_address.is_alive(address.pid):
            continue
        if _same_store(address.store or str(folder / "store"), store) and _listens(address.url):
            return address
    return None


def _same_store(said: str, store: Path | None) -> bool:
    if store is None or said == sql_address.IN_MEMORY:
        return store is None and said == sql_address.IN_MEMORY
    return Path(said).resolve() == store.resolve()


def _listens(url: str) -> bool:
    """False where the port refuses: the address is a left-over. A port that is merely slow does listen."""
    import httpx

    try:
        reply = httpx.get(f"{url}/ping", timeout=_CONNECT_TIMEOUT_S, trust_env=False, verify=_LOCAL_VERIFY)
        return reply.status_code < 500
    except httpx.TimeoutException:
        return True
    except (httpx.TransportError, httpx.InvalidURL):
        return False


def refuse_while_running(config: Config, because: str) -> None:
    """Raises `StoreUnavailable` if a collector has the embedded store open; `because` says what it did already."""
    store = StoreAddress.parse(config.store_url, config.data_dir)
    running = running_collector(config.data_dir, store.path) if store.kind == "embedded" else None
    if running is not None:
        raise StoreUnavailable(
            f"the collector at {running.url} (process {running.pid}) has this store open; it {because}"
        )


class HttpTarget:
    """ClickHouse's HTTP protocol: a server, or the SQL port of a collector."""

    def __init__(self, where: str, url: str, database: str, user: str, password: str, **options: Any) -> None:
        import httpx

        self.where = where
        self._extra: dict[str, str] = {}
        # as bytes: names and passwords may hold any letters
        headers = {b"X-ClickHouse-User": user.encode(), b"X-ClickHouse-Key": password.encode()} if user else {}
        self._database = database
        self._client = httpx.Client(
            base_url=url,
            headers=headers,
            timeout=httpx.Timeout(_QUERY_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S),
            **options,
        )

    @classmethod
    def of_collector(cls, address: sql_address.SqlAddress) -> Self:
        """The SQL port of a running collector. It reads only by itself."""
        where = f"the collector at {address.url}"
        return cls(
            where,
            address.url,
            address.database,
            address.user,
            address.password,
            trust_env=False,
            verify=_LOCAL_VERIFY,
        )

    @classmethod
    def of_server(cls, store: StoreAddress) -> Self:
        """A ClickHouse server, asked to change nothing."""
        options = dict(store.options)
        host = f"[{store.host}]" if ":" in store.host else store.host
        target = cls(
            str(store),
            f"http{'s' if store.secure else ''}://{host}:{store.port}",
            store.database,
            store.user,
            store.password,
            verify=options.get("ca_cert", True),
            cert=(options["client_cert"], options.get("client_cert_key")) if "client_cert" in options else None,
        )
        target._extra = {"readonly": "2", "wait_end_of_query": "1"}
        return target

    def query(self, sql: str, parameters: Parameters | None = None, fmt: str | None = None) -> bytes:
        """Send it; see `QueryTarget`."""
        given = {f"param_{name}": _escaped(value) for name, value in (parameters or {}).items()}
        asked = {"database": self._database, **self._extra, **given}
        if fmt is not None:
            asked["default_format"] = fmt
        try:
            return self._post(sql, asked)
        except StoreRefused as error:
            if error.code != _READONLY or "'readonly'" not in str(error):
                raise
            # This user may only read, and not even say so.
            self._extra.pop("readonly", None)
            asked.pop("readonly", None)
            return self._post(sql, asked)

    def _post(self, sql: str, asked: Mapping[str, str]) -> bytes:
        import httpx

        try:
            reply = self._client.post("/", params=dict(asked), content=sql.encode())
        except httpx.TransportError as error:
            raise StoreUnavailable(f"{self.where} cannot be reached: {error}") from error
        if reply.status_code == 200 and "X-ClickHouse-Exception-Code" not in reply.headers:
            return reply.content
        raise _refusal(reply.status_code, reply.headers.get("X-ClickHouse-Exception-Code", ""), reply.text)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _refusal(status: int, code: str, text: str) -> StoreError:
    message = text.strip()[:2000] or f"HTTP {status}"
    if not code.isdigit():
        kind = StoreUnavailable if status >= 500 else StoreRefused
        return kind(f"the store answered HTTP {status}: {message}")
    return StoreRefused(_with_remedy(message, int(code)), int(code))


def _with_remedy(message: str, code: int | None) -> str:
    if code in _NOT_THERE_YET:
        return f"{message}\nIf this store has no tables yet, start a collector on it or run: spanledger migrate"
    return message


def _escaped(value: str | int) -> str:
    """A parameter as ClickHouse reads it: escaped like a TabSeparated field."""
    text = str(value)
    for plain, written in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"), ("\0", "\\0")):
        text = text.replace(plain, written)
    return text


class EmbeddedTarget:
    """The embedded store, opened by this process because no collector has it open."""

    def __init__(self, store: StoreAddress) -> None:
        if store.path is not None and not store.path.is_dir():
            raise StoreUnavailable(
                f"there is no store at {store.path}: start one with 'spanledger serve', or name another with --store"
            )
        from spanledger.cli.stores import open_embedded

        self.where = str(store)
        try:
            self._store = open_embedded(store)
        except StoreError as error:
            # the engine says no more than that it could not start
            raise StoreUnavailable(
                f"{store} cannot be opened: {error}\nIf another process has it open (a collector that left no address "
                "beside it), ask that one: --store clickhouse://HOST:PORT/DATABASE"
            ) from error
        if store.path is None:
            self._store.migrate()

    def query(self, sql: str, parameters: Parameters | None = None, fmt: str | None = None) -> bytes:
        """Ask the engine; see `QueryTarget`."""
        try:
            with self._store.lease() as client:
                return client.raw_query(sql, dict(parameters or {}), settings={"readonly": 2}, fmt=fmt)
        except StoreRefused as error:
            raise StoreRefused(_with_remedy(str(error), error.code), error.code) from error

    def close(self) -> None:
        """Close the engine."""
        self._store.close()
