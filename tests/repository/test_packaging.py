"""What `pip install spanledger` alone must do."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from spanledger_core import assets

ROOT = Path(__file__).resolve().parents[2]


def test_importing_spanledger_loads_nothing_of_the_server() -> None:
    code = (
        "import sys, spanledger; "
        "heavy = {'grpc','chdb','clickhouse_connect','starlette','pydantic','typer','genai_prices','google.protobuf'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_version_is_the_one_of_the_project_file() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert metadata.version("spanledger") == version


def test_data_files_are_found_beside_the_code() -> None:
    schemas = assets.folder("spanledger_core", "schemas")
    assert any(entry.name.endswith(".sql") for entry in schemas.iterdir())
