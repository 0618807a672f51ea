"""A batch of changes as the columns of an insert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias

from clickhouse_connect.driver.exceptions import DataError

from spanledger_core.calls import CallKey
from spanledger_core.rows import CALL_COLUMNS, PHYSICAL_COLUMNS, CallRow
from spanledger_exporter.columns import ReadyColumn, default_of

DAY_US: Final = 86_400_000_000
HOUR_US: Final = 3_600_000_000
DAYS_END: Final = 1 << 16
"""ClickHouse's Date, which days of the table are cut by, ends in 2149."""

TIMESTAMP: Final = CALL_COLUMNS.index("timestamp")
AGENT: Final = CALL_COLUMNS.index("agent_id")
TENANT: Final = CALL_COLUMNS.index("tenant_id")
TRACE: Final = CALL_COLUMNS.index("trace_id")
SPAN: Final = CALL_COLUMNS.index("span_id")
VERSION: Final = CALL_COLUMNS.index("version")

_TURNED_AT_ONCE: Final = 256

Tombstone: TypeAlias = tuple[CallKey, int]
"""The key of a row that is no more, and the version of that knowledge."""


class Columns(NamedTuple):
    """The types of `llm_costs`, as its table says, with their writers."""

    types: tuple[ReadyColumn, ...]
    """One per name in `PHYSICAL_COLUMNS`."""
    defaults: tuple[Any, ...]
    """One per name in `CALL_COLUMNS`."""

    @classmethod
    def of_table(cls, type_names: Mapping[str, str]) -> Columns:
        """From DESCRIBE's names and types."""
        types = tuple(ReadyColumn(type_names[name]) for name in PHYSICAL_COLUMNS)
        return cls(types, tuple(default_of(type_names[name]) for name in CALL_COLUMNS))


def tombstone_row(key: CallKey, version: int, defaults: Sequence[Any]) -> CallRow:
    """The row that withdraws `key`: its key columns and version, nothing else."""
    values = list(defaults)
    values[TIMESTAMP] = key.start_ns // 1000
    values[AGENT] = key.agent_id
    values[TENANT] = key.tenant_id
    values[TRACE] = key.trace_id.hex()
    values[SPAN] = key.span_id.hex()
    values[VERSION] = version
    return tuple(values)


def newest(rows: Sequence[CallRow], tombstones: Sequence[Tombstone]) -> tuple[Sequence[CallRow], Sequence[Tombstone]]:
    """The last change of every key, by version; of equal versions the one that came last, a tombstone after a row."""
    if not tombstones and len(set(map(itemgetter(SPAN), rows))) == len(rows):
        return rows, tombstones  # nearly always: what no two rows have in common need not be told apart by more
    latest: dict[tuple[Any, ...], tuple[int, CallRow | None, Tombstone | None]] = {}
    for row in rows:
        key = _physical_key(row)
        if key not in latest or latest[key][0] <= row[VERSION]:
            latest[key] = (row[VERSION], row, None)
    for tombstone in tombstones:
        of = tombstone[0]
        key = (of.trace_id.hex(), of.span_id.hex(), of.start_ns // 1000, of.agent_id, of.tenant_id)
        if key not in latest or latest[key][0] <= tombstone[1]:
            latest[key] = (tombstone[1], None, tombstone)
    kept = latest.values()
    return [row for _, row, _ in kept if row is not None], [grave for _, _, grave in kept if grave is not None]


_physical_key = itemgetter(TRACE, SPAN, TIMESTAMP, AGENT, TENANT)


def token_of(rows: Sequence[CallRow], tombstones: Sequence[Tombstone]) -> str:
    """The deduplication token of a batch: the same for the same changes, however often and by whom it is sent."""
    said = [f"{row[TRACE]}{row[SPAN]}{row[VERSION]}|" for row in rows]
    said += [f"{key.trace_id.hex()}{key.span_id.hex()}{version}-" for key, version in tombstones]
    return blake2b("".join(said).encode(), digest_size=16).hexdigest()


class Batch(NamedTuple):
    """Rows and tombstones that are written under one token, by UTC day (days since 1970)."""

    rows: Sequence[CallRow]
    """The calls, then the tombstones as rows."""
    live: int
    """How many of `rows` are calls."""
    places: Mapping[int, Sequence[int]]
    """Day -> positions in `rows`, days in order."""

    @classmethod
    def of(cls, rows: Sequence[CallRow], tombstones: Sequence[Tombstone], columns: Columns) -> Batch:
        """Raises `DataError` if a row has not one value per column, or starts on no day that ClickHouse knows."""
        everything = [*rows, *(tombstone_row(key, version, columns.defaults) for key, version in tombstones)]
        if set(map(len, everything)) != {len(CALL_COLUMNS)}:
            raise DataError("a row has not one value per column")
        try:
            days = [row[TIMESTAMP] // DAY_US for row in everything]
        except TypeError as error:
            raise DataError(f"timestamp: {error}") from error
        distinct = sorted(set(days))
        if distinct[0] < 0 or distinct[-1] >= DAYS_END:
            raise DataError("timestamp: out of range")
        if len(distinct) == 1:
            return cls(everything, len(rows), {distinct[0]: range(len(everything))})
        places: dict[int, list[int]] = {day: [] for day in distinct}
        for place, day in enumerate(days):
            places[day].append(place)
        return cls(everything, len(rows), places)

    @property
    def agents(self) -> dict[int, list[str]]:
        """Day -> its agents, in the order of their first change. Raises `DataError` if a name is no text."""
        found = {
            day: list(dict.fromkeys([self.rows[place][AGENT] for place in self.places[day]])) for day in self.places
        }
        try:
            for agents in found.values():
                "".join(agents).encode()
        except (TypeError, UnicodeEncodeError) as error:
            raise DataError(f"agent_id: {error}") from error
        return found

    def columns(self, days: Sequence[int], labels: Mapping[int, Mapping[str, str]]) -> list[Sequence[Any]]:
        """The columns of `PHYSICAL_COLUMNS` for the changes of `days`; `labels` is day -> agent -> partition."""
        if len(days) == len(self.places):
            chosen, flags = self.rows, bytes(self.live) + b"\1" * (len(self.rows) - self.live)
        else:
            places = [place for day in days for place in self.places[day]]
            chosen, flags = [self.rows[place] for place in places], bytes(place >= self.live for place in places)
        columns: list[Sequence[Any]] = [*_turned(chosen)]
        if len(days) == 1:
            of_agent = labels[days[0]]
            columns.append([of_agent[agent] for agent in columns[AGENT]])
        else:
            pairs = zip(columns[TIMESTAMP], columns[AGENT], strict=True)
            columns.append([labels[timestamp // DAY_US][agent] for timestamp, agent in pairs])
        columns.append(flags)
        return columns

    def token(self, token: str, days: Sequence[int]) -> str:
        """The deduplication token of the part of the batch that `days` are."""
        return token if len(days) == len(self.places) else f"{token}/{days[0]}"


def _turned(rows: Sequence[CallRow]) -> list[list[Any]]:
    """Rows as columns, some rows at a time: all of a big batch for every column would not stay in the CPU's cache."""
    columns: list[list[Any]] = [[None] * len(rows) for _ in CALL_COLUMNS]  # of their length: growing moves them
    for start in range(0, len(rows), _TURNED_AT_ONCE):
        end = start + _TURNED_AT_ONCE
        for column, values in zip(columns, zip(*rows[start:end], strict=True), strict=True):
            column[start:end] = values
    return columns


def misfits(columns: Columns, rows: Sequence[CallRow]) -> dict[int, str]:
    """Position -> why, of the rows that have a value which does not fit its column. Slow: for batches that failed."""
    found = {}
    for position, row in enumerate(rows):
        if len(row) != len(CALL_COLUMNS):
            found[position] = f"{len(row)} values for {len(CALL_COLUMNS)} columns"
            continue
        if not isinstance(row[TIMESTAMP], int) or not 0 <= row[TIMESTAMP] < DAYS_END * DAY_US:
            found[position] = "timestamp: not microseconds between 1970 and 2149"
            continue
        for name, column, value in zip(CALL_COLUMNS, columns.types, row, strict=False):
            try:
                column.write_column([value], bytearray())
            except DataError as fault:
                found[position] = f"{name}: {fault}"
                break
    return found
