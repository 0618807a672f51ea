"""Where a running collector can be asked: it leaves the address of its SQL port in the data directory.

Only one process may have the embedded store open, so every other command goes through that port. The file is
readable by its owner only; one whose process is gone, or whose port refuses, counts for nothing.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final, NamedTuple

FILE_NAME: Final = "sql-address.json"
IN_MEMORY: Final = ":memory:"


class SqlAddress(NamedTuple):
    """What a collector says about its SQL port."""

    url: str
    """For example http://127.0.0.1:8123."""
    pid: int
    database: str
    store: str = ""
    """Directory of the embedded store, or `:memory:`; empty means `store` beside the file."""
    user: str = ""
    password: str = ""
    """Credentials for commands on this machine, where the port asks for some."""


def publish(data_dir: Path, address: SqlAddress) -> Path:
    """Leave `address` in `data_dir`, readable by its owner only, replacing what is there in one step."""
    path = data_dir / FILE_NAME
    fresh = path.with_suffix(f".{address.pid}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(address._asdict(), file)
    fresh.replace(path)
    return path


def withdraw(data_dir: Path, pid: int) -> None:
    """Remove the address if it is the one `pid` left."""
    address = read(data_dir)
    if address is not None and address.pid == pid:
        (data_dir / FILE_NAME).unlink(missing_ok=True)


def read(data_dir: Path) -> SqlAddress | None:
    """What stands there, or None where nothing that can be used does."""
    try:
        said = json.loads((data_dir / FILE_NAME).read_text(encoding="utf-8"))
        known = {name: said[name] for name in SqlAddress._fields if name in said}
        address = SqlAddress(**known)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    texts = (address.url, address.database, address.store, address.user, address.password)
    return address if isinstance(address.pid, int) and all(isinstance(text, str) for text in texts) else None


def is_alive(pid: int) -> bool:
    """Is there such a process?"""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
