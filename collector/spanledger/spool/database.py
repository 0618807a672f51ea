"""The spool's file: SQLite in WAL mode, its schema and the upgrades of it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from spanledger.spool.carving import PAGE_BYTES
from spanledger_core.errors import ConfigError
from spanledger_core.sqlfile import statements

FILE: Final = "spool.db"
SCHEMA_VERSION: Final = 2
SQL: Final = statements(Path(__file__).with_name("spool.sql").read_text(encoding="utf-8"))
_CHECKPOINT_PAGES: Final = 1000
_TABLES: Final = ("create_state", "create_records", "create_aside", "create_suspects")


def opened(path: Path, *, fsync: bool) -> sqlite3.Connection:
    """A connection as the spool needs it; the file is made if it is not there. Raises `sqlite3.Error` or `OSError`."""
    # SQLite gives the files beside it the same permissions
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    database = sqlite3.connect(path, check_same_thread=False, timeout=10)
    database.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # of a new file
    database.execute("PRAGMA journal_mode = WAL")
    database.execute(f"PRAGMA synchronous = {'FULL' if fsync else 'NORMAL'}")
    database.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    return database


def create(database: sqlite3.Connection) -> None:
    """Make the tables, or bring those of an earlier version up to date. Raises `ConfigError` for a later one."""
    with database:
        database.execute(SQL["create_state"])
        database.execute(SQL["first_state"], (SCHEMA_VERSION,))
        version = database.execute(SQL["state"]).fetchone()[0]
        if version > SCHEMA_VERSION:
            raise ConfigError(
                [f"the spool is of format {version}; this version reads {SCHEMA_VERSION}: upgrade spanledger"]
            )
        # version 2 added tables, which are made where they are missing
        for name in _TABLES:
            database.execute(SQL[name])
        if version < SCHEMA_VERSION:
            database.execute(SQL["set_version"], (SCHEMA_VERSION,))
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def is_consistent(database: sqlite3.Connection) -> bool:
    """False if what the file says of itself cannot be, though SQLite finds nothing wrong with its pages."""
    tables = {name for (name,) in database.execute(SQL["tables"])}
    if "spool" not in tables:
        return not tables  # new: a crash came before the first commit
    state = database.execute(SQL["state"]).fetchone()
    if state is None or not all(isinstance(value, int) for value in state):
        return False
    version, confirmed = state
    # the version stands in two places since version 2
    if version != (database.execute("PRAGMA user_version").fetchone()[0] or 1):
        return False
    newest = [database.execute(SQL[f"newest_{table}"]).fetchone()[0] for table in {"records", "aside"} & tables]
    # the oldest records go first, so as long as there are any, none was confirmed that is newer than all of them
    return bool(newest) and 0 <= confirmed <= max((each for each in newest if each is not None), default=confirmed)


def last_sequence(database: sqlite3.Connection) -> int:
    """The last sequence ever given."""
    return int(database.execute(SQL["last_sequence"]).fetchone()[0])
