"""A data directory belongs to one process at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spanledger_core.errors import ConfigError


@contextmanager
def own(data_dir: Path) -> Iterator[None]:
    """Hold `data_dir` until the block ends, making it if need be. Raises `ConfigError` if another process holds it."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError([f"data_dir: cannot use {data_dir}: {error.strerror}"]) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ConfigError([f"data_dir: another spanledger process uses {data_dir}; give this one its own"]) from None
    try:
        yield
    finally:
        os.close(descriptor)
