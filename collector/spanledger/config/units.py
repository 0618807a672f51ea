"""Values that carry a unit in the configuration: addresses, durations, sizes."""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES: Final = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_DURATION_PART: Final = r"(\d+(?:\.\d+)?)(ms|s|m|h|d)"
_SIZE: Final = re.compile(r"(\d+)\s*([KMG]i?B|B)?")


class Address(NamedTuple):
    """Where a port listens."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """True where only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(value: object) -> Address:
    """`host:port` or `[ipv6]:port`. Raises `ValueError`."""
    if isinstance(value, Address):
        return value
    match = (
        re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([^:/\s\[\]]+)):(\d{1,5})", value) if isinstance(value, str) else None
    )
    if match is None or int(match[3]) > 65535:
        raise ValueError("write host:port, for example 127.0.0.1:4317 or [::1]:4317")
    return Address(match[1] or match[2], int(match[3]))


def parse_url(value: str) -> str:
    """An http or https URL without credentials in it. Raises `ValueError`, which never quotes them."""
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s@]*)?", value):
        raise ValueError("write http://host:4317 or https://host:4317; credentials belong in headers")
    return value


def parse_duration(value: object) -> timedelta:
    """`500ms`, `3s`, `1h30m`, `7d`; a number without a unit is refused: nobody should guess. Raises `ValueError`."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not re.fullmatch(f"(?:{_DURATION_PART})+", value):
        raise ValueError("write a duration with its unit: 500ms, 3s, 5m, 1h30m, 7d")
    return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in re.findall(_DURATION_PART, value)))


def some_time(value: timedelta) -> timedelta:
    """The same duration. Raises `ValueError` where it is none."""
    if not value:
        raise ValueError("must be greater than 0s")
    return value


def show_duration(value: timedelta) -> str:
    """The shortest spelling that `parse_duration` reads back."""
    left = round(value.total_seconds() * 1000)
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_size(value: object) -> int:
    """`64MiB`, `1GiB`, `500KB`, or a whole number of bytes. Raises `ValueError`."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("write a size with its unit: 512KiB, 64MiB, 1GiB")
    return int(match[1]) * _BYTES[match[2] or ""]


def show_size(value: int) -> str:
    """The shortest spelling that `parse_size` reads back."""
    for unit in ("GiB", "MiB", "KiB"):
        if value and value % _BYTES[unit] == 0:
            return f"{value // _BYTES[unit]}{unit}"
    return str(value)


def _text(pattern: str, example: str) -> Any:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


Endpoint = Annotated[
    Address,
    BeforeValidator(parse_address),
    PlainSerializer(str, return_type=str),
    _text(r":\d{1,5}$", "127.0.0.1:4317"),
]
"""`host:port` of a listener; port 0 takes a free one."""

Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(show_duration, return_type=str),
    _text(rf"^({_DURATION_PART})+$", "3s"),
]
"""A duration with its unit."""

Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(show_size, return_type=str),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["64MiB"]}),
]
"""Bytes, written with a unit."""
