"""A data directory, and an embedded store, belong to one process at a time, and to nobody else's eyes."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog

from spanledger.config.model import Config
from spanledger_core.errors import ConfigError
from spanledger_exporter.address import StoreAddress

_log = structlog.get_logger(__name__)
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def keep_private(config: Config) -> None:
    """Let nobody else read what this process writes: for commands that write files, before they do.

    Folders that were there before are closed too, those of others excepted: the log names them.
    """
    os.umask(_OTHERS)
    store = StoreAddress.parse(config.store_url, config.data_dir).path
    for folder in (config.data_dir, store):
        if folder is not None and folder.is_dir():
            _close(folder)


def _close(folder: Path) -> None:
    found = folder.stat()
    mode = stat.S_IMODE(found.st_mode)
    if not mode & _OTHERS:
        return
    # where the sticky bit is set, others have files of their own (/tmp)
    if found.st_uid == os.geteuid() and not mode & stat.S_ISVTX:
        folder.chmod(mode & ~_OTHERS)
        _log.info("closed to others", folder=str(folder), mode_before=f"{mode:04o}")
    else:
        _log.warning("others may look into this folder", folder=str(folder), mode=f"{mode:04o}", remedy="make it 0700")


@contextmanager
def own(folder: Path, key: str = "data_dir") -> Iterator[None]:
    """Hold a folder until the block ends, making it if need be; `key` is what names it in the configuration.

    Raises `ConfigError` if another process holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError([f"{key}: cannot use {folder}: {error.strerror}"]) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ConfigError([f"{key}: another spanledger process uses {folder}; give this one its own"]) from None
    try:
        yield
    finally:
        os.close(descriptor)
