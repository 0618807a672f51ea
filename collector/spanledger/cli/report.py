"""`spanledger report`: who spent how much."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from spanledger.cli.options import ConfigFile, StoreOption, configuration
from spanledger.report.by import By

if TYPE_CHECKING:
    from datetime import datetime

    from spanledger.cli.target import QueryTarget
    from spanledger.report.period import Period


class Form(StrEnum):
    """How a report is written."""

    table = "table"
    csv = "csv"
    json = "json"


def report(
    *,
    by: Annotated[By, typer.Option("--by", help="What to group by.", show_choices=True)] = By.agent,
    last: Annotated[
        str | None,
        typer.Option(
            "--last",
            metavar="PERIOD",
            help="90m, 24h, 7d, 4w up to now; today, yesterday, month, last-month or all. By default 7d.",
        ),
    ] = None,
    start: Annotated[str | None, typer.Option("--from", metavar="TIME", help="Instead of --last: 2026-11-25.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="End of --from; by default now.")] = None,
    tz: Annotated[str, typer.Option("--tz", metavar="ZONE", help="Time zone of days and hours.")] = "UTC",
    store: StoreOption = None,
    form: Annotated[Form, typer.Option("--format", help="How to write it.")] = Form.table,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="Most lines; the dearest first.")] = 1000,
    config: ConfigFile = None,
) -> None:
    """Who spent how much, against the period before.

    \b
    Cost is the sum of what is known; calls whose cost is unknown are counted as unpriced.
    "customer", "team" and the like are shown as (none) where the spans named nobody.

    \b
    Examples:
      spanledger report --last yesterday    # which agent cost the most yesterday?
      spanledger report --by model --last 30d --tz Europe/Berlin
      spanledger report --by customer --from 2026-11-01 --to 2026-12-01 --format csv
    """
    asked = _period(last, start, end, tz)
    from spanledger.cli.target import open_target, rows
    from spanledger.report import figures, render
    from spanledger_exporter.sql import query_text

    with open_target(configuration(config, store)) as target:
        answer = figures.ask(lambda sql, given: rows(target, sql, given), query_text("report"), by, asked, limit)
        empty = _empty(target) if not answer.total.calls and form is Form.table else ""
    if empty:
        typer.echo(f"No calls from {asked.start:%Y-%m-%d %H:%M} to {asked.end:%Y-%m-%d %H:%M} ({tz}). {empty}")
    elif form is Form.table:
        from spanledger.cli.terminal import output

        render.print_table(answer, output())
    else:
        typer.echo(render.as_csv(answer) if form is Form.csv else render.as_json(answer), nl=False)


def _period(last: str | None, start: str | None, end: str | None, tz: str) -> Period:
    from spanledger.report import period

    try:
        zone = period.zone(tz)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--tz") from None
    if last is not None and (start is not None or end is not None):
        raise typer.BadParameter("say either --last, or --from and --to", param_hint="--last")
    try:
        if start is None and end is None:
            return period.last(last or "7d", _now(zone))
        if start is None:
            raise typer.BadParameter("--to needs --from", param_hint="--to")
        return period.between(period.instant(start, zone), period.instant(end, zone) if end else _now(zone))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--last" if start is None else "--from") from None


def _now(zone: object) -> datetime:
    from datetime import UTC, datetime, timedelta
    from zoneinfo import ZoneInfo

    from spanledger_core.clock import SystemClock

    assert isinstance(zone, ZoneInfo)
    microseconds = SystemClock().now_ns() // 1000
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).astimezone(zone)


def _empty(target: QueryTarget) -> str:
    """What to try when there is nothing to report."""
    from spanledger.cli.target import rows
    from spanledger_exporter.sql import query_text

    (span,) = rows(target, query_text("report_span"))
    if not int(span["calls"]):
        return "The store holds no calls yet: point an application at the collector, see 'spanledger serve --help'."
    return f"The store holds calls from {span['first'][:16]} to {span['last'][:16]} UTC: try --last all, or --from."
