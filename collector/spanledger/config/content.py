"""Which attribute names carry prompts, completions or other content, so that nobody asks to keep them on disk."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from spanledger_processor.normalise.tables import tables


@cache
def content_patterns() -> tuple[str, ...]:
    """Names and `*` globs of content-bearing attributes, lower case (`content_keys.txt`)."""
    text = files(__package__).joinpath("content_keys.txt").read_text(encoding="utf-8")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return tuple(line for line in lines if line)


def overlaps(left: str, right: str) -> bool:
    """True if some name matches both patterns; `*` stands for any text, everything else for itself."""
    states = {(0, 0)}
    seen = set(states)
    while states:
        i, j = states.pop()
        if i == len(left) and j == len(right):
            return True
        for state in _steps(left, right, i, j):
            if state not in seen:
                seen.add(state)
                states.add(state)
    return False


def _steps(left: str, right: str, i: int, j: int) -> list[tuple[int, int]]:
    """Where two patterns can go from positions `i` and `j` by skipping a star or sharing one character."""
    a = left[i] if i < len(left) else ""
    b = right[j] if j < len(right) else ""
    steps = []
    if a == "*":
        steps.append((i + 1, j))
        if b and b != "*":
            steps.append((i, j + 1))
    if b == "*":
        steps.append((i, j + 1))
        if a and a != "*":
            steps.append((i + 1, j))
    if a and a == b and a != "*":
        steps.append((i + 1, j + 1))
    return steps


def content_fault(pattern: str) -> str | None:
    """Why a name or glob must not be kept; None if it is harmless.

    Globs must not reach any name listed here. A plain name must also not be one that reading takes for content by its
    form (`*.prompt`): it would silently never be kept.
    """
    if set("?[") & set(pattern):
        return f"{pattern!r}: of all glob characters only * is understood here"
    for content in content_patterns():
        if overlaps(pattern.lower(), content):
            return f"{pattern!r} would keep {content!r}, which carries content; name narrower keys, for example app.*"
    if "*" not in pattern and tables().content.match(pattern):
        return (
            f"{pattern!r} has the name of content, which is never kept; give the application's attribute another name"
        )
    return None
