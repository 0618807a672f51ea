"""The allow-lists, read once from the data files beside this module."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

# Suffixes that the engine lets any aggregate carry, also several at once (system.aggregate_function_combinators).
_COMBINATORS: Final = (
    "SimpleState",
    "MergeState",
    "OrDefault",
    "Distinct",
    "Resample",
    "ForEach",
    "ArgMax",
    "ArgMin",
    "OrNull",
    "Tuple",
    "Merge",
    "State",
    "Array",
    "Null",
    "Map",
    "If",
)


@dataclass(frozen=True)
class Rules:
    """What may be in a statement. Names of functions and formats are compared without regard to case."""

    statements: frozenset[str]
    explain: frozenset[str]
    show: frozenset[str]
    plain_statements: tuple[re.Pattern[str], ...]
    table_statements: tuple[str, ...]
    table_functions: frozenset[str]
    tables: Mapping[str, frozenset[str]]
    """Database -> tables, for databases other than the store's own."""
    hidden_columns: Mapping[str, tuple[str, ...]]
    closed_to_tenants: frozenset[str]
    explain_of_tenants: frozenset[str]
    hidden_from_tenants: Mapping[str, tuple[str, ...]]
    """As `hidden_columns`, and instead of its entry where there is one."""
    nodes: Mapping[str, frozenset[str]]
    """Node type -> properties that may hold text."""
    functions: frozenset[str]
    aggregates: frozenset[str]
    refused_functions: Mapping[str, str]
    """Name -> why."""
    limited_settings: frozenset[str]
    ignored_settings: frozenset[str]
    free_settings: frozenset[str]
    setting_prefixes: tuple[str, ...]
    expression_settings: frozenset[str]
    formats: Mapping[str, str]
    """Lower-case name -> the name as the engine spells it."""
    streamable: frozenset[str]

    def allows_function(self, name: str) -> bool:
        """Whether `name` is an allowed function, or an allowed aggregate with any combinators."""
        return name.lower() in self.functions or self._is_aggregate(name)

    def hidden(self, table: str, *, confined: bool) -> tuple[str, ...]:
        """The columns of `table` (database.name) that a user does not get to see."""
        shared = self.hidden_columns.get(table, ())
        return self.hidden_from_tenants.get(table, shared) if confined else shared

    def changeable_settings(self) -> str:
        """A condition in SQL that holds for the names in system.settings that a request may set."""
        names = sorted(self.free_settings | self.limited_settings | self.ignored_settings | self.expression_settings)
        listed = ", ".join(f"'{name}'" for name in names)
        prefixed = " OR ".join(f"startsWith(name, '{prefix}')" for prefix in self.setting_prefixes)
        return f"name IN ({listed}) OR {prefixed}"

    def _is_aggregate(self, name: str) -> bool:
        if name.lower() in self.aggregates:
            return True
        return any(name.endswith(end) and self._is_aggregate(name[: -len(end)]) for end in _COMBINATORS)

    def allows_setting(self, name: str) -> bool:
        """Whether a request may set `name` to any value."""
        return name in self.free_settings or name.startswith(self.setting_prefixes)


@cache
def load() -> Rules:
    """The rules as shipped."""
    allowed, calls = _read("allowed.toml"), _read("functions.toml")
    settings, formats, tenants = allowed["settings"], allowed["formats"], allowed["tenants"]
    return Rules(
        statements=_words(allowed["statements"]),
        explain=frozenset(allowed["explain"]),
        show=frozenset(allowed["show"]),
        plain_statements=tuple(re.compile(pattern, re.DOTALL) for pattern in allowed["plain_statements"]),
        table_statements=tuple(allowed["table_statements"]),
        table_functions=_lower(allowed["table_functions"].split()),
        tables={name: _words(tables) for name, tables in allowed["databases"].items()},
        hidden_columns=_columns(allowed["hidden_columns"]),
        closed_to_tenants=frozenset(tenants["closed"]),
        explain_of_tenants=frozenset(tenants["explain"]),
        hidden_from_tenants=_columns(tenants["hidden_columns"]),
        nodes={name: frozenset(keys) for name, keys in allowed["nodes"].items()},
        functions=_lower(name for names in calls["functions"].values() for name in names.split()),
        aggregates=_lower(name for names in calls["aggregates"].values() for name in names.split()),
        refused_functions={name.lower(): why for why, names in calls["refused"].items() for name in names.split()},
        limited_settings=frozenset(settings["limited"]),
        ignored_settings=frozenset(settings["ignored"]),
        free_settings=_words(settings["free"]),
        setting_prefixes=tuple(settings["prefixes"]),
        expression_settings=frozenset(settings["expressions"]),
        formats={name.lower(): name for name in formats["names"].split()},
        streamable=_words(formats["streamable"]),
    )


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((files("spanledger.sqlport") / name).read_text(encoding="utf-8"))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _columns(tables: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {table: tuple(columns) for table, columns in tables.items()}


def _lower(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)
