"""Which time a report covers, and which it is compared with."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

WORDS: Final = ("today", "yesterday", "month", "last-month", "all")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TOO_LONG: Final = "no calendar reaches that far; write --last all for everything"


class Period(NamedTuple):
    """[start, end) and the period before it, [before_start, before_end); instants in the zone of the report."""

    start: datetime
    end: datetime
    before_start: datetime
    before_end: datetime

    @property
    def is_compared(self) -> bool:
        """False where there is no time before."""
        return self.before_start < self.before_end


def zone(name: str) -> ZoneInfo:
    """A time zone by its name. Raises `ValueError`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone; write one like UTC, Europe/Berlin or Asia/Kolkata") from error


def last(text: str, now: datetime) -> Period:
    """`90m`, `24h`, `7d`, `4w` up to `now`, or a word: today, yesterday, month, last-month, all. Raises `ValueError`.

    Days and months are those of `now`'s zone. A day or month that is not over is compared with the same part of the
    one before.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight.replace(day=1)
    day = timedelta(days=1)
    if text == "today":
        return Period(midnight, now, midnight - day, now - day)
    if text == "yesterday":
        return Period(midnight - day, midnight, midnight - 2 * day, midnight - day)
    if text == "month":
        before = _month_before(first)
        return Period(first, now, before, min(before + (now - first), first))
    if text == "last-month":
        start = _month_before(first)
        return Period(start, first, _month_before(start), start)
    if text == "all":
        return Period(_BEGINNING.astimezone(now.tzinfo), now + day, _BEGINNING, _BEGINNING)
    match = re.fullmatch(r"([1-9]\d{0,4})([mhdw])", text)
    if match is None:
        raise ValueError(f"{text!r} is no period; write 90m, 24h, 7d, 4w, {', '.join(WORDS[:-1])} or {WORDS[-1]}")
    try:
        start = _earlier(now, timedelta(**{_UNITS[match[2]]: int(match[1])}))
    except OverflowError as error:
        raise ValueError(_TOO_LONG) from error
    return between(start, now)


def between(start: datetime, end: datetime) -> Period:
    """A period of your own, compared with the same length before. Raises `ValueError` if it is empty."""
    if end <= start:
        raise ValueError("the period ends before it starts")
    try:
        return Period(start, end, _earlier(start, end.astimezone(UTC) - start.astimezone(UTC)), start)
    except OverflowError as error:
        raise ValueError(_TOO_LONG) from error


def instant(text: str, tz: ZoneInfo) -> datetime:
    """`2026-11-25`, `2026-11-25T13:30`, with or without an offset; without one it is in `tz`. Raises `ValueError`."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=tz) if moment.tzinfo is None else moment.astimezone(tz)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is no time; write 2026-11-25 or 2026-11-25T13:30") from error


def _earlier(moment: datetime, by: timedelta) -> datetime:
    """Elapsed time, not wall time: 24 h stay 24 h when clocks change."""
    return (moment.astimezone(UTC) - by).astimezone(moment.tzinfo)


def _month_before(first: datetime) -> datetime:
    return (first - timedelta(days=1)).replace(day=1)
