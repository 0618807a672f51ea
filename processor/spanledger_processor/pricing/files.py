"""The operator's price files: CSV or YAML with the columns of a price line. Read whole, every fault named at once."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from io import StringIO
from pathlib import Path
from typing import Final, NamedTuple

import yaml

from spanledger_core.buckets import BUCKETS
from spanledger_processor.pricing.lines import ANY_BUCKET, Kind, Layer, PriceLine, canonical_variant
from spanledger_processor.pricing.schedule import Calendars, parse

COLUMNS: Final = (
    "provider",
    "model",
    "bucket",
    "unit_size",
    "unit_price",
    "currency",
    "effective_from",
    "effective_to",
    "variant",
    "tier_min",
    "contract",
    "source",
    "schedule",
)
IGNORED: Final = ("layer", "price_id")
"""What `prices list` writes beside, and a file that is edited from it may keep."""
REQUIRED: Final = ("provider", "model", "bucket", "unit_price")
MAX_BYTES: Final = 64 * 1024 * 1024
_WORDS: Final[Mapping[str, Kind]] = {"free": "free", "unknown": "unknown"}


class Row(NamedTuple):
    """One line of a file before it is understood."""

    place: str
    """`file:line`."""
    values: Mapping[str, str]
    is_whole: bool = True
    """False where columns are unknown or missing: its values can be checked, but not what it means beside others."""


class Rules(NamedTuple):
    """What a file is checked against."""

    line_name: Callable[[str], str]
    """Provider spelling -> the name lines carry."""
    currencies: frozenset[str]
    """Those with a configured rate, USD included."""
    calendars: Calendars


class Read(NamedTuple):
    """What files say and what is wrong with them."""

    lines: tuple[PriceLine, ...]
    faults: tuple[str, ...]


Placed = tuple[str, PriceLine]
"""A line and where it stands (`file:line`)."""


def read_file(path: Path, rules: Rules) -> Read:
    """The lines of one file, and every fault in it."""
    return read_files([path], rules)


def read_files(paths: Sequence[Path], rules: Rules) -> Read:
    """The lines of CSV or YAML price files, and every fault with file and line number."""
    faults: list[str] = []
    placed = [entry for path in paths for entry in _placed(path, rules, faults)]
    faults += overlaps(placed)
    return Read(tuple(line for _, line in placed), tuple(faults))


def _placed(path: Path, rules: Rules, faults: list[str]) -> Iterator[Placed]:
    for row in _rows(path, faults):
        line = _understood(row, rules, faults)
        if line is not None:
            yield row.place, line


def _rows(path: Path, faults: list[str]) -> Iterator[Row]:
    try:
        if path.stat().st_size > MAX_BYTES:
            faults.append(f"{path}: larger than {MAX_BYTES} bytes")
            return
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        faults.append(f"{path}: not UTF-8 ({error.reason} at byte {error.start})")
        return
    except OSError as error:
        faults.append(f"{path}: {error.strerror or error}")
        return
    if path.suffix == ".csv":
        yield from _csv_rows(path, text, faults)
    elif path.suffix in {".yaml", ".yml"}:
        yield from _yaml_rows(path, text, faults)
    else:
        faults.append(f"{path}: expected a .csv, .yaml or .yml file")


def _csv_rows(path: Path, text: str, faults: list[str]) -> Iterator[Row]:
    reader = csv.DictReader(StringIO(text), strict=True, skipinitialspace=True)
    try:
        faulty = _column_faults(f"{path}:1", reader.fieldnames or ())
        faults += faulty
        for record in reader:
            place = f"{path}:{reader.line_num}"
            too_many = record.pop(None, None)
            if too_many:
                faults.append(f"{place}: more values than the {len(reader.fieldnames or ())} columns of the header")
            values = {name: (value or "").strip() for name, value in record.items()}
            yield Row(place, values, is_whole=not (faulty or too_many))
    except csv.Error as error:
        faults.append(f"{path}:{reader.line_num}: {error}")


def _column_faults(place: str, names: Iterable[str]) -> list[str]:
    names = list(names)
    strange = [name for name in names if name not in COLUMNS and name not in IGNORED]
    unknown = [f"{place}: unknown column {name!r}{suggestion(name, COLUMNS)}" for name in strange]
    return unknown + [f"{place}: column {name!r} is missing" for name in REQUIRED if name not in names]


def _yaml_rows(path: Path, text: str, faults: list[str]) -> Iterator[Row]:
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        faults.append(f"{path}:{mark.line + 1 if mark else 1}: {getattr(error, 'problem', None) or error}")
        return
    if isinstance(root, yaml.MappingNode) and len(root.value) == 1 and root.value[0][0].value == "prices":
        root = root.value[0][1]
    if root is not None and not isinstance(root, yaml.SequenceNode):
        faults.append(f"{path}:1: expected a list of price lines")
        return
    for node in root.value if root is not None else ():
        place = f"{path}:{node.start_mark.line + 1}"
        scalars = isinstance(node, yaml.MappingNode) and all(
            isinstance(part, yaml.ScalarNode) for pair in node.value for part in pair
        )
        if not scalars:
            faults.append(f"{place}: expected a mapping of plain values")
            continue
        values = {key.value: value.value.strip() for key, value in node.value}
        faulty = _column_faults(place, values)
        faults += faulty
        yield Row(place, values, is_whole=not faulty)


def _understood(row: Row, rules: Rules, faults: list[str]) -> PriceLine | None:
    """The line a row means; every fault in it goes to `faults`."""
    values = row.values
    before = len(faults)

    def fault(text: str) -> None:
        faults.append(f"{row.place}: {text}")

    for name in REQUIRED:
        if name in values and not values[name]:
            fault(f"{name} is empty")
    bucket = values.get("bucket", "")
    if bucket and bucket != ANY_BUCKET and bucket not in BUCKETS:
        fault(f"unknown bucket {bucket!r}{suggestion(bucket, BUCKETS)}")
    kind, price = _price(values.get("unit_price", ""), fault)
    if kind == "price" and bucket == ANY_BUCKET:
        fault("bucket '*' takes a multiplier (x0.85), 'free' or 'unknown', not a price")
    currency = (values.get("currency") or "USD").upper()
    if currency not in rules.currencies:
        fault(f"no rate is configured for currency {currency!r}")
    start, end = _instant(values, "effective_from", fault), _instant(values, "effective_to", fault)
    if start is not None and end is not None and start >= end:
        fault(f"effective_from {values['effective_from']} is not before effective_to {values['effective_to']}")
    contract = values.get("contract", "")
    line = PriceLine(
        layer=Layer.CONTRACT if contract or kind == "factor" else Layer.OPERATOR,
        provider=rules.line_name(values.get("provider", "")),
        model=values.get("model", "").lower(),
        bucket=bucket,
        unit_price=price,
        kind=kind,
        unit_size=_whole(values, "unit_size", 1_000_000, 1, fault),
        currency=currency,
        variant=_checked(canonical_variant, values.get("variant", ""), fault),
        tier_min=_whole(values, "tier_min", 0, 0, fault),
        effective_from=start,
        effective_to=end,
        schedule=values.get("schedule", ""),
        contract=contract,
        source=values.get("source", "") or row.place.rpartition("/")[2],
        confidence="operator",
    )
    if line.schedule:
        _checked(lambda text: str(parse(text, rules.calendars)), line.schedule, fault)
    return line if row.is_whole and len(faults) == before else None


def _price(text: str, fault: Callable[[str], None]) -> tuple[Kind, Decimal]:
    if text in _WORDS:
        return _WORDS[text], Decimal(0)
    kind: Kind = "factor" if text[:1] in {"x", "X"} else "price"
    try:
        price = Decimal(text[1:] if kind == "factor" else text)
    except InvalidOperation:
        if text:
            fault(f"unit_price {text!r} is not a decimal number, a multiplier (x0.85), 'free' or 'unknown'")
        return "price", Decimal(0)
    if not price.is_finite() or price < 0 or price > 10**9:
        fault(f"unit_price {text!r} is out of range")
        return kind, Decimal(0)
    return kind, price


def _instant(values: Mapping[str, str], name: str, fault: Callable[[str], None]) -> datetime | None:
    text = values.get(name, "")
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        fault(f"{name} {text!r} is not an ISO 8601 date or instant")
        return None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _whole(values: Mapping[str, str], name: str, default: int, minimum: int, fault: Callable[[str], None]) -> int:
    text = values.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or int(text) < minimum:
        fault(f"{name} {text!r} is not a whole number of at least {minimum}")
        return default
    return int(text)


def _checked(parser: Callable[[str], str], text: str, fault: Callable[[str], None]) -> str:
    try:
        return parser(text)
    except ValueError as error:
        fault(str(error))
        return ""


def suggestion(name: str, known: Sequence[str]) -> str:
    """What an unknown name may have been meant to be, or all there are, as the end of a message."""
    close = get_close_matches(name, known, 1)
    return f" (did you mean {close[0]!r}?)" if close else f" (known: {', '.join(known)})"


def overlaps(placed: Sequence[Placed]) -> list[str]:
    """Faults for lines that say something about the same thing at the same time."""
    groups: dict[tuple[object, ...], list[Placed]] = {}
    for place, line in placed:
        same = (line.layer, line.contract, line.provider, line.model, line.bucket, line.variant, line.tier_min)
        groups.setdefault((*same, line.schedule, line.kind == "factor"), []).append((place, line))
    faults = []
    for group in groups.values():
        group.sort(key=lambda entry: entry[1].from_ns)
        first, longest = group[0]
        for place, line in group[1:]:
            if line.from_ns < longest.to_ns:
                what = f"{line.provider} {line.model} {line.bucket}"
                faults.append(f"{place}: overlaps the price of {what} given at {first}")
            if line.to_ns > longest.to_ns:
                first, longest = place, line
    return faults
