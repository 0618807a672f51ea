"""From a request to a plan: parse, judge, rewrite, settle the settings. Nothing of the request runs here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from spanledger.sqlport import limits, parsing
from spanledger.sqlport.asking import Ask
from spanledger.sqlport.engine import Handle, literal, quoted
from spanledger.sqlport.errors import SqlError, refused
from spanledger.sqlport.gate import SETTINGS_TABLE, Gate, Scope, Verdict
from spanledger.sqlport.parsing import Tree
from spanledger.sqlport.rules import Rules
from spanledger.sqlport.sessions import Session
from spanledger.sqlport.settings import SqlSettings, SqlUser

_FILTERS: Final = "additional_table_filters"
_DESCRIBE: Final = "DESCRIBE TABLE "
_SETTINGS_OF: Final = ("settings", "settings_ast")


class Plan(NamedTuple):
    """What to run, and on what kind of handle. `sql` None: there is nothing to run (SET, USE)."""

    sql: str | None
    params: Mapping[str, str]
    output_format: str
    database: str
    settings: Mapping[str, str]
    is_select: bool
    streams: bool


class Planner:
    """Makes plans for one store."""

    def __init__(self, rules: Rules, settings: SqlSettings, own: str) -> None:
        self._rules = rules
        self._settings = settings
        self._own = own

    def plan(self, handle: Handle, ask: Ask, session: Session, tag: str) -> Plan:
        """Raises `SqlError` for everything that may not run."""
        database = ask.database or session.database or self._own
        scope = self._scope(handle, ask, database)
        statement = parsing.parse(handle, ask.query, self._rules)
        verdict = self._judge(statement, scope)
        wanted: dict[str, Any] = {**session.settings, **ask.settings, **verdict.settings}
        settings = self._settled(handle, wanted, scope, ask.user, tag)
        if verdict.is_set:
            session.settings.update(verdict.settings)
        if verdict.use_database is not None:
            session.database = verdict.use_database
        sql = None if verdict.is_set or verdict.use_database else self._text(handle, statement, verdict, scope)
        output_format = self._format(verdict.output_format or ask.default_format)
        is_select = verdict.is_select and not statement.prefix
        streams = is_select and output_format in self._rules.streamable
        return Plan(sql, ask.params, output_format, database, settings, is_select, streams)

    def _scope(self, handle: Handle, ask: Ask, database: str) -> Scope:
        Gate(self._rules, Scope(self._own, self._own, frozenset(), frozenset(), {})).check_database(database)
        tables = parsing.table_names(handle, self._own)
        confined = ask.user.tenant is not None
        readable = tables & frozenset(self._settings.tenant_tables) if confined else tables
        return Scope(database, self._own, tables, readable, ask.params, confined=confined)

    def _judge(self, statement: parsing.Statement, scope: Scope) -> Verdict:
        return Verdict() if statement.tree is None else Gate(self._rules, scope).judge(statement.tree)

    def _settled(
        self, handle: Handle, wanted: Mapping[str, Any], scope: Scope, user: SqlUser, tag: str
    ) -> dict[str, str]:
        base = limits.base(self._settings, tag)

        def expressions(name: str, value: Any) -> str:
            return self._table_filters(handle, name, value, scope)

        settings = base | limits.chosen(wanted, base, self._rules, expressions)
        if user.tenant is not None:
            settings[_FILTERS] = self._tenant_filters(user)
        return settings

    def _tenant_filters(self, user: SqlUser) -> str:
        only = f"tenant_id = {literal(user.tenant or '')}"
        pairs = (f"{literal(f'{self._own}.{name}')}: {literal(only)}" for name in self._settings.tenant_tables)
        return "{" + ", ".join(pairs) + "}"

    def _table_filters(self, handle: Handle, name: str, value: Any, scope: Scope) -> str:
        """The literal of a map table -> condition, each condition judged as the engine will read it."""
        if scope.confined:
            raise SqlError(164, f"Cannot modify '{name}' setting in readonly mode: it confines users to their tenant")
        if isinstance(value, str):
            value = self._map_of(handle, name, value)
        if value.get("field_type") != "Map":
            raise SqlError(36, f"setting {name} takes a map of table names to conditions")
        pairs = [[limits.field_text(part) for part in pair["value"]] for pair in value["value"]]
        judged = ((table, self._condition(handle, condition, scope)) for table, condition in pairs)
        return "{" + ", ".join(f"{literal(table)}: {literal(condition)}" for table, condition in judged) + "}"

    def _map_of(self, handle: Handle, name: str, value: str) -> Tree:
        tree = parsing.parse(handle, f"SET {name} = {value}", self._rules).tree or {}
        changes = tree.get("changes", [])
        if len(changes) != 1 or tree.get("type") != "SetQuery":
            raise SqlError(36, f"setting {name} takes a map of table names to conditions")
        field: Tree = changes[0]["value"]
        return field

    def _condition(self, handle: Handle, condition: str, scope: Scope) -> str:
        statement = parsing.parse(handle, f"SELECT {condition}", self._rules)
        Gate(self._rules, scope).judge(statement.tree or {"type": ""})
        (select, *others) = (statement.tree or {})["list_of_selects"]["children"]
        if others or set(select) != {"type", "select"} or len(select["select"]["children"]) != 1:
            raise refused(f"the table filter {condition[:60]!r} is not one condition")
        return statement.text.removeprefix("SELECT ")

    def _text(self, handle: Handle, statement: parsing.Statement, verdict: Verdict, scope: Scope) -> str:
        """The statement as it will run: without FORMAT and SETTINGS, hidden columns hidden."""
        if statement.tree is None or not (verdict.setting_nodes or verdict.hides):
            name = verdict.output_format or ""
            return statement.sql.removesuffix(f" FORMAT {name}").removesuffix(f" FORMAT {quoted(name)}")
        if statement.prefix in ("", _DESCRIBE):
            for expression, table in verdict.hides:
                self._hide(handle, expression, table, scope)
        statement.tree.pop("format_ast", None)
        _drop_settings(statement.tree)
        rewritten = parsing.parse(handle, parsing.text_of(handle, statement.tree), self._rules)
        # The rewritten text is new text: it is judged like any other.
        self._judge(rewritten, scope)
        return statement._replace(text=rewritten.text).sql

    def _hide(self, handle: Handle, expression: Tree, table: str, scope: Scope) -> None:
        name = table.split(".", 1)[1]
        if table == SETTINGS_TABLE:
            shown = f"* REPLACE (toUInt8(NOT ({self._rules.changeable_settings()})) AS readonly)"
        else:
            hidden = self._rules.hidden(table, confined=scope.confined)
            shown = f"* EXCEPT ({', '.join(map(quoted, hidden))})"
        template = parsing.parse(handle, f"SELECT * FROM (SELECT {shown} FROM {table})", self._rules).tree  # noqa: S608
        (select,) = json.loads(json.dumps(template))["list_of_selects"]["children"]
        subquery = select["tables"]["children"][0]["table_expression"]["subquery"]
        subquery["alias"] = expression.pop("database_and_table_name").get("alias") or name
        expression.pop("final", None)
        expression["subquery"] = subquery

    def _format(self, name: str) -> str:
        known = self._rules.formats.get(name.lower())
        if known is None:
            raise SqlError(73, f"Unknown format {name[:64]}, or one that is not allowed here")
        return known


def _drop_settings(tree: Any) -> None:
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            for key in _SETTINGS_OF if item.get("type") != "ExplainQuery" else ("settings_ast",):
                item.pop(key, None)
            stack.extend(item.values())
