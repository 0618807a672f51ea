"""Grafana can be pointed at the collector's own SQL port: its gate lets every query of ours through."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client import CollectorRegistry

from spanledger.config.units import Address
from spanledger.sqlport.server import SqlServer
from spanledger.sqlport.settings import SqlSettings, SqlUser
from spanledger_core.clock import SystemClock
from spanledger_core.metrics import Metrics
from spanledger_exporter.store import Store
from tools.dashboards.alerts import RULES
from tools.dashboards.asking import Grafana, named, picked, targets
from tools.dashboards.expand import expand
from tools.dashboards.fleet import TWIN

QUERIES = {f"{target.board} {target.name}": target.sql for target in targets()}
QUERIES |= {f"alert {rule.name}": rule.sql for rule in RULES if not rule.prometheus}


@pytest.fixture(scope="module")
def port(store: Store) -> Iterator[str]:
    users = (SqlUser("default"), SqlUser("tenant", "pw", tenant=TWIN))
    settings = SqlSettings(endpoint=Address("127.0.0.1", 0), users=users)
    metrics = Metrics(CollectorRegistry())
    server = SqlServer(settings, str(store.address.path), store.address.database, metrics, SystemClock())
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


def test_every_query_passes_the_gate(port: str) -> None:
    """Asked for its plan: the gate judges the statement, the engine finds its tables and types."""
    refused = {}
    with httpx.Client(base_url=port, timeout=60) as client:
        for name, sql in QUERIES.items():
            answer = client.post("/", content=f"EXPLAIN QUERY TREE {expand(sql, picked())}".encode())
            if answer.status_code != 200:
                refused[name] = answer.text
    assert not refused


def test_a_user_with_a_tenant_sees_on_the_boards_what_picking_the_tenant_shows(port: str, grafana: Grafana) -> None:
    sql = named("overview", "Spend A").sql
    body = f"{expand(sql, picked())} FORMAT TSV".encode()
    answer = httpx.post(
        f"{port}/?{urllib.parse.urlencode({'user': 'tenant', 'password': 'pw'})}", content=body, timeout=60
    )
    assert answer.status_code == 200, answer.text
    ((expected,),) = grafana.ask(sql, picked(tenant=[TWIN])).rows
    assert answer.text.strip() == f"{expected:f}".rstrip("0")
