"""The commands that change what is booked, on purpose: reprice and forget."""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from spanledger.cli.options import ConfigFile, PriceFiles, StoreOption, configuration

if TYPE_CHECKING:
    from spanledger.forget import Proof
    from spanledger.reprice.run import Asked


def reprice(
    *,
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="First start of a call, UTC: 2026-11-01.")],
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Before this; by default now.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    store: StoreOption = None,
    prices: PriceFiles = None,
    config: ConfigFile = None,
) -> None:
    """Give booked calls the amounts of the present price book.

    \b
    Prints what changes by model and agent; --dry-run changes nothing. Only calls whose amounts differ are
    written again, so a second run finds nothing; one that was interrupted is taken up by the same command.
    While a collector has the store open, it does the work. See docs/reprice.md.

    \b
    Examples:
      spanledger reprice --from 2026-11-01 --dry-run
      spanledger reprice --from 2026-11-01 --to 2026-12-01 --prices contract.csv
    """
    asked = _asked(start, end, dry_run)
    from spanledger import logs
    from spanledger.cli.terminal import output
    from spanledger.ownership import keep_private
    from spanledger.reprice import command, render
    from spanledger_core.clock import SystemClock

    configured = configuration(config, store)
    logs.setup(configured.log, os.environ)
    keep_private(configured)
    result = command.run(configured, asked, prices or [], SystemClock(), output())
    render.show(result, asked, output())


def forget(
    *,
    user: Annotated[str | None, typer.Option("--user", metavar="ID", help="A user_id.")] = None,
    customer: Annotated[str | None, typer.Option("--customer", metavar="ID", help="A customer_id.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="ID", help="Only within this tenant.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what there is.")] = False,
    store: StoreOption = None,
    config: ConfigFile = None,
) -> None:
    """Erase a person's rows, tombstones and spooled facts, for good.

    \b
    Their costs leave the sums. Prints what was found in each place before, and what is left after: exit status 1
    unless that is nothing. Calls that the person makes from now on are booked as ever. While a collector has the
    store open, it does the work. See docs/reprice.md.

    \b
    Examples:
      spanledger forget --user alice@example.com --dry-run
      spanledger forget --customer acme --tenant eu
    """
    if (user is None) == (customer is None):
        raise typer.BadParameter("say whom: --user ID or --customer ID", param_hint="--user")
    name = (user if user is not None else customer or "").strip()
    if not name:
        raise typer.BadParameter("an empty id would be everybody without one", param_hint="--user")
    from spanledger import forget as erasure
    from spanledger import logs
    from spanledger.ownership import keep_private
    from spanledger_core.clock import SystemClock

    configured = configuration(config, store)
    logs.setup(configured.log, os.environ)
    keep_private(configured)
    person = erasure.person_of(configured, "user_id" if user is not None else "customer_id", name, tenant)
    proof = erasure.run(configured, person, dry_run, SystemClock())
    _show_proof(proof, dry_run)
    if not dry_run and any(proof.left.values()):
        raise typer.Exit(1)


def _show_proof(proof: Proof, dry_run: bool) -> None:
    from spanledger.cli.terminal import cell, output, table

    made = table([("where", "left"), ("found", "right"), ("left", "right")])
    for where in dict.fromkeys((*proof.found, *proof.left)):
        found, left = proof.found.get(where), proof.left.get(where, 0)
        after = cell("-") if dry_run else cell(f"{left:,}", "bold red" if left else "")
        made.add_row(cell(where), cell("-" if found is None else f"{found:,}"), after)
    output().print(made)


def _asked(start: str, end: str | None, dry_run: bool) -> Asked:
    from spanledger.reprice.run import Asked
    from spanledger_core.clock import SystemClock

    first_us = _microseconds(start, "--from")
    last_us = _microseconds(end, "--to") if end is not None else SystemClock().now_ns() // 1000
    if first_us >= last_us:
        raise typer.BadParameter("--from must be before --to", param_hint="--from")
    return Asked(first_us, last_us, dry_run)


def _microseconds(text: str, option: str) -> int:
    from datetime import UTC, timedelta
    from zoneinfo import ZoneInfo

    from spanledger.report import period

    try:
        moment: datetime = period.instant(text, ZoneInfo("UTC"))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
    return (moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
