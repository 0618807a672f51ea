"""`spanledger query`: SQL against the store."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spanledger.cli.options import ConfigFile, StoreOption, configuration

if TYPE_CHECKING:
    from spanledger.cli.target import QueryTarget

_NAMED_FORMAT = re.compile(r"\bFORMAT\s+(\w+)(\s+SETTINGS\b[^']*)?\s*$", re.IGNORECASE)
"""A statement that says itself how it wants to be printed."""
_TABLE_ROWS = 10_000
"""As many as anybody scrolls through, and what clickhouse-client shows; pipe the result to have all of it."""


def query(
    sql: Annotated[
        str | None, typer.Argument(metavar="[SQL]", help="One statement; without it, or -, read from standard input.")
    ] = None,
    store: StoreOption = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="Any ClickHouse output format (CSVWithNames, JSONEachRow, Parquet, ...). "
            "By default a table on a terminal, TabSeparated elsewhere.",
        ),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", metavar="NAME=VALUE", help="Value of {NAME:Type} in the SQL; may be given again."),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Ask the store in SQL. Reads only.

    \b
    The views to read are calls (one row per real model call), hourly and hourly_customer.
    While a collector runs on the embedded store, it is asked.

    \b
    Examples:
      spanledger query "SELECT agent_id, sum(cost_usd) FROM calls GROUP BY 1 ORDER BY 2 DESC"
      spanledger query "SELECT * FROM calls WHERE customer_id = {c:String}" --param c=acme
      spanledger query "SELECT * FROM calls" --format Parquet > calls.parquet
    """
    parameters = _parameters(param or [])
    statement = _statement(sql)
    from spanledger.cli.target import open_target

    with open_target(configuration(config, store)) as target:
        named = _NAMED_FORMAT.search(statement) is not None
        if named and format_ is not None:
            raise typer.BadParameter("the statement names a FORMAT itself", param_hint="--format")
        if named or format_ is not None or not sys.stdout.isatty():
            _write(target.query(statement, parameters, None if named else format_ or "TabSeparated"))
        else:
            _print_table(target, statement, parameters)


def _statement(sql: str | None) -> str:
    if sql is None and sys.stdin.isatty():
        raise typer.BadParameter("write a statement, or pipe one in", param_hint="SQL")
    statement = (sys.stdin.read() if sql in (None, "-") else sql or "").strip().rstrip(";").rstrip()
    if not statement:
        raise typer.BadParameter("there is no statement", param_hint="SQL")
    return statement


def _parameters(given: list[str]) -> dict[str, str]:
    parameters = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name.isidentifier():
            raise typer.BadParameter(f"{each!r} is not NAME=VALUE", param_hint="--param")
        parameters[name] = value
    return parameters


def _write(result: bytes) -> None:
    sys.stdout.buffer.write(result)
    sys.stdout.buffer.flush()


def _print_table(target: QueryTarget, statement: str, parameters: dict[str, str]) -> None:
    import json
    from decimal import Decimal

    from spanledger.cli.terminal import cell, output, table

    answer = target.query(statement, parameters, "JSONCompact")
    if not answer.strip():
        return
    result = json.loads(answer, parse_float=Decimal)
    made = table([(each["name"], "right" if _is_number(each["type"]) else "left") for each in result["meta"]])
    for row in result["data"][:_TABLE_ROWS]:
        made.add_row(*(cell(_shown(value), "dim" if value is None else "") for value in row))
    console = output()
    console.print(made)
    count = len(result["data"])
    left_out = f", the first {_TABLE_ROWS:,} shown" if count > _TABLE_ROWS else ""
    console.print(f"{count:,} row{'' if count == 1 else 's'}{left_out}", style="dim")


def _is_number(type_name: str) -> bool:
    inner = re.sub(r"^(LowCardinality|Nullable)\(", "", type_name)
    return inner.startswith(("Int", "UInt", "Float", "Decimal"))


def _shown(value: Any) -> str:
    import json

    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else str(value)
