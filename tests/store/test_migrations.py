"""The schema comes up once, in order, and nobody changes it behind our back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from spanledger_core.errors import ConfigError
from spanledger_core.rows import CallRow
from spanledger_exporter import migrations
from spanledger_exporter.hours import hours_of
from spanledger_exporter.migrations import Migration, known_migrations, pending
from spanledger_exporter.store import Store

OpenStore = Callable[..., Store]


def test_migrating_twice_applies_nothing_the_second_time(open_here: OpenStore) -> None:
    store = open_here(migrate=False)
    names = [f"{migration.version:04d}_{migration.name}" for migration in known_migrations()]
    assert store.migrate() == names
    assert store.migrate() == []
    recorded = store.query("SELECT version, name, checksum FROM schema_migrations ORDER BY version")
    assert recorded == [(known.version, known.name, known.checksum) for known in known_migrations()]


def test_a_migration_that_stopped_half_way_is_repeated(open_here: OpenStore) -> None:
    store = open_here(migrate=False)
    store.migrate()
    with store.lease() as client:
        client.command("TRUNCATE TABLE schema_migrations")
        client.command("DROP VIEW hourly")
    assert store.migrate()
    assert store.query("SELECT count() FROM hourly") == [(0,)]


def test_a_changed_file_is_refused_by_name(open_here: OpenStore) -> None:
    store = open_here()
    with store.lease() as client:
        client.insert("schema_migrations", [[1, "store", "0" * 64]], column_names=["version", "name", "checksum"])
    with pytest.raises(ConfigError, match=r"0001_store\.sql has changed since it was applied"):
        store.migrate()


def test_a_newer_database_is_refused(open_here: OpenStore) -> None:
    store = open_here()
    with store.lease() as client:
        client.insert("schema_migrations", [[9999, "future", "x"]], column_names=["version", "name", "checksum"])
    with pytest.raises(ConfigError, match="9999_future is newer than this program: upgrade"):
        store.migrate()


def test_all_faults_are_told_at_once() -> None:
    known = [Migration(1, "a", "SELECT 1")]
    with pytest.raises(ConfigError) as caught:
        pending(known, {1: ("a", "other"), 2: ("b", "x"), 3: ("c", "y")})
    assert len(caught.value.faults) == 3


def test_versions_are_without_gaps_and_known_by_checksum() -> None:
    assert [migration.version for migration in known_migrations()] == list(range(1, len(known_migrations()) + 1))
    assert all(len(migration.checksum) == 64 for migration in known_migrations())


def test_line_endings_do_not_change_the_checksum() -> None:
    assert Migration(1, "a", "x\r\ny").checksum == Migration(1, "a", "x\ny").checksum


def test_a_second_migration_adds_to_a_filled_store(
    open_here: OpenStore, row: Callable[..., tuple[object, ...]]
) -> None:
    store = open_here()
    store.book([row()], [], "1")
    addition = Migration(
        len(known_migrations()) + 1, "more", "ALTER TABLE llm_costs ADD COLUMN IF NOT EXISTS extra String;"
    )
    with store.lease() as client:
        migrations.apply(client, [addition], {})
        assert addition.version in migrations.applied_migrations(client)
    assert store.query("SELECT extra, count() FROM llm_costs GROUP BY extra") == [("", 1)]


@pytest.mark.parametrize("version", [migration.version for migration in known_migrations()][:-1])
def test_a_filled_store_of_every_earlier_version_is_brought_up(
    open_here: OpenStore, monkeypatch: pytest.MonkeyPatch, row: Callable[..., CallRow], version: int
) -> None:
    store = open_here(migrate=False)
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "known_migrations", lambda: known_migrations()[:version])
        assert len(store.migrate()) == version
    rows = [
        row(number, agent_id=f"agent-{number % 40}", cost_usd=number, input_cost_usd=number) for number in range(200)
    ]
    store.book(rows, [], "before")
    with store.lease() as client:
        # as an earlier program did: today's wants the tables of today
        client.command(
            "INSERT INTO llm_costs_hourly (hour, agent_id, calls, cost_usd, version)"
            " SELECT toStartOfHour(timestamp), agent_id, count(), sum(cost_usd), 1 FROM calls GROUP BY ALL"
        )
    sums = "SELECT count(), sum(cost_usd), sum(cityHash64(*)) FROM calls"
    hourly = "SELECT sum(calls), sum(cost_usd) FROM hourly"
    before = store.query(sums), store.query(hourly)
    assert before[0][0][0] == 200
    assert len(store.migrate()) == len(known_migrations()) - version
    assert (store.query(sums), store.query(hourly)) == before
    store.rebuild_rollups(hours_of(rows, []))
    assert (store.query(sums), store.query(hourly)) == before
    store.book([row(200)], [], "after")
    assert store.query("SELECT count() FROM calls") == [(201,)]


def test_the_embedded_engine_keeps_small_parts_cheaply_and_a_server_as_it_is_set(
    open_here: OpenStore, row: Callable[..., CallRow]
) -> None:
    store = open_here()
    definition = (
        "SELECT engine_full, metadata_modification_time FROM system.tables"
        " WHERE database = currentDatabase() AND name LIKE 'llm_costs%' ORDER BY name"
    )
    before = store.query(definition)
    codecs = dict(store.query("SELECT name, compression_codec FROM system.columns WHERE table = 'llm_costs'"))
    is_embedded = store.address.kind == "embedded"
    assert all(("merge_selector_base = 8" in engine) == is_embedded for engine, _ in before)
    assert ("LZ4" in codecs["cost_usd"]) == is_embedded
    assert "ZSTD" in codecs["trace_id"]
    store.book([row(1)], [], "1")
    if is_embedded:
        parts = "SELECT DISTINCT part_storage_type FROM system.parts WHERE active AND table = 'llm_costs'"
        assert store.query(parts + " AND database = currentDatabase()") == [("Packed",)]
    assert store.migrate() == []
    assert store.query(definition) == before


def test_the_embedded_engine_idles_quietly(open_here: OpenStore) -> None:
    store = open_here()
    if store.address.kind != "embedded":
        pytest.skip("a server is set by its operator")
    setting = "SELECT value FROM system.server_settings WHERE name = 'memory_worker_period_ms'"
    assert store.query(setting) == [("500",)]


def test_waiting_for_the_lease_changes_no_schema_that_another_collector_uses(
    open_here: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_here(migrate=False)
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "known_migrations", lambda: known_migrations()[:-1])
        store.meet()
    made = "SELECT count() FROM schema_migrations"
    assert store.query(made) == [(len(known_migrations()) - 1,)]
    store.meet()
    assert store.query(made) == [(len(known_migrations()) - 1,)]
    store.migrate()
    assert store.query(made) == [(len(known_migrations()),)]
    monkeypatch.setattr(migrations, "known_migrations", lambda: known_migrations()[:-1])
    with pytest.raises(ConfigError, match="newer than this program"):
        store.meet()


def test_the_retention_follows_the_setting(open_here: OpenStore) -> None:
    store = open_here(retention_days=30)
    ddl = "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = 'llm_costs'"
    assert "toIntervalDay(30)" in store.query(ddl)[0][0]
    again = open_here(retention_days=60)
    assert "toIntervalDay(60)" in again.query(ddl)[0][0]
    assert "min_bytes_for_wide_part = 268435456" in again.query(ddl)[0][0]


def test_a_database_that_exists_is_used_as_it_is(open_here: OpenStore) -> None:
    store = open_here()
    assert replace(store.address).database.startswith("t`")
    assert store.query("SELECT currentDatabase()") == [(store.address.database,)]
