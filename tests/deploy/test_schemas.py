"""Files of other people's formats, held against the schemas that their owners publish."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed: files are not checked")

FILES = {
    "vendor.compose-spec": "deploy/compose/compose.yaml",
    "vendor.github-workflows": ".github/workflows/*.yml",
}


def check(schema: str, *files: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("schema", FILES)
def test_its_schema_accepts_it(root: Path, schema: str) -> None:
    files = sorted(root.glob(FILES[schema]))
    assert files
    checked = check(schema, *files)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("schema", FILES)
def test_a_slip_would_be_seen(root: Path, tmp_path: Path, schema: str) -> None:
    (tmp_path / "wrong.yml").write_text(sorted(root.glob(FILES[schema]))[0].read_text() + "\nservicess: {}\n")
    assert check(schema, tmp_path / "wrong.yml").returncode == 1
