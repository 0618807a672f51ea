"""`spanledger prices`: the price book, asked and checked."""

from __future__ import annotations

import sys
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spanledger.cli import proofs
from spanledger.cli.options import ConfigFile, PriceFiles, configuration

if TYPE_CHECKING:
    from datetime import datetime

    from spanledger_processor.pricing.book import PriceBook
    from spanledger_processor.pricing.lines import PriceLine

app = typer.Typer(
    help="The price book: what it says, what it made calls cost, what it does not know.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Form(StrEnum):
    """How price lines are written."""

    table = "table"
    csv = "csv"
    json = "json"


class DiffForm(StrEnum):
    """How differences are written."""

    table = "table"
    json = "json"


FormOption = Annotated[Form, typer.Option("--format", help="How to write them.")]


@app.command("list")
def list_lines(
    *,
    provider: Annotated[str, typer.Option("--provider", metavar="GLOB", help="Only these providers.")] = "*",
    model: Annotated[str, typer.Option("--model", metavar="GLOB", help="Only these models.")] = "*",
    bucket: Annotated[str, typer.Option("--bucket", metavar="GLOB", help="Only these buckets.")] = "*",
    layer: Annotated[
        str, typer.Option("--layer", metavar="GLOB", help="Only base, gapfill, history, operator, contract.")
    ] = "*",
    form: FormOption = Form.table,
    prices: PriceFiles = None,
    config: ConfigFile = None,
) -> None:
    """Every price line there is, of all layers and times, as they are written.

    \b
    A model may be priced by lines that do not name it: those of its family, or of everything a provider sells.
    prices show tells what holds for it.

    \b
    Examples:
      spanledger prices list --model 'claude-sonnet-4*'
      spanledger prices list --provider openai --bucket input --format csv > openai.csv
    """
    book = _book(config, prices)
    wanted = (
        line
        for line in book.lines()
        if fnmatchcase(line.provider, provider)
        and fnmatchcase(line.model, model)
        and fnmatchcase(line.bucket, bucket)
        and fnmatchcase(line.layer.label, layer)
    )
    _write(list(wanted), form)
    _tell_of_others(book, provider, model)


@app.command("show")
def show(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model as spans spell it.")],
    *,
    provider: Annotated[str, typer.Option("--provider", metavar="NAME", help="Who bills; by default inferred.")] = "",
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help="UTC instant; by default now.")] = None,
    context: Annotated[
        list[str] | None,
        typer.Option("--context", metavar="KEY=VALUE", help="batch=true, service_tier=flex, region=eu; repeatable."),
    ] = None,
    form: FormOption = Form.table,
    prices: PriceFiles = None,
    config: ConfigFile = None,
) -> None:
    """The price lines that hold for a model at an instant, for its smallest requests.

    \b
    Examples:
      spanledger prices show gpt-4o-2024-08-06 --provider openai
      spanledger prices show claude-sonnet-4-5 --at 2025-10-01 --context batch=true
    """
    moment = _instant(at)
    found = _book(config, prices).find(provider, model, moment, **_context(context or []))
    if not found:
        from spanledger_core.errors import SpanledgerError

        unless = "" if provider else ", unless a provider has it that only --provider names"
        raise SpanledgerError(
            f"no price is known for {model!r} at {moment.isoformat()}; calls of it are unpriced_model{unless}"
        )
    _write(list(found), form)


@app.command("check")
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Price files, CSV or YAML.")],
    config: ConfigFile = None,
) -> None:
    """Check price files; names every fault with its line.

    \b
    Example:
      spanledger prices check contract.csv
    """
    from spanledger_processor.pricing.book import file_rules
    from spanledger_processor.pricing.files import read_file
    from spanledger_processor.pricing.history import load_history

    rules = file_rules(load_history(), configuration(config).prices.fx)
    faults = 0
    for file in files:
        read = read_file(file, rules)
        faults += len(read.faults)
        for fault in read.faults:
            typer.echo(f"spanledger: {fault}", err=True)
        if not read.faults:
            typer.echo(f"{file}: ok, {len(read.lines)} lines")
    if faults:
        raise typer.Exit(1)


@app.command("diff")
def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="What 'prices list --format csv' wrote, or a price file.")],
    new: Annotated[Path | None, typer.Argument(metavar="[NEW]", help="The same; by default the present book.")] = None,
    form: Annotated[DiffForm, typer.Option("--format", help="How to write it.")] = DiffForm.table,
    config: ConfigFile = None,
) -> None:
    """What changed between two price books.

    \b
    Compared by what is priced: changed is what both books say something about, but not the same. History is
    not touched by a new book: booked calls keep their amounts until reprice.

    \b
    Examples:
      spanledger prices list --format csv > before.csv; pip install -U genai-prices; spanledger prices diff before.csv
      spanledger prices diff contract-2025.csv contract-2026.csv
    """
    from spanledger.cli import price_lines
    from spanledger_processor.pricing import diff as compared
    from spanledger_processor.pricing.book import file_rules
    from spanledger_processor.pricing.history import load_history

    rules = file_rules(load_history(), configuration(config).prices.fx)
    before = price_lines.read_lines(old, rules)
    after = price_lines.read_lines(new, rules) if new is not None else _book(config, None).lines()
    found = compared(before, after)
    if form is DiffForm.json:
        price_lines.write_json(each._asdict() for each in found)
    else:
        price_lines.print_differences(found)


@app.command("quote")
def quote(
    file: Annotated[str, typer.Argument(metavar="FILE.jsonl", help="Usage lines; - reads standard input.")],
    prices: PriceFiles = None,
    config: ConfigFile = None,
) -> None:
    """Price usage lines: one JSON object in, one out.

    \b
    A line holds provider, model, timestamp (UTC, the end of the call), usage (disjoint buckets) and, where it
    matters, context. The answer holds id, cost_usd (exact text, or null), cost_status, model, price_ids.

    \b
    Example:
      spanledger prices quote usage.jsonl
    """
    import json

    faults = 0
    source = file if file != "-" else "standard input"
    lines = list(_lines(file))
    book = _book(config, prices)
    for number, line in lines:
        try:
            answer = book.quote(json.loads(_text(line)))
        except (ValueError, RecursionError) as error:
            faults += 1
            typer.echo(f"spanledger: {source}:{number}: {error}", err=True)
            continue
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    if faults:
        raise typer.Exit(1)


app.command("explain")(proofs.explain)
app.command("unpriced")(proofs.unpriced)


def _lines(file: str) -> Iterator[tuple[int, bytes]]:
    """The lines that hold something, with their numbers from 1. Only a line feed ends one: JSON may hold the others."""
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="FILE.jsonl") from error
    for number, line in enumerate(content.removeprefix(BOM_UTF8).split(b"\n"), 1):
        if line.strip():
            yield number, line


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 ({error.reason} at byte {error.start} of the line)") from None


def _book(config: Path | None, files: list[Path] | None) -> PriceBook:
    """The configured book with the files of the command on top. Raises `ConfigError` with every fault."""
    from spanledger.configured_prices import price_book

    return price_book(configuration(config), files or [])


def _tell_of_others(book: PriceBook, provider: str, model: str) -> None:
    """Where one model is asked for and lines that do not name it price it, say how to see them."""
    from spanledger_processor.pricing.lines import is_glob

    house = "" if is_glob(provider) else provider
    if is_glob(model) or all(line.model == model for line in book.find(house, model, _instant(None))):
        return
    asked = f"{model} --provider {house}" if house else model
    typer.echo(f"lines that do not name {model} price it too: spanledger prices show {asked}", err=True)


def _instant(text: str | None) -> datetime:
    from datetime import UTC, datetime, timedelta

    from spanledger_core.clock import SystemClock

    if text is None:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=SystemClock().now_ns() // 1000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time; write 2025-10-01 or 2025-10-01T12:00", param_hint="--at"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _context(given: Iterable[str]) -> dict[str, str]:
    context = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not equals:
            raise typer.BadParameter(f"{each!r} is not KEY=VALUE", param_hint="--context")
        context[key] = value
    return context


def _write(lines: list[PriceLine], form: Form) -> None:
    from spanledger.cli import price_lines

    records = [price_lines.record(line) for line in sorted(lines, key=price_lines.order)]
    write = {Form.table: price_lines.print_lines, Form.csv: price_lines.write_csv, Form.json: price_lines.write_json}
    write[form](records)
