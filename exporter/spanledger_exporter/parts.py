"""How the embedded engine keeps the parts of its tables.

A flush makes one small part per agent partition, so there are many, each with every column and each merged soon. In the
process of a collector that is CPU which receiving spans does not get. On a server merging is other cores' work, and
what it should cost is its operator's choice: there the engine's own defaults hold.
"""

from __future__ import annotations

from typing import Final

from clickhouse_connect.driver.client import Client

from spanledger_exporter.sql import query_text

_TABLES: Final = ("llm_costs", "llm_costs_hourly", "llm_costs_hourly_customer")
_SETTINGS: Final = {
    # merge eight parts of a size at once instead of five: every row is copied that much more seldom
    "merge_selector_base": "8",
    # what makes big parts cheap to read costs more than it saves in parts of a few hundred rows
    "write_marks_for_substreams_in_compact_parts": "0",
    "string_serialization_version": "'single_stream'",
    "compress_marks": "0",
    "compress_primary_key": "0",
    # nothing here joins, which is what the estimates of distinct values are for
    "auto_statistics_types": "''",
}


_DEAR: Final = "ZSTD(1)"
"""For numbers in columns of a few hundred rows it takes half an insert's compression time, and saves a sixteenth."""


def keep_small_parts_cheap(client: Client) -> None:
    """Give the tables these settings, as far as the engine knows them; does nothing where they have them."""
    dear = client.query(query_text("codecs_of_numbers"), {"codec": _DEAR}).result_rows
    if dear:
        cheaper = [f"MODIFY COLUMN {name} {codec.replace(_DEAR, 'LZ4')}" for name, codec in dear]
        client.command(f"ALTER TABLE llm_costs {', '.join(cheaper)}")
    known = {name for (name,) in client.query(query_text("table_settings"), {"names": [*_SETTINGS]}).result_rows}
    wanted = [f"{name} = {value}" for name, value in _SETTINGS.items() if name in known]
    for table, definition in client.query(query_text("table_engines"), {"names": [*_TABLES]}).result_rows:
        if not all(setting in definition for setting in wanted):
            client.command(f"ALTER TABLE {table} MODIFY SETTING {', '.join(wanted)}")
