"""Where values come from: defaults, then the YAML file, then `SPANLEDGER_*` from the environment; the last wins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource
from pydantic_settings.sources.utils import parse_env_vars

from spanledger.config.access import access_faults
from spanledger.config.exposure import exposure_faults
from spanledger.config.faults import Origin, fault_lines, unknown_key
from spanledger.config.model import Config
from spanledger.config.secrets import secret_from_file
from spanledger.config.tree import child, merged, paths
from spanledger.config.yaml_file import ExactLoader, KeyPath, YamlTree, read_yaml
from spanledger_core.errors import ConfigError

PREFIX: Final = "SPANLEDGER_"
_NOT_OURS: Final = re.compile(
    # read by the command line and the tests, not by the configuration
    r"SPANLEDGER_CONFIG|SPANLEDGER_TEST_.*"
    # Kubernetes and Docker links announce a service called spanledger, or spanledger-something, in these words
    r"|SPANLEDGER_(.+_)?SERVICE_(HOST|PORT)(_.+)?"
    r"|SPANLEDGER_(.+_)?PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?"
)
_REFERENCE: Final = re.compile(r"\$\{(file|env):([^}]*)\}")


class _Environ(EnvSettingsSource):
    """Environment variables from a mapping that is handed in; values are read as YAML, of which JSON is a part."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(Config)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return parse_env_vars(self._environ, case_sensitive=False)

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """A value that is no YAML stays text: the model then says what it expected."""
        try:
            return yaml.load(value, Loader=ExactLoader)  # noqa: S506  (it is a safe loader)
        except yaml.YAMLError:
            return value


def load_config(file: Path | None, environ: Mapping[str, str], store: str | None = None) -> Config:
    """The configuration in force; `store` is the `--store` of a command and wins over everything.

    Raises `ConfigError` with every fault: its place, what is wrong, what to do.
    """
    tree = read_yaml(file) if file is not None else YamlTree({}, {})
    names, faults = _environment_names(environ)
    values = merged(tree.values, _Environ({name: environ[name] for name in names.values()})())
    if store is not None:
        # the password file belongs to the store it was configured with
        values = values | {"store": store, "store_password_file": None}
        names["store",] = "--store"
    origin = Origin(file, tree.lines, names)
    values = _resolved(values, (), environ, origin, faults)
    try:
        config = Config(**values)
    except ValidationError as error:
        raise ConfigError([*faults, *fault_lines(error, Config, origin)]) from None
    faults += [*access_faults(config), *exposure_faults(config)]
    if faults:
        raise ConfigError(faults)
    return config


def _environment_names(environ: Mapping[str, str]) -> tuple[dict[KeyPath, str], list[str]]:
    """Key path -> variable that sets it, and a fault for each variable that sets nothing."""
    names: dict[KeyPath, str] = {}
    faults = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or _NOT_OURS.fullmatch(name):
            continue
        path = tuple(name.removeprefix(PREFIX).lower().split("__"))
        depth = next((n for n in range(1, len(path) + 1) if child(Config, path[:n]) is None), None)
        if depth is None:
            names[path] = name
        else:
            faults.append(f"{name}: {_meant(name) or unknown_key(Config, path[:depth], _as_variable)}")
    return names, faults


def _meant(name: str) -> str | None:
    """The commonest slip: one underscore between levels."""
    for path in paths(Config):
        variable = _as_variable(path)
        if variable.replace("__", "_") == name:
            return f"unknown key; did you mean {variable}?"
    return None


def _as_variable(path: KeyPath) -> str:
    return PREFIX + "__".join(str(part).upper() for part in path)


def _resolved(node: Any, path: KeyPath, environ: Mapping[str, str], origin: Origin, faults: list[str]) -> Any:
    """The tree with `${file:/path}` and `${env:NAME}` replaced in its texts."""
    if isinstance(node, dict):
        return {str(key): _resolved(each, (*path, str(key)), environ, origin, faults) for key, each in node.items()}
    if isinstance(node, list):
        return [_resolved(value, (*path, index), environ, origin, faults) for index, value in enumerate(node)]
    if not isinstance(node, str):
        return node

    def value_of(match: re.Match[str]) -> str:
        kind, name = match.groups()
        try:
            return secret_from_file(Path(name)) if kind == "file" else environ[name]
        except KeyError:
            faults.append(f"{origin.of(path)}: ${{env:{name}}} is not set in the environment")
        except (OSError, UnicodeDecodeError):
            faults.append(f"{origin.of(path)}: {name} of ${{file:{name}}} cannot be read")
        return match[0]

    return _REFERENCE.sub(value_of, node)
