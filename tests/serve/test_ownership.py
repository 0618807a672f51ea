"""Folders belong to one process, and to nobody else's eyes."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bench.faults.process import Victim
from spanledger.config.load import load_config
from spanledger.ownership import keep_private, own
from spanledger.spool import database
from spanledger_core.errors import ConfigError


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_that_were_open_to_others_are_closed_and_stay_so(tmp_path: Path) -> None:
    data_dir, store = tmp_path / "data", tmp_path / "store"
    for folder in (data_dir, store):
        folder.mkdir(mode=0o755)
    keep_private(load_config(None, {"SPANLEDGER_DATA_DIR": str(data_dir), "SPANLEDGER_STORE": f"chdb://{store}"}))
    assert (mode(data_dir), mode(store)) == (0o700, 0o700)
    (data_dir / "file").write_text("")
    assert mode(data_dir / "file") == 0o600


def test_a_folder_of_everybody_is_named_and_left_alone(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    with capture_logs() as logs:
        keep_private(load_config(None, {"SPANLEDGER_DATA_DIR": str(shared)}))
    assert mode(shared) == 0o1777
    assert [(each["log_level"], each["folder"]) for each in logs] == [("warning", str(shared))]


def test_the_spool_is_for_its_owner_only_whoever_made_the_folder(tmp_path: Path) -> None:
    opened = database.opened(tmp_path / database.FILE, fsync=False)
    database.create(opened)
    assert {mode(file) for file in tmp_path.iterdir()} == {0o600}
    opened.close()


def test_a_folder_is_held_by_one(tmp_path: Path) -> None:
    with own(tmp_path, "store"), pytest.raises(ConfigError, match="store: another spanledger process uses"):
        own(tmp_path, "store").__enter__()


def test_two_collectors_do_not_share_a_store(tmp_path: Path) -> None:
    environment = {"SPANLEDGER_STORE": f"chdb://{tmp_path / 'store'}"}
    first, second = (Victim(tmp_path / name, environment=environment) for name in ("first", "second"))
    try:
        first.start()
        second.launch()
        assert os.waitstatus_to_exitcode(os.waitpid(second.pid, 0)[1]) == 2
        assert "store: another spanledger process uses" in second.log.read_text()
        assert first.end(signal.SIGTERM) == 0
    finally:
        first.close()
        second.close()
