"""Generate the configuration reference and the JSON schema from the model: `python -m spanledger.config.docs`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from spanledger.config.model import Config
from spanledger.config.secrets import StoreUrl
from spanledger.config.tree import keys, section_of
from spanledger.config.units import Address, parse_size, show_duration, show_size
from spanledger.config.yaml_file import KeyPath, dotted

_INTRODUCTION: Final = """\
# Configuration

Generated from `collector/spanledger/config/model.py` by `python -m spanledger.config.docs`; a test holds it equal.

`spanledger serve` needs no configuration. What is set comes from, the later one winning:

1. the defaults below,
2. a YAML file: `--config FILE`, or the variable `SPANLEDGER_CONFIG`,
3. the environment: `SPANLEDGER_` and the key in upper case, levels joined by `__`. Lists and mappings are written as
   YAML or JSON: `SPANLEDGER_PRICES__FILES='[contract.csv]'`.

Unknown keys and variables are refused, with all faults at once and the line of each; `spanledger check-config` does
that without starting anything. Variables that Kubernetes and Docker set for a service called spanledger
(`SPANLEDGER_SERVICE_HOST`, `SPANLEDGER_PORT_4317_TCP`, ...) are recognised and left alone.

- Durations carry a unit: `500ms`, `3s`, `5m`, `1h30m`, `7d`. So do sizes: `512KiB`, `64MiB`, `1GiB`; a bare number is
  bytes.
- Relative paths start at the directory the command runs in.
- Secrets belong in files: the keys that end in `_file`, or `${file:/run/secrets/token}` anywhere in a text.
  `${env:NAME}` takes a variable. No secret is ever printed.
- A port that other machines can reach needs TLS, credentials or `insecure: true`; otherwise nothing starts.
- An editor that knows `schemas/config.schema.json` completes and checks while you type; put
  `# yaml-language-server: $schema=config.schema.json` on the first line.
"""


def reference() -> str:
    """The text of `docs/configuration.md`."""
    parts = [_INTRODUCTION, "## Everything at its default\n\n```yaml\n" + "\n".join(_yaml(Config, 0)) + "\n```\n"]
    for path, model, field in _sections(Config, ()):
        title = f"## {dotted(path)}\n\n{_text(field)}\n" if field is not None else "## Top level\n"
        rows = "\n".join(_rows(path, model))
        parts.append(f"{title}\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n{rows}\n")
    return "\n".join(parts)


class _Schema(GenerateJsonSchema):
    """Writes defaults the way the file spells them."""

    def encode_default(self, dft: Any) -> Any:
        """A duration as `3s`, an address as `host:port`."""
        if isinstance(dft, timedelta):
            return show_duration(dft)
        return str(dft) if isinstance(dft, Address) else super().encode_default(dft)


def schema() -> str:
    """The text of `schemas/config.schema.json`."""
    model = Config.model_json_schema(schema_generator=_Schema)
    document = {"$schema": GenerateJsonSchema.schema_dialect, **model}
    document["title"] = "spanledger configuration"
    return json.dumps(document, indent=2) + "\n"


def _sections(
    model: type[BaseModel], path: KeyPath, field: FieldInfo | None = None
) -> Iterator[tuple[KeyPath, type[BaseModel], FieldInfo | None]]:
    """Sections that have keys of their own, in the order of declaration."""
    if any(section_of(each.annotation) is None for each in model.model_fields.values()):
        yield path, model, field
    for name, each in keys(model).items():
        section = section_of(each.annotation)
        if section is not None:
            yield from _sections(section, (*path, name), each)


def _rows(path: KeyPath, model: type[BaseModel]) -> Iterator[str]:
    for name, field in keys(model).items():
        if section_of(field.annotation) is None:
            default = "required" if field.is_required() else f"`{_plain(field)}`"
            kind = "size" if _is_size(field) else _kind(field.annotation).replace("|", "\\|")
            yield f"| `{name}` | {kind} | {default} | {_text(field)} |"


def _is_size(field: FieldInfo) -> bool:
    return any(getattr(each, "func", None) is parse_size for each in field.metadata)


def _text(field: FieldInfo) -> str:
    return " ".join((field.description or "").split())


_KINDS: Final = {
    Address: "host:port", timedelta: "duration", int: "integer", bool: "true or false", Decimal: "number", str: "text",
    Path: "path", SecretStr: "secret", StoreUrl: "store", type(None): "nothing",
}  # fmt: skip


def _kind(annotation: Any) -> str:
    """What a reader calls the type."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(f"`{part}`" for part in parts)
    if origin in (Union, UnionType):
        return _kind(next(part for part in parts if part is not type(None)))
    if origin is tuple:
        return f"list of {_kind(parts[0])}"
    if origin is Annotated:
        return _kind(parts[0])
    if origin is dict:
        return f"{_kind(parts[0])} to {_kind(parts[1])}"
    return _KINDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _plain(field: FieldInfo) -> str:
    """The default as one would write it in YAML."""
    value = field.get_default(call_default_factory=True)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return show_duration(value)
    if _is_size(field):
        return show_size(value)
    return {(): "[]", None: "none"}.get(value, str(value)) if not isinstance(value, dict) else "{}"


def _yaml(model: type[BaseModel], depth: int) -> Iterator[str]:
    """The model at its defaults, without what is off unless set."""
    for name, field in keys(model).items():
        section = section_of(field.annotation)
        pad = "  " * depth
        if section is not None and isinstance(field.default, BaseModel):
            yield f"{pad}{name}:"
            yield from _yaml(section, depth + 1)
        elif not field.is_required() and field.default is not None:
            yield f"{pad}{name}: {_plain(field)}"


def main(root: Path) -> None:
    """Write both files below the repository at `root`."""
    (root / "docs" / "configuration.md").write_text(reference(), encoding="utf-8")
    (root / "schemas" / "config.schema.json").write_text(schema(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd())
