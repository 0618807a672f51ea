"""Temporary files of a collector, in its own data directory.

The client of the embedded engine hands rows over in a temporary file. After a kill such a file stays behind with names
in it; here nobody else can read it, and the next start removes it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spanledger_core.errors import ConfigError


@contextmanager
def scratch(data_dir: Path) -> Iterator[Path]:
    """Let this process's temporary files lie in an empty `data_dir/tmp`, removed at the end.

    For the process that holds `data_dir`. Raises `ConfigError` if it cannot be written to or the engine cannot read it.
    """
    folder = data_dir / "tmp"
    if "{" in f"{data_dir}{folder.resolve()}":
        # the engine looks for the files that it stands for, finds none, and calls an insert of nothing a success
        raise ConfigError([f"data_dir: {data_dir} has a brace in its path, which the engine takes for a pattern"])
    before = tempfile.tempdir
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        tempfile.tempdir = str(folder.resolve())
        with tempfile.TemporaryFile():
            pass
    except OSError as error:
        tempfile.tempdir = before
        raise ConfigError([f"data_dir: cannot write to {folder}: {error.strerror}"]) from error
    try:
        yield folder
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)
