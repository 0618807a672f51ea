"""Errors of the store, classified: what to retry, what to give up, and what the operator should do."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

import yaml
from clickhouse_connect.driver.exceptions import DataError, Error, OperationalError
from urllib3.exceptions import HTTPError

from spanledger_core.errors import StoreError, StoreRefused, StoreUnavailable
from spanledger_exporter.wire import Damaged

_UNREADABLE: Final = (Damaged, HTTPError, EOFError, ValueError, LookupError, ArithmeticError, MemoryError, struct.error)
"""What the client library raises when it reads something else than it expects."""


class Passing(NamedTuple):
    """A ClickHouse error after which the same statement may succeed."""

    name: str
    remedy: str
    """What the operator should do, where waiting alone does not help; empty otherwise."""


_PARAMETERS: Final = re.compile(r"/\?[^\s()'\"]+")


@cache
def passing_errors() -> dict[int, Passing]:
    """ClickHouse's numeric code -> what it is, from `store_errors.yaml`. Every other error will stay."""
    text = (files(__package__) / "store_errors.yaml").read_text(encoding="utf-8")
    return {entry["code"]: Passing(entry["name"], entry.get("remedy", "")) for entry in yaml.safe_load(text)}


@contextmanager
def classified(*, over_a_line: bool = False) -> Iterator[None]:
    """Within it, errors of the client library become `StoreUnavailable` or `StoreRefused`.

    `over_a_line`: the store is reached over a network, where proxies answer too and answers can be damaged. Only what
    ClickHouse says itself, with its code, is final then.
    """
    try:
        yield
    except Error as error:
        raise _classify(error, over_a_line) from error
    except OSError as error:
        raise StoreUnavailable(f"the store cannot be reached: {error}") from error
    except _UNREADABLE as error:
        if not over_a_line:
            raise
        raise StoreUnavailable(f"the answer of the store cannot be read: {_first_lines(repr(error))}") from error


def _classify(error: Error, over_a_line: bool) -> StoreError:
    text = _first_lines(str(error))
    if error.code is None:
        if isinstance(error, OperationalError) and not isinstance(error, DataError):
            return StoreUnavailable(f"the store cannot be reached: {text}")
        if "Another server instance" in text:
            return StoreUnavailable(f"{text} (the embedded store is open in another process: use its SQL port)")
        if over_a_line and not isinstance(error, DataError):
            return StoreUnavailable(f"not an answer of ClickHouse: {text}")
        return StoreRefused(text)
    passing = passing_errors().get(error.code)
    if passing is None:
        return StoreRefused(text, error.code)
    return StoreUnavailable(f"{text} ({passing.remedy})" if passing.remedy else text, error.code)


def _first_lines(text: str) -> str:
    """ClickHouse's messages can quote whole statements, those of the HTTP library parameters: ids of users."""
    text = _PARAMETERS.sub("/?...", text)
    return text if len(text) <= 1000 else text[:1000] + " ..."
