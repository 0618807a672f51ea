"""The schema: numbered SQL files, applied in order and recorded with their checksums."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from clickhouse_connect.driver.client import Client

from spanledger_core.errors import ConfigError
from spanledger_exporter.sql import SqlValue, query_text, render, schemas, statements

_FILE_NAME: Final = re.compile(r"(\d{4})_(\w+)\.sql")


class Migration(NamedTuple):
    """One file of `schemas/`."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """Of the file as shipped, before values are filled in; line endings do not count."""
        return sha256(self.text.replace("\r\n", "\n").encode()).hexdigest()


def known_migrations() -> list[Migration]:
    """The migrations this program ships, in order."""
    found = []
    for entry in schemas().iterdir():
        if match := _FILE_NAME.fullmatch(entry.name):
            found.append(Migration(int(match[1]), match[2], entry.read_text(encoding="utf-8")))
    return sorted(found)


def pending(known: Sequence[Migration], applied: Mapping[int, tuple[str, str]]) -> list[Migration]:
    """What of `known` is still to be applied. `applied` maps a version to its name and checksum.

    Raises `ConfigError` if the database was made by a newer program or by files that have changed since.
    """
    by_version = {migration.version: migration for migration in known}
    faults = []
    for version, (name, checksum) in sorted(applied.items()):
        migration = by_version.get(version)
        if migration is None:
            faults.append(f"schema: migration {version:04d}_{name} is newer than this program: upgrade spanledger")
        elif migration.checksum != checksum:
            faults.append(
                f"schema: {version:04d}_{name}.sql has changed since it was applied: restore the file; changes to the"
                " schema belong in a new migration"
            )
    if faults:
        raise ConfigError(faults)
    return [migration for migration in known if migration.version not in applied]


def applied_migrations(client: Client) -> dict[int, tuple[str, str]]:
    """Version -> (name, checksum) of what the database records; empty for a new database."""
    if not client.query(
        "SELECT 1 FROM system.tables WHERE database = currentDatabase() AND name = 'schema_migrations'"
    ).result_rows:
        return {}
    rows = client.query("SELECT version, name, checksum FROM schema_migrations FINAL").result_rows
    return {version: (name, checksum) for version, name, checksum in rows}


def apply(client: Client, migrations: Sequence[Migration], values: Mapping[str, SqlValue]) -> None:
    """Run `migrations` in order. One that stops half way is not recorded, and its statements can be run again."""
    client.command(query_text("create_schema_migrations"))
    for migration in migrations:
        for statement in statements(migration.text):
            client.command(render(statement, values))
        client.insert(
            "schema_migrations",
            [[migration.version, migration.name, migration.checksum]],
            column_names=["version", "name", "checksum"],
        )


def set_retention(client: Client, retention_days: int, rollup_retention_days: int) -> None:
    """Make the tables keep their rows as long as the settings say now; does nothing where they do."""
    wanted = {
        "llm_costs": retention_days,
        "llm_costs_hourly": rollup_retention_days,
        "llm_costs_hourly_customer": rollup_retention_days,
    }
    found = client.query(query_text("retention")).result_rows
    if {str(name): int(days) for name, days in found} == wanted:
        return
    values = {"retention_days": retention_days, "rollup_retention_days": rollup_retention_days}
    for statement in statements(query_text("set_retention")):
        client.command(render(statement, values))
