"""`spanledger doctor`: what works, what does not, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from spanledger.cli.options import ConfigFile, StoreOption, configuration

if TYPE_CHECKING:
    from spanledger.cli.findings import Finding


def doctor(
    store: StoreOption = None,
    config: ConfigFile = None,
    json_: Annotated[bool, typer.Option("--json", help="One JSON object a finding.")] = False,
) -> None:
    """Check collector, store and what instrumentation loses.

    \b
    Says what to do about each finding. Exit status 1 if anything fails; warnings alone are 0.

    \b
    Examples:
      spanledger doctor
      spanledger doctor --config /etc/spanledger.yaml --json
    """
    from spanledger.cli.examination import examine
    from spanledger_core.clock import SystemClock

    findings = examine(configuration(config, store), SystemClock())
    _print_json(findings) if json_ else _print_table(findings)
    if any(finding.level == "fail" for finding in findings):
        raise typer.Exit(1)


def _print_json(findings: list[Finding]) -> None:
    import json

    for finding in findings:
        typer.echo(json.dumps(finding._asdict(), ensure_ascii=False))


def _print_table(findings: list[Finding]) -> None:
    from spanledger.cli.terminal import cell, output, table

    styles = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    made = table([("", "left"), ("check", "left"), ("finding", "left"), ("what to do", "left")])
    for finding in findings:
        made.add_row(
            cell(finding.level, styles[finding.level]), cell(finding.check), cell(finding.says), cell(finding.remedy)
        )
    output().print(made)
