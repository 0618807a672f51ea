"""What doctor says: one finding per thing looked at."""

from __future__ import annotations

from typing import Literal, NamedTuple

Level = Literal["ok", "warn", "fail"]


class Finding(NamedTuple):
    """One thing looked at, how it is, and what to do where it is not well."""

    level: Level
    check: str
    says: str
    remedy: str = ""


def ok(check: str, says: str) -> Finding:
    """Nothing to do."""
    return Finding("ok", check, says)


def warn(check: str, says: str, remedy: str) -> Finding:
    """Works, but something is lost or will go wrong."""
    return Finding("warn", check, says, remedy)


def fail(check: str, says: str, remedy: str) -> Finding:
    """Does not work."""
    return Finding("fail", check, says, remedy)
