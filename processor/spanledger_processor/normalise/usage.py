"""From the figures of a span to one convention: totals that contain their parts (DESIGN.md 2, reference tables)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from spanledger_core.facts import Usage
from spanledger_processor.normalise.schema import Cache, Thoughts

MAX_COUNT: Final = 10_000_000_000
"""No call uses more of anything; a larger figure is an error of its sender."""


_new: Final = tuple.__new__


class Figures(NamedTuple):
    """What a span or document says, before any convention; None where it says nothing."""

    input: int | None = None
    output: int | None = None
    total: int | None = None
    uncached_input: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    tool_input: int | None = None
    units: tuple[tuple[str, int], ...] = ()


class Counting(NamedTuple):
    """The convention a set of figures follows."""

    cache: Cache = "assumed"
    thoughts: Thoughts = "inside"
    quality: str = "ok"
    audio: str = "inside"
    """Or `outside`: audio is in no total."""


class Counted(NamedTuple):
    """A usage, and whether the figures contradict the convention declared for their sender."""

    usage: Usage | None
    contradicted: bool = False


NOTHING: Final = Counted(None)


def count(figures: Figures, counting: Counting) -> Counted:
    """Bring figures to totals. Evidence in the figures wins over the declared convention."""
    numbers = [number for number in figures[:-1] if number is not None]
    if not numbers and not figures.units:
        return NOTHING
    if (numbers and (min(numbers) < 0 or max(numbers) > MAX_COUNT)) or any(
        not 0 <= number <= MAX_COUNT for _, number in figures.units
    ):
        return Counted(_bad(figures, counting.cache))
    if not any(numbers) and not any(number for _, number in figures.units):
        return NOTHING
    read = figures.cache_read or 0
    short, long = _writes(figures)
    entered, convention = _input(figures, counting, read + short + long)
    left, reasoning, thoughts_contradict = _output(figures, counting, entered)
    if not (entered or left or figures.units):
        return NOTHING  # only a total, which says nothing of its parts
    audio_input = figures.audio_input or 0
    if counting.audio == "outside":
        entered = None if entered is None else entered + audio_input
        left = None if left is None else left + (figures.audio_output or 0)
    if entered is not None:
        audio_input = min(audio_input, entered - read - short - long)
    audio_output = figures.audio_output or 0
    if left is not None:
        audio_output = min(audio_output, left - reasoning)
    usage = Usage(
        entered,
        left,
        read,
        short,
        long,
        reasoning,
        audio_input,
        audio_output,
        tuple(unit for unit in figures.units if unit[1]),
        convention,
        counting.quality,
    )
    contradicted = thoughts_contradict or (counting.cache == "inclusive" and convention == "exclusive")
    return Counted(usage, contradicted)


def usual(picked: tuple[int, ...], cache: Cache) -> Usage | None:
    """`count` for the usual span: totals given and inclusive, parts that fit into them. None: it is not one.

    `picked` holds input, output, the parts `count` knows, and the total, 0 if not said.
    """
    entered, left, read, write, short, long, reasoning, audio_input, audio_output, total = picked
    if 0 <= short < write - long:
        short = write - long
    if (
        read >= 0
        and write >= 0
        and long >= 0
        and short >= 0
        and audio_input >= 0
        and read + short + long + audio_input <= entered <= MAX_COUNT
        and reasoning >= 0
        and audio_output >= 0
        and reasoning + audio_output <= left <= MAX_COUNT
        and (entered or left)
        and not (reasoning and total == entered + left + reasoning)
        and 0 <= total <= MAX_COUNT
    ):
        return _new(Usage, (entered, left, read, short, long, reasoning, audio_input, audio_output, (), cache, "ok"))
    return None


def merge(plain: Usage | None, nested: Usage | None) -> Usage | None:
    """What plain attributes say, completed by a document of the same span.

    Totals are the attributes', unless they turn out to be the document's without its cache or reasoning.
    """
    if plain is None or nested is None:
        return plain if nested is None else nested
    if "bad" in (plain.quality, nested.quality):
        return plain
    entered, left = plain.input, plain.output
    unseen = _cached(nested) - _cached(plain)
    if entered is None or (nested.input is not None and unseen > 0 and entered == nested.input - unseen):
        entered = nested.input
    unseen = nested.reasoning - plain.reasoning
    if left is None or (nested.output is not None and unseen > 0 and left == nested.output - unseen):
        left = nested.output
    read = plain.cache_read or nested.cache_read
    writes = plain.cache_write_5m + plain.cache_write_1h
    split = nested.cache_write_5m + nested.cache_write_1h
    short, long = plain.cache_write_5m, plain.cache_write_1h
    if split and (not writes or (not long and split == writes)):
        short, long = nested.cache_write_5m, nested.cache_write_1h
    reasoning = plain.reasoning or nested.reasoning
    audio_input = plain.audio_input or nested.audio_input
    audio_output = plain.audio_output or nested.audio_output
    if read + short + long + audio_input > (entered or 0) or reasoning + audio_output > (left or 0):
        return plain  # the document is about something else
    return plain._replace(
        input=entered,
        output=left,
        cache_read=read,
        cache_write_5m=short,
        cache_write_1h=long,
        reasoning=reasoning,
        audio_input=audio_input,
        audio_output=audio_output,
        units=plain.units or nested.units,
    )


def detailed(plain: Usage, details: Usage) -> Usage:
    """What plain attributes say, completed by a document that tells parts and no totals.

    Who leaves cache out of its input does so whatever else tells of the cache.
    """
    lifted = plain
    if plain.convention == "exclusive" and plain.input is not None:
        unseen = 0 if plain.cache_read else details.cache_read
        if not plain.cache_write_5m + plain.cache_write_1h:
            unseen += details.cache_write_5m + details.cache_write_1h
        lifted = plain._replace(input=plain.input + unseen)
    found = merge(lifted, details._replace(input=None, output=None))
    return plain if found is None or found is lifted else found


def figures_from(found: Mapping[str, int]) -> Figures:
    """`Figures` from a mapping of usage fields, `unit.X` among them."""
    units = tuple(sorted((name[5:], number) for name, number in found.items() if name.startswith("unit.")))
    return Figures(**{name: number for name, number in found.items() if not name.startswith("unit.")}, units=units)


def _writes(figures: Figures) -> tuple[int, int]:
    """Cache writes for five minutes and for one hour; what has no such split counts as five minutes."""
    short, long = figures.cache_write_5m or 0, figures.cache_write_1h or 0
    return max(short, (figures.cache_write or 0) - long), long


def _input(figures: Figures, counting: Counting, cached: int) -> tuple[int | None, Cache]:
    entered = figures.input
    convention = counting.cache
    if entered is None:
        if figures.uncached_input is not None:
            return figures.uncached_input + cached + (figures.tool_input or 0), "inclusive"
        return (cached or figures.audio_input or figures.tool_input or None), convention
    if figures.uncached_input is not None and entered == figures.uncached_input + cached:
        convention = "inclusive"
    elif cached and convention != "exclusive":
        beside = figures.total is not None and figures.total == entered + cached + (figures.output or 0)
        if cached > entered or (convention == "assumed" and beside):
            convention = "exclusive"
    if convention == "exclusive":
        entered += cached
    return entered + (figures.tool_input or 0), convention


def _output(figures: Figures, counting: Counting, entered: int | None) -> tuple[int | None, int, bool]:
    left, reasoning = figures.output, figures.reasoning or 0
    if left is None:
        return (reasoning or figures.audio_output or None), reasoning, False
    if counting.thoughts == "rest" and not reasoning and figures.total is not None:
        rest = figures.total - left - (entered or 0)
        return (left + rest, rest, False) if rest > 0 else (left, 0, False)
    if not reasoning:
        return left, 0, False
    # some providers leave thoughts out of output whoever reports them: then only the total holds them
    beside = figures.total is not None and figures.total == (entered or 0) + left + reasoning
    if beside or counting.thoughts in ("outside", "rest"):
        return left + reasoning, reasoning, False
    if counting.thoughts == "twice" and left >= 2 * reasoning:
        return left - reasoning, reasoning, False
    if reasoning > left:
        return left + reasoning, reasoning, True
    return left, reasoning, False


def _cached(usage: Usage) -> int:
    return usage.cache_read + usage.cache_write_5m + usage.cache_write_1h


def _bad(figures: Figures, convention: Cache) -> Usage:
    """Negative or absurd: what is no count is left out, the rest stays to be looked at, and nothing is priced."""

    def sane(number: int | None) -> int:
        return number if number is not None and 0 <= number <= MAX_COUNT else 0

    read, write = sane(figures.cache_read), sane(figures.cache_write)
    entered = max(sane(figures.input), read + write, sane(figures.audio_input))
    left = max(sane(figures.output), sane(figures.reasoning))
    return Usage(
        entered or None,
        left or None,
        read,
        write,
        0,
        sane(figures.reasoning),
        0,
        0,
        (),
        convention,
        "bad",
    )
