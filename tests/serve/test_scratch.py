"""Temporary files lie where only the collector reads, and none outlives its next start."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

import pytest

from spanledger.scratch import scratch
from spanledger_core.errors import ConfigError


def test_temporary_files_lie_in_the_data_directory_and_leftovers_are_removed(tmp_path: Path) -> None:
    left = tmp_path / "tmp" / "rows.native"
    left.parent.mkdir()
    left.write_bytes(b"names of customers")
    before = tempfile.gettempdir()
    with scratch(tmp_path) as folder:
        assert not left.exists()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        with tempfile.NamedTemporaryFile() as file:
            assert Path(file.name).parent == folder
    assert tempfile.gettempdir() == before
    assert not folder.exists()


def test_a_folder_that_cannot_be_made_is_a_named_fault(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    before = tempfile.gettempdir()
    with pytest.raises(ConfigError, match="data_dir: cannot write to"), scratch(file):
        pass
    assert tempfile.gettempdir() == before


def test_a_path_that_the_engine_takes_for_a_pattern_is_a_named_fault(tmp_path: Path) -> None:
    """It inserts nothing from there, and says that all went well."""
    braced = tmp_path / "{blue,green}"
    (braced / "data").mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(braced / "data")
    for data_dir in (braced, link):
        with pytest.raises(ConfigError, match="has a brace in its path"), scratch(data_dir):
            pass
