"""How the embedded engine keeps the parts of its tables.

A flush makes one small part per agent partition, so there are many, each with every column and each merged soon. In the
process of a collector that is CPU which receiving spans does not get. On a server merging is other cores' work, and
what it should cost is its operator's choice: there the engine's own defaults hold.
"""

from __future__ import annotations

from typing import Final

from clickhouse_connect.driver.client import Client

from spanledger_exporter.sql import query_text, render

_TABLES: Final = ("llm_costs", "llm_costs_hourly", "llm_costs_hourly_customer")


def keep_small_parts_cheap(client: Client) -> None:
    """Tell the tables so; does nothing where they know, or where the engine is another one and would not."""
    ((can, done),) = client.query(query_text("small_parts")).result_rows
    if can and not done:
        for table in _TABLES:
            client.command(render(query_text("keep_small_parts_cheap"), {"table": table}))
        client.command(query_text("compress_numbers_fast"))
