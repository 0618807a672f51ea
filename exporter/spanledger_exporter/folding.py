"""Old days: their partitions by agent are folded into one, and days beyond the retention are dropped.

A fold copies a day's physical rows (tombstones too, or every span that is sent again would stand twice) to the label
`''`, then drops the rows by agent. The view `calls` hides the copies while they are made, then the originals while they
are dropped, so that its sums are the same at every moment. Each step is written down before it is taken: a fold that
was interrupted is taken up where it stopped, before anything else is written.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from enum import IntEnum
from typing import Final

from clickhouse_connect.driver.client import Client

from spanledger_core.errors import StoreRefused
from spanledger_exporter.sql import query_text, render

_COPY_SETTINGS: Final[dict[str, str | int]] = {
    "insert_deduplicate": 0,
    "max_partitions_per_insert_block": 0,
    "max_insert_threads": 1,
}


class Step(IntEnum):
    """How far the fold of a day has come; each one stands in the table `folds` before it is begun."""

    copying = 1
    dropping = 2
    folded = 3


def days_to_fold(client: Client, before: date) -> list[date]:
    """The days before `before` that still have partitions by agent."""
    return [day for (day,) in client.query(query_text("days_to_fold"), {"before": before}).result_rows]


def fold(client: Client, day: date, on_step: Callable[[str], None] = lambda done: None) -> None:
    """Fold one day. Nothing else may write to it meanwhile; `on_step` is told what has just been done.

    The view hides one half of one day, so a fold that was stopped is finished first. A day without partitions by agent
    is left alone: hiding its label would hide all of it.
    """
    if day in resume(client) or not _literal_partitions(client, day):
        return
    _enter(client, day, Step.copying, on_step)
    _go_on(client, day, Step.copying, on_step)


def resume(client: Client) -> list[date]:
    """Finish the folds that were interrupted; the days they were of."""
    unfinished = client.query(query_text("unfinished_folds")).result_rows
    for day, step in unfinished:
        _show(client, day, Step(step))
        _go_on(client, day, Step(step), lambda done: None)
    return [day for day, _ in unfinished]


def drop_expired(client: Client, before: date) -> int:
    """Drop the partitions of days before `before`, which the TTL forgets where nothing is merged any more."""
    expired = [
        partition for (partition,) in client.query(query_text("expired_partitions"), {"before": before}).result_rows
    ]
    _drop(client, expired)
    return len(expired)


def _go_on(client: Client, day: date, step: Step, on_step: Callable[[str], None]) -> None:
    if step == Step.copying:
        # From here on late rows of the day get the label '': hidden, until the view turns round.
        client.insert("partition_days", [[day, 0, 0]], column_names=["day", "literal_agents", "hash_buckets"])
        on_step("labelled")
        client.command(query_text("fold_copy"), {"day": day}, settings=_COPY_SETTINGS)
        on_step("copied")
        _refuse_if_incomplete(client, day)
        _enter(client, day, Step.dropping, on_step)
    _drop(client, _literal_partitions(client, day))
    on_step("dropped")
    _enter(client, day, Step.folded, on_step)


def _refuse_if_incomplete(client: Client, day: date) -> None:
    """Nothing is dropped on trust: a fold that does not find every row among its copies stops, and nothing is lost."""
    missing = client.query(query_text("fold_missing"), {"day": day}).result_rows[0][0]
    if missing:
        raise StoreRefused(f"the fold of {day} was stopped: {missing} rows have no copy; the originals are still there")


def _enter(client: Client, day: date, step: Step, on_step: Callable[[str], None]) -> None:
    client.insert("folds", [[day, int(step)]], column_names=["day", "step"])
    on_step(f"{step.name} noted")
    _show(client, day, step)
    on_step(f"{step.name} shown")


def _show(client: Client, day: date, step: Step) -> None:
    """The view `calls` without the half of `day` that must not be seen during `step`."""
    name = {Step.copying: "calls_without_copies", Step.dropping: "calls_without_originals", Step.folded: "calls"}[step]
    client.command(render(query_text(name), {"day": day}))


def _literal_partitions(client: Client, day: date) -> list[str]:
    return [partition for (partition,) in client.query(query_text("literal_partitions"), {"day": day}).result_rows]


def _drop(client: Client, partitions: list[str]) -> None:
    for partition in partitions:
        client.command(query_text("drop_partition"), {"partition": partition})
