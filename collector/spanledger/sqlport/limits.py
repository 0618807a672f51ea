"""Which settings a request may make, and what they become on the handle."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from spanledger.sqlport.engine import literal
from spanledger.sqlport.errors import SqlError
from spanledger.sqlport.rules import Rules
from spanledger.sqlport.settings import SqlSettings
from spanledger_exporter.connections import READ_SETTINGS

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHORTEST_S: Final = 0.001
_READ_ONLY: Final = ("1", "2", "true")


def base(settings: SqlSettings, tag: str) -> dict[str, str]:
    """The endpoint's own limits, as SQL literals."""
    return {
        "max_execution_time": f"{settings.max_execution_time_s:g}",
        "max_memory_usage": str(settings.max_memory_bytes),
        "max_result_bytes": str(settings.max_result_bytes),
        "max_threads": str(os.cpu_count() or 1),
        "result_overflow_mode": "'throw'",
        "log_comment": literal(tag),
        **{name: str(value) for name, value in READ_SETTINGS.items()},
    }


def chosen(
    wanted: Mapping[str, Any], limits: Mapping[str, str], rules: Rules, expressions: Callable[[str, Any], str]
) -> dict[str, str]:
    """The settings of a request (text, or a field of the tree) as SQL literals.

    `expressions` judges the value of a setting that holds SQL and returns its literal. Raises `SqlError`: 115 for
    names that are no settings, 164 for settings that may not be changed here.
    """
    result: dict[str, str] = {}
    for name, value in wanted.items():
        # Names become part of a SET statement, and the parser takes anything between backquotes for a name.
        if not _NAME.fullmatch(name):
            raise SqlError(115, f"Unknown setting '{name[:64]}'")
        if name == "readonly" and field_text(value) not in _READ_ONLY:
            raise SqlError(164, "Cannot modify 'readonly' setting in readonly mode")
        if name in rules.ignored_settings:
            continue
        if name in rules.limited_settings:
            result[name] = _lowered(name, value, limits[name])
        elif name in rules.expression_settings:
            result[name] = expressions(name, value)
        elif rules.allows_setting(name):
            result[name] = _literal(value)
        else:
            raise SqlError(164, f"Cannot modify '{name}' setting in readonly mode: it is not among those allowed here")
    return result


def field_text(value: Any) -> str:
    """A scalar field of the tree as text."""
    inner = value["value"] if isinstance(value, dict) else value
    if isinstance(inner, bool):
        return str(int(inner))
    return str(inner)


def _lowered(name: str, value: Any, limit: str) -> str:
    try:
        number = float(field_text(value))
    except ValueError:
        raise SqlError(36, f"setting {name} takes a number, not {field_text(value)[:40]!r}") from None
    # Zero means "no limit" to the engine, and so does what it rounds to zero.
    if name == "max_execution_time" and 0 < number < float(limit):
        return f"{max(number, _SHORTEST_S):g}"
    return _whole(number, limit)


def _whole(number: float, limit: str) -> str:
    return str(int(number)) if 1 <= number < float(limit) else limit


def _literal(value: Any) -> str:
    if isinstance(value, dict) and value.get("field_type") in ("UInt64", "Int64", "Float64", "Bool"):
        return field_text(value)
    if isinstance(value, dict) and value.get("field_type") != "String":
        raise SqlError(36, f"a setting cannot take a value of type {value.get('field_type')} here")
    return literal(field_text(value))
