"""Hours: how changes are grouped for what follows them. An hour is the seconds since 1970 of its start, UTC."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from spanledger_core.rows import CallRow
from spanledger_exporter.batches import HOUR_US, TIMESTAMP, Tombstone

HOUR_S: Final = 3600
_GAP_S: Final = 24 * HOUR_S
_RUN_S: Final = 31 * 24 * HOUR_S


def hours_of(rows: Iterable[CallRow], tombstones: Iterable[Tombstone]) -> set[int]:
    """The hours that these changes touch."""
    hours = {row[TIMESTAMP] // HOUR_US for row in rows}
    hours.update(key.start_ns // (HOUR_US * 1000) for key, _ in tombstones)
    return {hour * HOUR_S for hour in hours}


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
