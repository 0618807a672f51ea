"""The application: its commands, and what becomes of errors. Exit status 0 ok, 1 failed, 2 usage or configuration."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from spanledger.cli import collector, doctor, history, prices, query, report
from spanledger_core.errors import ConfigError, SpanledgerError


class Commands(TyperGroup):
    """Errors raised on purpose become a message and an exit status; others stay tracebacks, to be reported."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order they are declared, not by name."""
        return list(self.commands)

    def invoke(self, ctx: Any) -> Any:
        """Run one command."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            for fault in error.faults:
                typer.echo(f"spanledger: {fault}", err=True)
            raise typer.Exit(2) from None
        except SpanledgerError as error:
            typer.echo(f"spanledger: {error}", err=True)
            raise typer.Exit(1) from None
        except PermissionError as error:
            typer.echo(f"spanledger: {error.filename or 'a file'}: {error.strerror}; whose is it?", err=True)
            raise typer.Exit(1) from None
        except BrokenPipeError:
            # whoever read our output (head, less) has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=Commands,
    help="OpenTelemetry in, one exact cost row per real model call out, by agent.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"spanledger {version('spanledger')}")
        raise typer.Exit


@app.callback()
def _spanledger(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Run one of the commands."""


app.command("serve")(collector.serve)
app.command("replay")(collector.replay)
app.command("query")(query.query)
app.command("report")(report.report)
app.add_typer(prices.app, name="prices")
app.command("reprice")(history.reprice)
app.command("forget")(history.forget)
app.command("migrate")(collector.migrate)
app.command("check-config")(collector.check_config)
app.command("doctor")(doctor.doctor)
