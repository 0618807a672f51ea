"""Commands that write while a collector has the store open hand their job to it."""

from __future__ import annotations

import stat
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from spanledger import control
from spanledger_core.errors import ConfigError

SCENARIOS = Path(__file__).resolve().parents[1] / "data" / "corpus"
# the captured spans keep their date while the calendar goes on
KEPT = {"SPANLEDGER_RETENTION_DAYS": "20000"}
BOOKED = "SELECT trace_id, span_id, agent_id, toString(cost_usd) AS cost FROM calls ORDER BY ALL"


def requests() -> list[str]:
    found = [str(path) for path in sorted(SCENARIOS.glob("*/request-*.pb"))]
    assert found
    return found


def test_replay_goes_through_the_running_collector_and_books_the_same(smoke: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    (tmp_path / "beside").mkdir()
    alone = smoke.Collector(tmp_path / "alone", **KEPT)
    done = alone.run("replay", *requests())
    assert done.returncode == 0, done.stderr
    with smoke.Collector(tmp_path / "beside", **KEPT) as collector:
        handed = collector.run("replay", *requests())
        assert handed.returncode == 0, handed.stderr
        assert "by the running collector" in handed.stdout
        assert handed.stdout.split("spans read")[0] == done.stdout.split("spans read")[0]
        booked = collector.sql_json(BOOKED)
        refused = collector.run("replay", *requests(), "--prices", __file__)
        assert refused.returncode == 2
        assert "prices.files" in refused.stderr
        mode = (collector.folder / "spanledger-data" / "control.sock").stat().st_mode
        assert stat.S_IMODE(mode) == 0o600
    with smoke.Collector(tmp_path / "alone", **KEPT) as collector:
        assert collector.sql_json(BOOKED) == booked


def test_a_file_that_is_named_and_cannot_be_read_fails_a_replay_that_is_handed_over_too(
    collector: Any, tmp_path: Path
) -> None:
    file = tmp_path / "traces" / "readme.txt"
    file.parent.mkdir()
    file.write_text("what this is")
    for path, status in ((file, 1), (file.parent, 0)):
        done = collector.run("replay", str(path))
        assert (done.returncode, "by the running collector" in done.stdout) == (status, True), done.stderr
        assert "skipped" in done.stdout


def test_a_second_collector_on_the_same_data_is_refused_with_the_reason(collector: Any, smoke: ModuleType) -> None:
    second = smoke.Collector(collector.folder)
    done = second.run("serve")
    assert done.returncode == 2
    assert "another spanledger process uses" in done.stderr


def test_unknown_jobs_are_answered_not_obeyed(collector: Any) -> None:
    data_dir = collector.folder / "spanledger-data"
    with pytest.raises(ConfigError, match="not a job"):
        list(control.ask(data_dir, "format_disk"))
    assert collector.get("/readyz")[0] == 200


def test_where_no_collector_listens_the_asker_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match="no collector"):
        list(control.ask(tmp_path, "replay", paths=[]))
