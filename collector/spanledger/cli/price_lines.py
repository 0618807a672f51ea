"""Price lines as records: written and read back."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from rich.text import Text

from spanledger.cli.terminal import cell, output, table
from spanledger_core.errors import ConfigError
from spanledger_processor.pricing.diff import Difference
from spanledger_processor.pricing.files import COLUMNS, Rules, read_file
from spanledger_processor.pricing.lines import Kind, Layer, PriceLine

FIELDS: Final = (*COLUMNS, "layer", "price_id")
"""Those of a price file, then what only a book knows."""
Record = Mapping[str, str]


def order(line: PriceLine) -> tuple[Any, ...]:
    """By what is priced, then by time."""
    return (line.provider, line.model, line.bucket, line.variant, line.tier_min, line.from_ns, line.layer)


def record(line: PriceLine) -> Record:
    """A line by the names of a price file, all of it text."""
    price = f"x{line.unit_price:f}" if line.kind == "factor" else f"{line.unit_price:f}"
    values = {name: getattr(line, name) for name in FIELDS} | {
        "unit_price": line.kind if line.kind in ("free", "unknown") else price,
        "layer": line.layer.label,
        "effective_from": line.effective_from.isoformat() if line.effective_from else "",
        "effective_to": line.effective_to.isoformat() if line.effective_to else "",
    }
    return {name: str(value) for name, value in values.items()}


def read_lines(path: Path, rules: Rules) -> list[PriceLine]:
    """A book as `prices list` wrote it (CSV, or JSON lines), or a price file. Raises `ConfigError`."""
    if path.suffix in (".json", ".jsonl"):
        return _book(path, _json_lines(path))
    if path.suffix == ".csv" and "price_id" in _header(path):
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _book(path, list(csv.DictReader(file)))
    read = read_file(path, rules)
    if read.faults:
        raise ConfigError(read.faults)
    return list(read.lines)


def _header(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig") as file:
            return file.readline()
    except (OSError, UnicodeDecodeError):
        return ""  # read_file names the fault


def _json_lines(path: Path) -> list[Any]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8-sig").split("\n") if line.strip()]
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"]) from error
    except ValueError as error:
        raise ConfigError([f"{path}: not what 'prices list --format json' writes: {error}"]) from error


def _book(path: Path, found: Sequence[Any]) -> list[PriceLine]:
    try:
        return [_line(each) for each in found]
    except (KeyError, TypeError, ValueError, ArithmeticError):
        raise ConfigError([f"{path}: not what this version's 'prices list' writes"]) from None


def _line(said: Record) -> PriceLine:
    """The line that `record` wrote."""
    price = said["unit_price"]
    kind: Kind = "free" if price == "free" else "unknown" if price == "unknown" else "price"
    return PriceLine(
        layer=Layer[said["layer"].upper()],
        provider=said["provider"],
        model=said["model"],
        bucket=said["bucket"],
        unit_price=Decimal(0 if price in ("free", "unknown") else price.removeprefix("x")),
        kind="factor" if price.startswith("x") else kind,
        unit_size=int(said["unit_size"]),
        currency=said["currency"],
        variant=said["variant"],
        tier_min=int(said["tier_min"]),
        effective_from=_instant(said["effective_from"]),
        effective_to=_instant(said["effective_to"]),
        schedule=said["schedule"],
        contract=said["contract"],
        source=said["source"],
    )


def _instant(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def write_csv(records: Iterable[Record]) -> None:
    """A header and one record a line."""
    writer = csv.DictWriter(sys.stdout, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)


def write_json(values: Iterable[Mapping[str, Any]]) -> None:
    """One object a line."""
    sys.stdout.writelines(json.dumps(value, ensure_ascii=False) + "\n" for value in values)


def print_lines(records: Sequence[Record]) -> None:
    """A table for people."""
    made = table(
        [
            ("provider", "left"), ("model", "left"), ("bucket", "left"), ("price", "right"), ("per", "right"),
            ("when", "left"), ("from", "left"), ("to", "left"), ("layer", "left"), ("price id", "left"),
        ]
    )  # fmt: skip
    for each in records:
        made.add_row(
            cell(each["provider"]), cell(each["model"]), cell(each["bucket"]), cell(_price(each)),
            cell(f"{int(each['unit_size']):,}"), cell(_when(each)), cell(each["effective_from"][:10]),
            cell(each["effective_to"][:10]), cell(each["layer"]), cell(each["price_id"]),
        )  # fmt: skip
    console = output()
    console.print(made)
    console.print(f"{len(records):,} line{'' if len(records) == 1 else 's'}", style="dim")


def print_differences(found: Sequence[Difference]) -> None:
    """A table for people."""
    made = table(
        [
            ("", "left"), ("provider", "left"), ("model", "left"), ("bucket", "left"), ("old", "left"),
            ("new", "left"), ("when", "left"), ("layer", "left"),
        ]
    )  # fmt: skip
    styles = {"added": "green", "removed": "red", "changed": "yellow"}
    for each in found:
        when = _when({"variant": each.variant, "tier_min": str(each.tier_min), "schedule": ""})
        made.add_row(
            cell(each.kind, styles[each.kind]), cell(each.provider), cell(each.model), cell(each.bucket),
            stacked(each.old), stacked(each.new), cell(when), cell(each.layer),
        )  # fmt: skip
    console = output()
    if found:
        console.print(made)
    console.print(f"{len(found):,} difference{'' if len(found) == 1 else 's'}", style="dim")


def stacked(texts: Iterable[str]) -> Text:
    """A cell of several lines, each of them once; what is inside one of them does not break it."""
    return Text("\n").join(cell(text) for text in dict.fromkeys(texts))


def _price(each: Record) -> str:
    price = each["unit_price"]
    return f"{price} {each['currency']}" if price[:1].isdigit() else price


def _when(each: Record) -> str:
    tier = f"from {int(each['tier_min']):,} tokens" if each["tier_min"] != "0" else ""
    return " ".join(filter(None, (each["variant"], tier, each["schedule"])))
