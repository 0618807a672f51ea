"""Where a store is: the `--store` value, parsed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from spanledger_core.errors import ConfigError

DEFAULT_DATABASE: Final = "spanledger"
_PORTS: Final = {"clickhouse": 8123, "clickhouses": 8443}
_SERVER_OPTIONS: Final = frozenset({"ca_cert", "client_cert", "client_cert_key"})
_FORMS: Final = (
    "chdb, chdb:///abs/dir, chdb://memory, clickhouse://user:password@host:8123/database or clickhouses://..."
)


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """A parsed store address. Its text forms never hold the password."""

    kind: Literal["embedded", "server"]
    database: str = DEFAULT_DATABASE
    path: Path | None = None
    """Embedded: the directory; None keeps everything in memory."""
    host: str = ""
    port: int = 0
    secure: bool = False
    user: str = "default"
    password: str = field(default="", repr=False)
    options: tuple[tuple[str, str], ...] = ()
    """Server: `ca_cert`, `client_cert`, `client_cert_key` (paths of PEM files)."""

    @classmethod
    def parse(cls, dsn: str, data_dir: Path) -> StoreAddress:
        """The address `dsn` means; plain `chdb` is `data_dir`/store. Raises `ConfigError`, which never quotes `dsn`."""
        if dsn == "chdb":
            return _embedded_in((data_dir / "store").absolute(), DEFAULT_DATABASE)
        try:
            parts = urlsplit(dsn)
            if parts.scheme == "chdb":
                return _embedded(parts)
            if parts.scheme in _PORTS:
                return _server(parts)
        except ValueError:
            # Not chained: the message of urlsplit may quote the password.
            raise ConfigError(["store: the address cannot be read; it is one of " + _FORMS]) from None
        raise ConfigError(["store: unknown kind of address; it is one of " + _FORMS])

    def __str__(self) -> str:
        """The address as a user may see it."""
        if self.kind == "embedded":
            return f"chdb://{self.path}" if self.path else "chdb://memory"
        return f"clickhouse{'s' if self.secure else ''}://{self.user}@{self.host}:{self.port}/{self.database}"


def _embedded(parts: SplitResult) -> StoreAddress:
    options = dict(parse_qsl(parts.query))
    database = options.pop("database", DEFAULT_DATABASE)
    _refuse_options(options, "database")
    if parts.netloc == "memory" and parts.path in ("", "/"):
        return StoreAddress("embedded", database=database)
    if parts.netloc or not parts.path.startswith("/"):
        raise ConfigError(["store: chdb:// takes an absolute directory (chdb:///abs/dir) or chdb://memory"])
    return _embedded_in(Path(unquote(parts.path)), database)


def _embedded_in(path: Path, database: str) -> StoreAddress:
    if "?" in str(path):
        # the engine takes what follows for options, and keeps the store in the folder before it
        raise ConfigError([f"store: the embedded engine cannot keep a store in a folder with '?' in its path: {path}"])
    return StoreAddress("embedded", database=database, path=path)


def _server(parts: SplitResult) -> StoreAddress:
    if not parts.hostname:
        raise ConfigError([f"store: {parts.scheme}:// needs a host"])
    options = dict(parse_qsl(parts.query))
    _refuse_options({name: value for name, value in options.items() if name not in _SERVER_OPTIONS}, *_SERVER_OPTIONS)
    return StoreAddress(
        "server",
        database=unquote(parts.path.strip("/")) or DEFAULT_DATABASE,
        host=parts.hostname,
        port=parts.port or _PORTS[parts.scheme],
        secure=parts.scheme == "clickhouses",
        user=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        options=tuple(sorted(options.items())),
    )


def _refuse_options(left_over: dict[str, str], *known: str) -> None:
    if left_over:
        names = ", ".join(sorted(left_over))
        raise ConfigError([f"store: unknown option {names}; known: {', '.join(sorted(known))}"])
