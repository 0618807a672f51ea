"""Prices that depend on the clock: times of day, weekdays and public holidays, all in UTC.

A schedule is written `[DAYS ]HH:MM-HH:MM[,HH:MM-HH:MM...][ except CALENDAR]`, e.g.
`Mon-Fri 01:00-04:00,06:00-10:00 except cn`. Windows are [start, end); one that ends before it starts runs past
midnight and belongs to the day it starts on. A calendar names the days that are holidays.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from re import compile as compile_regex
from typing import Final, NamedTuple

DAY_MINUTES: Final = 24 * 60
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SYNTAX: Final = compile_regex(
    r"(?:(?P<days>[A-Za-z,-]+) )?"
    r"(?P<windows>\d\d:\d\d-\d\d:\d\d(?:,\d\d:\d\d-\d\d:\d\d)*)"
    r"(?: except (?P<calendar>\S+))?"
)

Calendars = Mapping[str, frozenset[date]]
"""Calendar name -> days that are holidays."""


class Schedule(NamedTuple):
    """When a line applies."""

    days: frozenset[int]
    """Weekdays, Monday is 0."""
    windows: tuple[tuple[int, int], ...]
    """Minutes of the day, [start, end)."""
    holidays: frozenset[date]

    def covers(self, instant: datetime) -> bool:
        """Is this schedule on at `instant` (UTC)?"""
        minute = instant.hour * 60 + instant.minute
        today = instant.date()
        for start, end in self.windows:
            if start <= end:
                if start <= minute < end and self._is_on(today):
                    return True
            elif (minute >= start and self._is_on(today)) or (minute < end and self._is_on(today - timedelta(days=1))):
                return True
        return False

    def _is_on(self, day: date) -> bool:
        return day.weekday() in self.days and day not in self.holidays


def parse(text: str, calendars: Calendars) -> Schedule:
    """A schedule from its spelling. Raises ValueError that says what is wrong."""
    match = _SYNTAX.fullmatch(text)
    if match is None:
        raise ValueError(f"schedule {text!r}: expected e.g. 'Mon-Fri 01:00-04:00,06:00-10:00 except cn'")
    windows = tuple(
        (_minute(start), _minute(end))
        for start, _, end in (window.partition("-") for window in match["windows"].split(","))
    )
    calendar = match["calendar"]
    if calendar is not None and calendar not in calendars:
        raise ValueError(f"schedule {text!r}: no calendar {calendar!r} (have {', '.join(sorted(calendars))})")
    holidays = calendars[calendar] if calendar is not None else frozenset()
    return Schedule(_weekdays(match["days"] or "Mon-Sun"), windows, holidays)


def _minute(text: str) -> int:
    hours, minutes = int(text[:2]), int(text[3:])
    if hours * 60 + minutes > DAY_MINUTES or minutes > 59:
        raise ValueError(f"{text} is not a time of day")
    return hours * 60 + minutes


def _weekdays(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.split(","):
        first, _, last = part.lower().partition("-")
        try:
            start, end = _DAYS.index(first), _DAYS.index(last or first)
        except ValueError:
            raise ValueError(f"{part!r} is not a weekday (Mon, Tue, ...)") from None
        days.update((start + step) % 7 for step in range((end - start) % 7 + 1))
    return frozenset(days)


def boundaries(schedules: list[Schedule]) -> list[int]:
    """Minutes of the day at which any of the schedules may switch, midnight included."""
    return sorted({0} | {minute % DAY_MINUTES for s in schedules for window in s.windows for minute in window})


def stretch(marks: list[int], instant_ns: int) -> tuple[int, int]:
    """The time [from, to) around an instant in which no schedule with these boundaries switches, nanoseconds."""
    minute_ns = 60_000_000_000
    day_ns = DAY_MINUTES * minute_ns
    midnight = instant_ns - instant_ns % day_ns
    position = bisect_right(marks, (instant_ns - midnight) // minute_ns)
    end = marks[position] if position < len(marks) else DAY_MINUTES
    return midnight + marks[position - 1] * minute_ns, midnight + end * minute_ns


def as_datetime(instant_ns: int) -> datetime:
    """The UTC time of a nanosecond timestamp, to the microsecond."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant_ns // 1000)
