"""SQL lives in files; a file of several statements names each with a line `-- name: what_it_does`."""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


def statements(text: str) -> dict[str, str]:
    """The named statements of a file, without their closing semicolon. Text before the first name is a comment."""
    parts = _NAME.split(text)
    return {name: body.strip().rstrip(";") for name, body in zip(parts[1::2], parts[2::2], strict=True)}
