"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from spanledger.config.model import Config

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        envvar="SPANLEDGER_CONFIG",
        show_envvar=False,
        help="YAML configuration; see docs/configuration.md.",
    ),
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="STORE",
        help="chdb, chdb:///abs/dir, chdb://memory or clickhouse://user:password@host:8123/database. "
        "By default SPANLEDGER_STORE, else the collector that runs here, else its store.",
    ),
]
PriceFiles = Annotated[
    list[Path] | None,
    typer.Option("--prices", metavar="FILE", help="Price file on top of the configured ones; may be given again."),
]


def configuration(file: Path | None, store: str | None = None) -> Config:
    """The configuration in force for a command. Raises `ConfigError`."""
    from spanledger.config.load import load_config

    return load_config(file, os.environ, store)
