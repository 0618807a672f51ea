"""Generate the command reference from the application: `python -m spanledger.cli.docs`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args, get_type_hints

import typer
from typer.models import ArgumentInfo

from spanledger.cli.app import app

_INTRODUCTION: Final = """\
# Commands

Generated from `collector/spanledger/cli` by `python -m spanledger.cli.docs`; a test holds it equal.

Exit status: 0 ok, 1 failed, 2 usage or configuration. Messages go to standard error, results to standard output.
Every command reads the configuration as `serve` does (`--config`, `SPANLEDGER_*`; see
[configuration](configuration.md)), so that it looks where the collector writes.

`query`, `report`, `doctor`, `prices explain` and `prices unpriced` ask, in this order: the store named by `--store`;
the one of `SPANLEDGER_STORE` or the configuration; else the collector that runs with this `data_dir`, whatever embedded
store it has; else the embedded store of `data_dir`. The embedded store is open in one process only: while a collector
runs on it, they go through the SQL port whose address it leaves in `data_dir/sql-address.json`. `replay`, `reprice` and
`forget` write: a collector that has the store open is handed the work over a socket in `data_dir`. A password in
`--store` is seen by everybody who can list processes: put the store into `SPANLEDGER_STORE`, or the password into
`store_password_file`.
"""


class Parameter(NamedTuple):
    """One option or argument of a command."""

    info: Any
    """typer's OptionInfo or ArgumentInfo."""
    kind: Any
    """Its type."""
    default: Any


def commands(of: typer.Typer = app, prefix: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every command by its full name with the function behind it, those of groups included."""
    for command in of.registered_commands:
        if command.callback is not None:
            yield f"{prefix}{command.name}", command.callback
    for group in of.registered_groups:
        if group.typer_instance is not None:
            yield from commands(group.typer_instance, f"{prefix}{group.name} ")


def parameters(function: Callable[..., Any]) -> Iterator[Parameter]:
    """What a command takes, as its signature declares it."""
    hints = get_type_hints(function, include_extras=True)
    for name, declared in inspect.signature(function).parameters.items():
        kind, info = get_args(hints[name])
        yield Parameter(info, kind, declared.default)


def reference() -> str:
    """The text of `docs/commands.md`."""
    return _INTRODUCTION + "".join(f"\n## {name}\n\n{_section(function)}" for name, function in commands())


def _section(function: Callable[..., Any]) -> str:
    parts = []
    for paragraph in inspect.cleandoc(function.__doc__ or "").split("\n\n"):
        text = paragraph.removeprefix("\b\n")
        head, _, examples = text.partition("\n")
        is_example = head in ("Example:", "Examples:")
        parts.append(f"```sh\n{inspect.cleandoc(examples)}\n```" if is_example else text)
    rows = [_row(parameter) for parameter in parameters(function)]
    parts.append("\n".join(["| option | default | meaning |", "| --- | --- | --- |", *rows]))
    return "\n\n".join(parts) + "\n"


def _row(parameter: Parameter) -> str:
    info = parameter.info
    text = " ".join(str(info.help or "").split()).replace("|", "\\|")
    if isinstance(info, ArgumentInfo):
        return f"| `{info.metavar}` | {'required' if parameter.default is inspect.Parameter.empty else ''} | {text} |"
    default = getattr(parameter.default, "value", parameter.default)
    shown = f"`{default}`" if default not in (None, False, "") else ""
    if default is inspect.Parameter.empty:
        shown = "required"
    # declared in Annotated, the first name stands where a default would
    names = [name for name in (info.default, *info.param_decls) if isinstance(name, str)]
    return f"| `{' '.join(filter(None, (', '.join(names), _value(parameter))))}` | {shown} | {text} |"


def _value(parameter: Parameter) -> str:
    """What goes after an option."""
    kind = parameter.kind
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "\\|".join(str(choice.value) for choice in kind)
    return "" if kind is bool else parameter.info.metavar or "N"


def main(root: Path) -> None:
    """Write the file below the repository at `root`."""
    (root / "docs" / "commands.md").write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd())
