"""A YAML file as a tree of plain values, with the line of every key: faults should say where."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from spanledger_core.errors import ConfigError

KeyPath = tuple[str | int, ...]


class ExactLoader(yaml.SafeLoader):
    """Reads fractions as `Decimal`: a float would change the amounts of budgets and rates."""


def _fraction(loader: ExactLoader, node: yaml.ScalarNode) -> Decimal | float:
    try:
        number = Decimal(loader.construct_scalar(node))
    except InvalidOperation:
        return loader.construct_yaml_float(node)
    # what is no number is for the fields to refuse, in their words
    return number if number.is_finite() else float(number)


ExactLoader.add_constructor("tag:yaml.org,2002:float", _fraction)


class YamlTree(NamedTuple):
    """The values of a file and where each key stands."""

    values: dict[str, Any]
    lines: dict[KeyPath, int]
    """Key path -> line, from 1."""


def read_yaml(path: Path) -> YamlTree:
    """Read a configuration file. Raises `ConfigError` naming the line of what cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=ExactLoader)
        values = yaml.load(text, Loader=ExactLoader)  # noqa: S506  (it is a safe loader)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 text"]) from error
    except yaml.YAMLError as error:
        raise ConfigError([_syntax(path, error)]) from error
    if node is None or values is None:
        return YamlTree({}, {})
    if not isinstance(values, dict):
        raise ConfigError([f"{path}: must be a mapping of keys, for example 'data_dir: /var/lib/spanledger'"])
    lines: dict[KeyPath, int] = {}
    faults: list[str] = []
    _walk(node, (), lines, faults)
    if faults:
        raise ConfigError([f"{path}:{fault}" for fault in faults])
    return YamlTree(values, lines)


def _syntax(path: Path, error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{path}:{error.problem_mark.line + 1}: not valid YAML: {error.problem}"
    return f"{path}: not valid YAML"


def _walk(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int], faults: list[str]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            line = key.start_mark.line + 1
            if here in lines:
                # YAML would silently take the last one
                faults.append(f"{line}: {dotted(here)}: given twice, first on line {lines[here]}")
            lines[here] = line
            _walk(value, here, lines, faults)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[*path, index] = item.start_mark.line + 1
            _walk(item, (*path, index), lines, faults)


def dotted(path: KeyPath) -> str:
    """`sql.users[0].name`"""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
