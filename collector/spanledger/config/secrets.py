"""Secrets in the configuration: kept out of every print, read from files where possible."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Secret,
    SecretStr,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from spanledger_core.errors import ConfigError
from spanledger_exporter.address import StoreAddress


def readable_file(path: Path | None) -> Path | None:
    """The path itself if its file can be read. Raises `ValueError`."""
    if path is not None:
        try:
            path.open("rb").close()
        except OSError as error:
            raise ValueError(f"cannot read {path}: {error.strerror}") from error
    return path


def secret_from_file(path: Path) -> str:
    """The text of a secret file without the newline that editors put at its end."""
    return path.read_text(encoding="utf-8").rstrip("\r\n")


class StoreUrl(Secret[str]):
    """The address of a store. It may hold a password, so printing shows it masked."""

    def _display(self) -> str:
        return masked(self.get_secret_value())

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A string on the way in, the masked text on the way out."""

        def read(value: object) -> StoreUrl:
            if isinstance(value, StoreUrl):
                return value
            if not isinstance(value, str):
                raise ValueError("must be text, for example chdb or clickhouse://user:password@host:8123/database")
            try:
                StoreAddress.parse(value, Path())
            except ConfigError as error:
                raise ValueError("; ".join(fault.removeprefix("store: ") for fault in error.faults)) from None
            return cls(value)

        return core_schema.no_info_plain_validator_function(
            read, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """For `config.schema.json`."""
        return {"type": "string", "pattern": "^(chdb$|chdb://|clickhouses?://)"}

    def with_password_of(self, path: Path | None) -> str:
        """The full address; with `path`, its content becomes the password."""
        url = self.get_secret_value()
        if path is None:
            return url
        parts = urlsplit(url)
        user = quote(parts.username or "default", safe="")
        host = parts.netloc.rpartition("@")[2]
        password = quote(secret_from_file(path), safe="")
        return urlunsplit(parts._replace(netloc=f"{user}:{password}@{host}"))


def masked(url: str) -> str:
    """A store address with its password replaced by stars."""
    head, at, tail = url.rpartition("@")
    scheme, mark, credentials = head.partition("://")
    user, colon, _ = credentials.partition(":")
    return f"{scheme}{mark}{user}{colon and ':***'}{at}{tail}"


class Credential(BaseModel):
    """A secret given in place or, better, as a file that is read again when it changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    kind: ClassVar[str]
    """Name of the key; `<kind>_file` is its file."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Credential:
        given, path = getattr(self, self.kind), getattr(self, f"{self.kind}_file")
        if (given is None) == (path is None):
            raise ValueError(f"set {self.kind}_file or {self.kind}, one of them")
        try:
            self.secret()
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self

    def secret(self) -> str:
        """The secret as it is now: a file is read anew, so that it can be rotated.

        Raises `ConfigError` for an empty one, and for a file that cannot be read.
        """
        given: SecretStr | None = getattr(self, self.kind)
        if given is not None:
            secret, where = given.get_secret_value(), ""
        else:
            path: Path = getattr(self, f"{self.kind}_file")
            where = f" in {path}"
            try:
                secret = secret_from_file(path)
            except OSError as error:
                raise ConfigError([f"cannot read {path}: {error.strerror}"]) from error
            except UnicodeDecodeError:
                raise ConfigError([f"the {self.kind}{where} is not UTF-8 text"]) from None
        if not secret.strip():
            raise ConfigError([f"the {self.kind}{where} is empty"])
        return secret
