"""What every test of deploy/ needs: the checkout, and a machine on which the secrets it names exist."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from spanledger.config.load import load_config
from spanledger.config.model import Config

_MOUNTED = re.compile(r"/run/(?:secrets|credentials)/[\w./-]+|/etc/spanledger/[\w./-]+\.(?:pem|csv)")

Load = Callable[[str | Mapping[str, Any] | None, Mapping[str, str]], Config]


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def deploy(root: Path) -> Path:
    return root / "deploy"


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    """spanledger's own load_config, with the files that a deployment mounts standing in a temporary directory."""

    def here(text: str) -> str:
        def stand_in(match: re.Match[str]) -> str:
            path = tmp_path / match[0].lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("a secret of thirty-two characters")
            return str(path)

        return _MOUNTED.sub(stand_in, text)

    def load(text: str | Mapping[str, Any] | None, environ: Mapping[str, str]) -> Config:
        file = None
        if text is not None:
            file = tmp_path / "spanledger.yaml"
            file.write_text(here(text if isinstance(text, str) else yaml.safe_dump(dict(text))))
        return load_config(file, {name: here(value) for name, value in environ.items()})

    return load


def _without_templates(path: Path) -> bool:
    return "templates" not in path.parts


@pytest.fixture(scope="session")
def yaml_files(root: Path) -> list[Path]:
    return sorted(path for path in (root / "deploy").rglob("*.y*ml") if _without_templates(path))
