"""Writing for people: consoles, and text that comes from strangers shown as what it is."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence
from typing import Any, Final, Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_PIPE_WIDTH: Final = 100_000
Justify = Literal["left", "right"]


def output() -> Console:
    """Standard output. Not a terminal: no colours, and nothing is cut or wrapped."""
    if sys.stdout.isatty():
        return Console(highlight=False, emoji=False)
    return Console(highlight=False, emoji=False, width=_PIPE_WIDTH, no_color=True, force_terminal=False)


def errors() -> Console:
    """Standard error."""
    return Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)


def visible(text: str) -> str:
    """`text` with control, direction and other invisible characters written out: names come from strangers."""
    if text.isprintable() and text.isascii():
        return text
    return "".join(_written(char) if unicodedata.category(char) in _UNSAFE else char for char in text)


def _written(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def cell(value: Any, style: str = "") -> Text:
    """A table cell without any markup of its own."""
    return Text(visible(str(value)), style=style)


def table(columns: Sequence[tuple[str, Justify]], title: str = "", **options: Any) -> Table:
    """An empty table in the house style; names fold rather than vanish."""
    made = Table(
        box=box.SIMPLE_HEAD, title=Text(title) if title else None, title_justify="left", title_style="bold", **options
    )
    for name, justify in columns:
        made.add_column(cell(name), justify=justify, overflow="fold")
    return made
