"""SQL files and how values get into them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from importlib.resources.abc import Traversable
from typing import Final, TypeAlias

from spanledger_core import assets

SqlValue: TypeAlias = str | int | date | Sequence[str]

_PARAMETER: Final = re.compile(r"\{(\w+):(Identifiers?|UInt16|Day|Literal)\}")
_TOKEN: Final = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'     # string
      | "(?:[^"\\]|\\.|"")*"     # identifier, ANSI style
      | `(?:[^`\\]|\\.|``)*`     # identifier
      | --[^\n]*                 # comment to the end of the line
      | /\*.*?\*/                # comment
      | ;
    """,
    re.VERBOSE | re.DOTALL,
)


def schemas() -> Traversable:
    """The folder of migrations; its subfolder `queries` holds the statements that run every day."""
    return assets.folder("spanledger_core", "schemas")


@cache
def query_text(name: str) -> str:
    """The statement `queries/<name>.sql`."""
    return (schemas() / "queries" / f"{name}.sql").read_text(encoding="utf-8")


def quote_identifier(name: str) -> str:
    """`name` as an identifier: the only place where a name becomes SQL."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def render(sql: str, values: Mapping[str, SqlValue]) -> str:
    """`sql` with its places `{name:Identifier}`, `:Identifiers`, `:UInt16`, `:Day` and `:Literal` (text) filled.

    ClickHouse's own parameters (any other type, or a name that is not in `values`) stay for the server to fill.
    """

    def fill(place: re.Match[str]) -> str:
        name, kind = place.groups()
        if name not in values:
            return place.group()
        return _literal(values[name], kind)

    return _PARAMETER.sub(fill, sql)


def _literal(value: SqlValue, kind: str) -> str:
    if kind == "UInt16" and isinstance(value, int) and 0 <= value < 1 << 16:
        return str(value)
    if kind == "Identifier" and isinstance(value, str):
        return quote_identifier(value)
    if kind == "Literal" and isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if kind == "Day" and isinstance(value, date):
        return f"toDate('{value:%Y-%m-%d}')"
    if kind == "Identifiers" and not isinstance(value, str | int | date):
        return ", ".join(map(quote_identifier, value))
    raise TypeError(f"{value!r} is no {kind}")


def statements(script: str) -> Iterator[str]:
    """The statements of `script`, without the semicolons between them. Those in strings and comments do not count."""
    start = 0
    for token in _TOKEN.finditer(script):
        if token.group() == ";":
            yield from _unless_blank(script[start : token.start()])
            start = token.end()
    yield from _unless_blank(script[start:])


def _unless_blank(statement: str) -> Iterator[str]:
    code = _TOKEN.sub(lambda token: "" if token.group().startswith(("--", "/*")) else token.group(), statement)
    if code.strip():
        yield statement.strip()
