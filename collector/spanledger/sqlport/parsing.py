"""SQL text -> the engine's own syntax tree, without running anything.

`EXPLAIN AST` is no ground to judge a statement on: it leaves out what stands in OVER (...) and APPLY (...), so
`SELECT 1 FROM t ORDER BY sum(1) OVER (ORDER BY file('/etc/passwd'))` looks harmless in it. The function
`parseQueryToJSON` gives the whole tree and refuses what it cannot give whole; `formatQueryFromJSON` turns a tree
back into text. The sender's text is taken through both, and the tree of the outcome is what gets judged: the text
that runs is one that the engine itself wrote from a tree, and its own parse is the tree that was judged. Both
functions only compute on their argument, and refuse more than one statement.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from spanledger.sqlport.engine import Handle
from spanledger.sqlport.errors import SqlError, from_engine
from spanledger.sqlport.rules import Rules

Tree = dict[str, Any]

_PARSE: Final = """\
WITH formatQueryFromJSON(parseQueryToJSON({sql:String})) AS text
SELECT parseQueryToJSON(text), text"""
_CANONICAL: Final = "SELECT formatQuerySingleLine({sql:String})"
_FORMAT: Final = "SELECT formatQueryFromJSON({tree:String})"
_TABLES: Final = "SELECT name FROM system.tables WHERE database = {database:String}"
_NO_TREE: Final = "does not support JSON serialization"
_INLINE_DATA: Final = "INSERT with inline data"
_FROM: Final = "SELECT * FROM "


class Statement(NamedTuple):
    """One parsed statement."""

    prefix: str
    """Empty, or what stands before the table expression of DESCRIBE and the like."""
    text: str
    """As the engine writes the tree, on one line; with a prefix, the tree is that of SELECT * FROM ..."""
    tree: Tree | None
    """None for statements that consist of fixed words (SHOW ENGINES)."""

    @property
    def sql(self) -> str:
        """What to run."""
        return self.prefix + self.text.removeprefix(_FROM) if self.prefix else self.text


def parse(handle: Handle, sql: str, rules: Rules) -> Statement:
    """The tree of `sql`. Raises `SqlError` for text that is no single statement or of a kind with no tree."""
    try:
        tree, text = _strings(handle, _PARSE, sql=sql)
    except SqlError as error:
        if _NO_TREE in error.text or _INLINE_DATA in error.text:
            return _parse_treeless(handle, sql, rules)
        raise
    return Statement("", text, _loaded(tree))


def _loaded(text: str) -> Tree:
    try:
        tree: Tree = json.loads(text)
    except RecursionError as error:
        raise SqlError(167, "the statement is nested too deeply") from error
    return tree


def _parse_treeless(handle: Handle, sql: str, rules: Rules) -> Statement:
    (canonical,) = _strings(handle, _CANONICAL, sql=sql)
    for prefix in rules.table_statements:
        if canonical.startswith(prefix):
            inner = parse(handle, _FROM + canonical.removeprefix(prefix), rules)
            return Statement(prefix, inner.text, inner.tree)
    if any(pattern.fullmatch(canonical) for pattern in rules.plain_statements):
        return Statement("", canonical, None)
    return Statement("", canonical, {"type": canonical.split("(", 1)[0][:60]})


def text_of(handle: Handle, tree: Tree) -> str:
    """The statement that `tree` stands for."""
    (text,) = _strings(handle, _FORMAT, tree=json.dumps(tree))
    return text


def table_names(handle: Handle, database: str) -> frozenset[str]:
    """Names of the tables and views of a database."""
    return frozenset(_strings(handle, _TABLES, database=database))


def _strings(handle: Handle, query: str, **params: str) -> list[str]:
    try:
        escaped = {name: _escape(value) for name, value in params.items()}
        answer = handle.query(query, "RowBinary", params=escaped).bytes()
    except RuntimeError as error:
        raise from_engine(error, while_parsing=True) from error
    try:
        return [part.decode().removesuffix("\n") for part in _split(answer or b"")]
    except UnicodeDecodeError as error:
        raise SqlError(6, "the statement holds bytes that are not UTF-8: write them as unhex('...')") from error


def _split(data: bytes) -> Iterator[bytes]:
    """Strings of a RowBinary answer: each a length in LEB128, then so many bytes."""
    at = 0
    while at < len(data):
        size = shift = 0
        while True:
            byte = data[at]
            at += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        yield data[at : at + size]
        at += size


def _escape(text: str) -> str:
    """Parameters are read as a field of the format TabSeparated."""
    for char, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"), ("\0", "\\0")):
        text = text.replace(char, escaped)
    return text
