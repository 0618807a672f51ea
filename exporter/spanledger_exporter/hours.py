"""Hours: how changes are grouped for what follows them. An hour is the seconds since 1970 of its start, UTC.

Which minutes of it are meant, where that matters, is an integer with a bit for each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from spanledger_core.rows import CallRow
from spanledger_exporter.batches import HOUR_US, TIMESTAMP, Tombstone

HOUR_S: Final = 3600
MINUTE_S: Final = 60
ALL_MINUTES: Final = (1 << 60) - 1
_MINUTE_US: Final = 60_000_000
_GAP_S: Final = 24 * HOUR_S
_RUN_S: Final = 31 * 24 * HOUR_S


def hours_of(rows: Iterable[CallRow], tombstones: Iterable[Tombstone]) -> set[int]:
    """The hours that these changes touch."""
    hours = {row[TIMESTAMP] // HOUR_US for row in rows}
    hours.update(key.start_ns // (HOUR_US * 1000) for key, _ in tombstones)
    return {hour * HOUR_S for hour in hours}


def minutes_of(rows: Iterable[CallRow], tombstones: Iterable[Tombstone]) -> dict[int, int]:
    """The hours that these changes touch, and the minutes of each."""
    minutes = {row[TIMESTAMP] // _MINUTE_US for row in rows}
    minutes.update(key.start_ns // (_MINUTE_US * 1000) for key, _ in tombstones)
    found: dict[int, int] = {}
    for minute in minutes:
        hour = minute // 60 * HOUR_S
        found[hour] = found.get(hour, 0) | 1 << minute % 60
    return found


def starts_of(hour: int, minutes: int) -> list[int]:
    """The starts of these minutes of an hour, seconds since 1970."""
    return [hour + MINUTE_S * number for number in range(60) if minutes >> number & 1]


def runs(hours: Collection[int]) -> Iterator[list[int]]:
    """`hours` in order, cut where a day or more lies between and after a month.

    A query over a run reads what lies between its first and last hour; one over everything would read a year for two
    late rows.
    """
    run: list[int] = []
    for hour in sorted(set(hours)):
        if run and (hour - run[-1] > _GAP_S or hour - run[0] >= _RUN_S):
            yield run
            run = []
        run.append(hour)
    if run:
        yield run
