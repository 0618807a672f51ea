"""Spans that come again when nobody remembers them: replays into a filled store never move history."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

COMMAND = Path(sys.executable).with_name("spanledger")
SCENARIOS = Path(__file__).resolve().parents[1] / "data" / "corpus"


class Ledger:
    """A store in a folder, filled by `spanledger replay`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = f"chdb://{folder}/store"
        self.calls: Any = None
        self.hours: Any = None

    def _run(self, *arguments: str) -> str:
        # the captured spans keep their date while the calendar goes on
        kept = os.environ | {"SPANLEDGER_RETENTION_DAYS": "20000"}
        done = subprocess.run(
            [COMMAND, *arguments, "--store", self.store],
            cwd=self.folder, env=kept, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def replay(self, *paths: Path, prices: Path | None = None) -> str:
        return self._run("replay", *map(str, paths), *(("--prices", str(prices)) if prices else ()))

    def rows(self, sql: str = "SELECT * EXCEPT (version, ingested_at, settles_at) FROM calls ORDER BY ALL") -> Any:
        return [json.loads(line) for line in self._run("query", sql, "--format", "JSONEachRow").splitlines()]


def requests() -> list[Path]:
    found = sorted(SCENARIOS.glob("*/request-*.pb"))
    assert found
    return found


def prices(folder: Path, factor: str) -> Path:
    file = folder / f"prices{factor}.csv"
    lines = [f"*,*,{bucket},{factor}" for bucket in ("input", "output", "cache_read", "cache_write_5m", "reasoning")]
    file.write_text("provider,model,bucket,unit_price\n" + "\n".join(lines) + "\n")
    return file


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """Everything was replayed once; the tests send some of it again and nothing may change."""
    filled = Ledger(tmp_path_factory.mktemp("ledger"))
    filled.replay(*requests(), prices=prices(filled.folder, "1"))
    filled.calls, filled.hours = filled.rows(), filled.rows("SELECT * FROM hourly ORDER BY ALL")
    assert filled.calls
    return filled


def test_the_same_files_again_change_nothing_even_under_another_price_book(ledger: Ledger) -> None:
    ledger.replay(*reversed(requests()), prices=prices(ledger.folder, "2"))
    assert ledger.rows() == ledger.calls
    assert ledger.rows("SELECT * FROM hourly ORDER BY ALL") == ledger.hours


def test_parts_of_traces_again_without_the_rest_make_no_second_rows(ledger: Ledger) -> None:
    """A call without its ancestor, an outer span without the call beneath it, a twin without its twin."""
    ledger.replay(*requests()[0::3])
    ledger.replay(*requests()[1::2])
    assert ledger.rows() == ledger.calls
