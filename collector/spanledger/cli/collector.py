"""The commands that run or prepare the collector: serve, replay, migrate, check-config."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spanledger.cli.options import ConfigFile, PriceFiles, StoreOption, configuration


def serve(
    config: ConfigFile = None,
) -> None:
    """Run the collector: OTLP in, priced rows out.

    \b
    Runs until it gets SIGTERM or SIGINT, then writes out what it holds.
    Without configuration: store in ./spanledger-data; ports on this machine only: 4317 OTLP/gRPC,
    4318 OTLP/HTTP, 8123 SQL (ClickHouse HTTP), 13133 health and metrics.

    \b
    Examples:
      spanledger serve
      spanledger serve --config /etc/spanledger.yaml
      SPANLEDGER_STORE=clickhouse://ledger:secret@db:8123/spanledger spanledger serve
    """
    import os

    from spanledger import logs, serve
    from spanledger.ownership import keep_private

    configured = configuration(config)
    logs.setup(configured.log, os.environ)
    keep_private(configured)
    raise typer.Exit(serve.run(configured, config))


def replay(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="OTLP files (.pb, .json, .jsonl, .gz of these) or directories of them."),
    ],
    store: StoreOption = None,
    prices: PriceFiles = None,
    config: ConfigFile = None,
) -> None:
    """Feed OTLP files through the same pipeline as live spans.

    \b
    Directories are read in name order; files that are not OTLP are named and skipped, with exit status 1 if one
    of them was given itself. Replaying the same files again changes nothing.

    \b
    Examples:
      spanledger replay traces/ --store chdb:///tmp/ledger
      spanledger replay export.jsonl.gz --prices contract.csv
    """
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise typer.BadParameter(f"{missing[0]} does not exist", param_hint="PATH")
    import os

    from spanledger import logs, replay
    from spanledger.cli.terminal import output
    from spanledger.ownership import keep_private

    configured = configuration(config, store)
    logs.setup(configured.log, os.environ)
    keep_private(configured)
    raise typer.Exit(replay.run(configured, paths, store, prices or [], output()))


def migrate(
    store: StoreOption = None,
    config: ConfigFile = None,
) -> None:
    """Create the tables of a store, or update them.

    \b
    serve and replay do this by themselves; use it where they may not change tables.

    \b
    Example:
      spanledger migrate --store clickhouse://admin:secret@db:8123/spanledger
    """
    import os

    from spanledger import logs
    from spanledger.cli.stores import open_configured
    from spanledger.cli.target import refuse_while_running
    from spanledger.ownership import keep_private

    configured = configuration(config, store)
    logs.setup(configured.log, os.environ)
    keep_private(configured)
    refuse_while_running(configured, "migrated its store when it started")
    with open_configured(configured) as opened:
        applied = opened.migrate()
        for name in applied:
            typer.echo(f"applied {name}")
        typer.echo(f"{opened.address}: {'up to date' if not applied else f'{len(applied)} migrations applied'}")


def check_config(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="YAML configuration; without it the environment alone.")
    ] = None,
    config: ConfigFile = None,
    show: Annotated[bool, typer.Option("--show", help="Print the configuration in force, secrets masked.")] = False,
) -> None:
    """Check a configuration without starting anything.

    \b
    Names every fault with its line and remedy, those of price files included; warns of ports that strangers
    can reach.

    \b
    Examples:
      spanledger check-config /etc/spanledger.yaml
      spanledger check-config --show
    """
    configured = configuration(file or config)
    from spanledger.config.exposure import exposure_warnings
    from spanledger.configured_prices import price_book

    price_book(configured)
    for warning in exposure_warnings(configured):
        typer.echo(f"warning: {warning}", err=True)
    if show:
        import yaml

        shown = configured.model_dump(mode="json", exclude_none=True)
        typer.echo(yaml.safe_dump(shown, sort_keys=False), nl=False)
    typer.echo(f"{file or config or 'the environment'}: ok", err=show)
