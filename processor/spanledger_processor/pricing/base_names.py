"""Which ids the clauses of genai-prices mean: a longer name is another model.

A `starts_with`, `contains` or open `regex` clause only matches where what is left over of the id is a version: a date,
a number, `-latest`. A word (`-preview`, `-instruct`) or a version of its own (`-v2:0`) may make another model of it: it
is taken only behind a name that the list has with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from functools import cache
from re import Match
from re import compile as compile_regex
from typing import Final

from genai_prices import types

Test = Callable[[str], bool]

_LEFT_OVER: Final = compile_regex(
    r"(?:[-@.:](?:\d{8}|\d{4}-\d{2}-\d{2}|\d{2}-\d{4}|\d{2}-\d{2}|\d{3,4}|v\d(?::\d)?(?::\d+k)?|latest|preview|exp"
    r"|experimental|beta|default|nightly|thinking|customtools|instruct|chat|it|hf)|:\d)*"
)
_DATES: Final = compile_regex(r"(?<!\d)(?:\d{8}|\d{4}-\d{2}-\d{2}|\d{2}-\d{4}|\d{2}-\d{2}|\d{4})(?!\d)")
_BEGUN: Final = compile_regex(r"[-@.:]\d*$")
"""The start of a version with which a clause's text may end (`gemini-2.0-flash-0`)."""
_BEFORE: Final = compile_regex(r"(?:(?:us|eu|apac|au|jp|in|ca|sa|global|us-gov)\.)?(?:[a-z0-9]+\.)?|c4ai-|minimax-|.*/")
_REGION: Final = compile_regex(r"^(?:us|eu|apac|au|jp|in|ca|sa|global|us-gov|regional)\.")
_SPOKEN: Final = compile_regex(
    r"(?:[-@.:](?:v\d(?::\d)?|preview|exp|experimental|beta|nightly|thinking|customtools|instruct|chat|it|hf)|:\d)"
    r"(?=[-@.:]|$)"
)
"""Of what is left over, what may make another model."""
_SNAPSHOT: Final = compile_regex(r"(?:[-@.:]\d.*)?")


class Listed:
    """The names that a list spells out."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(dict.fromkeys(_REGION.sub("", name.lower()) for name in names))

    def has(self, name: str) -> bool:
        """Is there a name like this, or a snapshot of it? `:0` is the one revision of a version listed without any."""
        if any(_begins(each, name) for each in self._names):
            return True
        version, _, revision = name.rpartition(":")
        return revision == "0" and self.has(version) and not any(f"{version}:" in each for each in self._names)

    def knows(self, core: str, left_over: str) -> bool:
        """Is every word and version behind `core` in the list?"""
        core = _REGION.sub("", core)
        return all(
            self.has(core + found[0]) or self.has(core + left_over[: found.end()])
            for found in _SPOKEN.finditer(left_over)
        )


def _begins(listed: str, name: str) -> bool:
    before, found, after = listed.partition(name)
    return bool(found) and before[-1:] in {"", ".", "/"} and bool(_SNAPSHOT.fullmatch(after))


def spelled(info: types.ModelInfo) -> Iterator[str]:
    """The names a model has in the list: its id, and what its clauses compare with."""
    yield info.id
    for clause in alternatives(info.match):
        for part in clause.and_ if isinstance(clause, types.ClauseAnd) else [clause]:
            if isinstance(part, types.ClauseEquals):
                yield part.equals
            elif isinstance(part, types.ClauseStartsWith):
                yield part.starts_with
            elif isinstance(part, types.ClauseContains):
                yield part.contains
            elif isinstance(part, types.ClauseEndsWith):
                yield part.ends_with


def alternatives(clause: types.MatchLogic) -> Iterator[types.MatchLogic]:
    """The clauses of which one is enough."""
    if isinstance(clause, types.ClauseOr):
        for part in clause.or_:
            yield from alternatives(part)
    else:
        yield clause


def clause_test(clause: types.MatchLogic, listed: Listed) -> Test:
    """The test of an id, lower case, that a clause stands for."""
    if isinstance(clause, types.ClauseAnd):
        tests = [clause_test(part, listed) for part in clause.and_]
        return lambda name: all(test(name) for test in tests)
    if isinstance(clause, types.ClauseStartsWith):
        return _starts_with(clause.starts_with.lower(), listed)
    if isinstance(clause, types.ClauseContains):
        return _contains(clause.contains.lower(), listed)
    if isinstance(clause, types.ClauseEndsWith):
        ending = clause.ends_with.lower()
        return lambda name: name.endswith(ending) and bool(_BEFORE.fullmatch(name[: -len(ending)]))
    if isinstance(clause, types.ClauseRegex):
        return _matches(clause.regex, listed)
    return clause.is_match


def _is_version(text: str, after: str, listed: Listed) -> bool:
    """Only a version is left of the name. A fine-tuned model's name goes on with its owner's."""
    if after.startswith("ft:"):
        return True
    begun = _BEGUN.search(after) if text[:1] not in {"-", "@", ".", ":", ""} else None
    if begun:
        after, text = after[: begun.start()], begun[0] + text
    return _is_left_over(text) and listed.knows(after, text)


def _is_left_over(text: str) -> bool:
    return bool(_LEFT_OVER.fullmatch(text)) and all(map(_can_be, _DATES.finditer(text)))


def _can_be(found: Match[str]) -> bool:
    """Whether a version that looks like a date is one, and none that the list cannot know yet."""
    digits = found[0].replace("-", "")
    if len(digits) == len("20261231"):
        return _is_past(digits, "%Y%m%d")
    if len(digits) == len("122026"):
        return _is_past(digits, "%m%Y")
    # month and day, or year and month: only the name's own family could say which
    return _is_past(f"2024{digits}", "%Y%m%d") or _is_past(f"20{digits}", "%Y%m")


def _is_past(text: str, form: str) -> bool:
    try:
        return datetime.strptime(text, form).date() < _horizon()
    except ValueError:
        return False


@cache
def _horizon() -> date:
    """The last day that the installed genai-prices says anything about: it knows no snapshot of that day or later."""
    from genai_prices.data import providers  # noqa: PLC0415 - 30,000 lines, only when needed

    prices = [model.prices for provider in providers for model in provider.models]
    starts = [
        each.constraint.start_date
        for dated in prices
        if not isinstance(dated, types.ModelPrice)
        for each in dated
        if isinstance(each.constraint, types.StartDateConstraint)
    ]
    return max(starts, default=date.max)


def _starts_with(start: str, listed: Listed) -> Test:
    return lambda name: name.startswith(start) and _is_version(name[len(start) :], start, listed)


def _matches(regex: str, listed: Listed) -> Test:
    pattern = compile_regex(regex)
    anchored = regex.endswith("$") or regex.startswith("^(?!")

    def test(name: str) -> bool:
        match = pattern.search(name)
        if match is None or anchored:
            return match is not None
        begun = _BEGUN.search(match[0])
        left_over = (begun[0] if begun else "") + name[match.end() :]
        return _is_left_over(left_over) and listed.knows(match[0][: begun.start() if begun else None], left_over)

    return test


def _contains(part: str, listed: Listed) -> Test:
    def test(name: str) -> bool:
        before, found, after = name.partition(part)
        return bool(found) and bool(_BEFORE.fullmatch(before)) and _is_version(after, part, listed)

    return test
