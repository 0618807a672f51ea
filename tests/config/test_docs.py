"""The reference says what the model says."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from spanledger.config import docs
from spanledger.config.load import load_config
from spanledger.config.model import Config
from spanledger.config.tree import paths

ROOT = Path(__file__).resolve().parents[2]
REMEDY = "run: python -m spanledger.config.docs"


def test_the_reference_is_generated_from_the_model() -> None:
    assert (ROOT / "docs/configuration.md").read_text() == docs.reference(), REMEDY


def test_the_schema_is_generated_from_the_model() -> None:
    assert (ROOT / "schemas/config.schema.json").read_text() == docs.schema(), REMEDY


def test_every_key_stands_in_the_reference() -> None:
    text = docs.reference()
    missing = [
        path
        for path in paths(Config)
        if f"`{path[-1]}`" not in text and f"## {'.'.join(map(str, path))}" not in text and f"{path[-1]}:" not in text
    ]
    assert not missing


def test_the_example_in_the_reference_is_the_defaults(tmp_path: Path) -> None:
    example = docs.reference().split("```yaml\n")[1].split("```")[0]
    file = tmp_path / "example.yaml"
    file.write_text(example)
    assert load_config(file, {}) == Config()


def test_the_schema_knows_the_keys_of_the_example() -> None:
    example = yaml.safe_load(docs.reference().split("```yaml\n")[1].split("```")[0])
    assert set(example) <= set(json.loads(docs.schema())["properties"])
