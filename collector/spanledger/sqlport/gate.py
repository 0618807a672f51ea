"""Decides from the syntax tree whether a statement may run.

An allow-list throughout: node types, their text properties, functions, table functions, tables, settings and formats
that are not in the data files are refused, so a construct nobody has looked at does not pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from spanledger.sqlport.errors import SqlError, refused
from spanledger.sqlport.parsing import Tree
from spanledger.sqlport.rules import Rules

# Only such names can belong to our tables; anything else may be a path ("default" is an overlay of a folder).
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SETTINGS_TABLE: Final = "system.settings"
_READS_A_TABLE: Final = frozenset({"in", "notin", "globalin", "globalnotin"})
_WRITES: Final = re.compile(
    r"(?i)Insert|Create|Drop|Detach|Alter|Rename|Truncate|Optimize|Delete|Update|Backup|Grant|Revoke|System|Kill"
    r"|Attach|Undrop|Exchange|Restore|Move|Set "
)


class Scope(NamedTuple):
    """What names mean for one request."""

    database: str
    """The current database: what unqualified names are looked up in."""
    own: str
    """The store's database."""
    tables: frozenset[str]
    """All names in the store's database."""
    readable: frozenset[str]
    """Those of them that this user may read."""
    params: Mapping[str, str]
    confined: bool = False
    """The user has a tenant: of the store's tables only the readable ones are open."""


@dataclass
class Verdict:
    """What the gate found in a statement that may run."""

    settings: dict[str, Any] = field(default_factory=dict)
    """Settings the statement itself makes, name -> field of the tree."""
    output_format: str | None = None
    use_database: str | None = None
    is_set: bool = False
    is_select: bool = False
    hides: list[tuple[Tree, str]] = field(default_factory=list)
    """Table expressions to replace, with the table's full name."""
    setting_nodes: int = 0
    """How many SETTINGS clauses there are."""


class Gate:
    """Judges one statement in one scope."""

    def __init__(self, rules: Rules, scope: Scope) -> None:
        self._rules = rules
        self._scope = scope
        self._verdict = Verdict()
        self._ctes: frozenset[str] = frozenset()
        self._sets: frozenset[str] = frozenset()

    def judge(self, tree: Tree) -> Verdict:
        """Raises `SqlError` (497, 164, ...) naming what is not allowed, or says what the statement needs."""
        kind = tree["type"]
        if kind not in self._rules.statements:
            raise _refused_statement(kind)
        self._verdict.is_select = kind == "SelectWithUnionQuery"
        if "format_ast" in tree:
            self._verdict.output_format = tree["format_ast"]["name"]
        nodes = list(_nodes(tree))
        self._ctes = frozenset(node["name"] for node, _ in nodes if node["type"] == "WithElement")
        self._sets = self._names_of_sets(nodes)
        for node, role in nodes:
            self._check_properties(node)
            check = _CHECKS.get(node["type"])
            if check is not None:
                check(self, node, role)
        return self._verdict

    def _check_properties(self, node: Tree) -> None:
        known = self._rules.nodes.get(node["type"])
        if known is None:
            raise refused(f"{node['type']} is not allowed on this endpoint, which only reads the store's tables")
        if "out_file" in node:
            raise refused("INTO OUTFILE is not allowed: it writes a file on the collector's machine")
        for key, value in node.items():
            holds_text = isinstance(value, str) or (isinstance(value, list) and any(isinstance(v, str) for v in value))
            if holds_text and key != "type" and key not in known:
                raise refused(
                    f"{node['type']} with {key} {str(value)[:60]!r} is not allowed: its meaning is not known here"
                )

    def _check_function(self, node: Tree, role: str) -> None:
        name = node["name"]
        if role == "table_function":
            if name.lower() not in self._rules.table_functions:
                raise refused(f"table function {name} is not allowed: only those that make rows of their arguments are")
            return
        self._check_function_name(name)
        if name.lower() in _READS_A_TABLE:
            self._check_set(node)

    def _check_function_name(self, name: str) -> None:
        if self._rules.allows_function(name):
            return
        why = self._rules.refused_functions.get(name.lower())
        raise refused(f"function {name} is not allowed: it {why}" if why else f"function {name} is not known here")

    def _check_set(self, node: Tree) -> None:
        """The right side of IN may be a bare table name."""
        arguments = node.get("arguments", {}).get("children", [])
        if len(arguments) < 2 or arguments[1]["type"] not in ("Identifier", "TableIdentifier"):
            return
        parts = self._parts(arguments[1])
        if len(parts) > 1 or parts[0] not in self._sets:
            raise refused(f"IN {'.'.join(parts)} is not allowed: write IN (SELECT ...), or has(array, value)")

    def _names_of_sets(self, nodes: list[tuple[Tree, str]]) -> frozenset[str]:
        """The bare names that may stand after IN: tables, subqueries and aliases, but none that only renames a name.

        The engine follows such an alias to a table, of whichever database is current.
        """
        scope = self._scope
        if scope.confined or scope.database != scope.own:
            return frozenset()
        aliases = [(node["alias"], node["type"] == "Identifier") for node, _ in nodes if node.get("alias")]
        renamed = {alias for alias, is_name in aliases if is_name}
        return (self._ctes | scope.readable | {alias for alias, _ in aliases}) - renamed

    def _check_apply(self, node: Tree, _role: str) -> None:
        if "func_name" in node:
            self._check_function_name(node["func_name"])

    def _check_table_expression(self, node: Tree, _role: str) -> None:
        identifier = node.get("database_and_table_name")
        if identifier is None:
            return
        parts = self._parts(identifier)
        name = self._check_table(parts)
        if name == SETTINGS_TABLE or self._rules.hidden(name, confined=self._scope.confined):
            self._verdict.hides.append((node, name))

    def _check_table(self, parts: list[str]) -> str:
        """Full name of a table that may be read."""
        if not 1 <= len(parts) <= 2:
            raise refused(f"table {'.'.join(parts)} is not allowed")
        *qualifier, table = parts
        scope = self._scope
        database = qualifier[0] if qualifier else scope.database
        # Scopes of names are the engine's affair: a name that is a table's too counts as the table's.
        if not qualifier and table in self._ctes and database == scope.own and table not in scope.tables:
            return table
        if database == scope.own:
            if table in scope.readable:
                return f"{database}.{table}"
            if _PLAIN_NAME.fullmatch(table) and not scope.confined:
                raise SqlError(
                    60, f"Unknown table {table} in database {database}; there are: {_listed(scope.readable)}"
                )
        self._check_foreign_table(database, table)
        return f"{database.lower()}.{table}"

    def _check_foreign_table(self, database: str, table: str) -> None:
        readable = self._rules.tables.get(database.lower() if database.isupper() else database, frozenset())
        if self._scope.confined:
            readable -= self._rules.closed_to_tenants
        if table not in readable:
            raise refused(
                f"table {database}.{table} is not allowed: readable are the tables of {self._scope.own} and "
                "what describes them (system.tables, system.columns, information_schema, ...)"
            )

    def _parts(self, identifier: Tree) -> list[str]:
        """The names an identifier consists of, parameters of type Identifier filled in."""
        parts = list(identifier.get("name_parts") or [identifier["name"]])
        values = iter(identifier.get("children", []))
        for index, part in enumerate(parts):
            if part == "":
                parts[index] = self._value(next(values, None))
        return parts

    def _value(self, parameter: Tree | None) -> str:
        name = str(parameter.get("name")) if parameter else ""
        if name not in self._scope.params:
            raise SqlError(456, f"Substitution `{name}` is not set")
        return self._scope.params[name]

    def _check_settings(self, node: Tree, role: str) -> None:
        if role == "explain":
            return
        if node.get("query_parameters"):
            raise refused("SET param_... is not allowed: send the parameter with the request")
        if node.get("default_settings"):
            raise SqlError(164, f"Cannot modify '{node['default_settings'][0]}' setting in readonly mode")
        self._verdict.setting_nodes += 1
        self._verdict.is_set = self._verdict.is_set or bool(node.get("is_standalone"))
        for change in node.get("changes", []):
            self._verdict.settings[change["name"]] = change["value"]

    def _check_explain(self, node: Tree, _role: str) -> None:
        allowed = self._rules.explain_of_tenants if self._scope.confined else self._rules.explain
        if node["kind"] not in allowed:
            raise refused(f"{node['kind']} is not allowed" + " for users with a tenant" * self._scope.confined)

    def _check_show(self, node: Tree, _role: str) -> None:
        outputs = ("is_outfile_append", "is_outfile_truncate", "is_into_outfile_with_stdout")
        for flag, value in node.items():
            if value is True and flag not in self._rules.show and flag not in outputs:
                raise refused(f"SHOW {flag.upper()} is not allowed")
        if "from" in node:
            self.check_database(self._parts(node["from"])[0])

    def _check_show_of_table(self, node: Tree, role: str) -> None:
        self._check_show(node, role)
        self._check_table([part for part in (node.get("database"), node.get("table")) if part])

    def _check_use(self, node: Tree, _role: str) -> None:
        name = self._parts(node["database"])[0]
        if name == "default":
            name = self._scope.own
        self.check_database(name)
        self._verdict.use_database = name

    def check_database(self, name: str) -> None:
        """Raises `SqlError` (497) unless `name` may be the current database."""
        if name != self._scope.own and name.lower() not in self._rules.tables:
            raise refused(f"database {name} is not allowed")


_CHECKS: Final[dict[str, Any]] = {
    "Function": Gate._check_function,
    "ColumnsApplyTransformer": Gate._check_apply,
    "TableExpression": Gate._check_table_expression,
    "SetQuery": Gate._check_settings,
    "ExplainQuery": Gate._check_explain,
    "ShowTablesQuery": Gate._check_show,
    "ShowColumnsQuery": Gate._check_show_of_table,
    "ShowIndexesQuery": Gate._check_show_of_table,
    "UseQuery": Gate._check_use,
}


def _nodes(tree: Tree) -> Iterator[tuple[Tree, str]]:
    """Every node of the tree with the property it hangs under; not the values inside literals and settings."""
    stack: list[tuple[Any, str]] = [(tree, "")]
    while stack:
        item, role = stack.pop()
        if isinstance(item, list):
            stack.extend((part, role) for part in item)
            continue
        if not isinstance(item, dict):
            continue
        if "type" not in item:
            raise refused(f"a part of the statement cannot be checked: {str(item)[:80]}")
        yield item, role
        if item["type"] in ("Literal", "SetQuery"):
            continue
        for key, value in item.items():
            stack.append((value, "explain" if item["type"] == "ExplainQuery" and key == "settings" else key))


def _listed(names: frozenset[str]) -> str:
    shown = sorted(names)[:12]
    return ", ".join(shown) or "none"


def _refused_statement(kind: str) -> SqlError:
    if _WRITES.match(kind):
        return SqlError(164, f"{kind}: Cannot execute query in readonly mode; this endpoint only reads")
    return refused(f"{kind} is not allowed: this endpoint answers SELECT, DESCRIBE, SHOW, EXISTS and EXPLAIN")
