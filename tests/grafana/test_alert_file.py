"""The provisioning file of the alert rules: what Grafana reads, and what people read when a rule fires."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tools.dashboards.alerts import CLICKHOUSE_UID, PROMETHEUS_UID, RULES
from tools.dashboards.asking import GRAFANA

TEMPLATE_WORDS = {"humanize", "humanizePercentage", "humanizeDuration", "printf"}
"""Functions that Grafana's templates have (those of Prometheus, and what Go's own have); a word that is none of them
leaves the whole text as it stands."""


def provisioned() -> list[dict[str, Any]]:
    document = yaml.safe_load((GRAFANA / "alerts/spanledger.yaml").read_text())
    (group,) = document["groups"]
    return [dict(rule) for rule in group["rules"]]


def test_rules_name_the_provisioned_data_sources() -> None:
    sources = yaml.safe_load((GRAFANA / "provisioning/datasources/spanledger.yaml").read_text())["datasources"]
    uids = {source["uid"]: source["type"] for source in sources}
    assert uids == {CLICKHOUSE_UID: "grafana-clickhouse-datasource", PROMETHEUS_UID: "prometheus"}
    used = {query["datasourceUid"] for rule in provisioned() for query in rule["data"]}
    assert used == {*uids, "__expr__"}


def test_rules_are_told_apart_and_explain_themselves() -> None:
    rules = provisioned()
    assert len({rule["uid"] for rule in rules}) == len({rule["title"] for rule in rules}) == len(RULES)
    for rule in rules:
        assert len(rule["uid"]) <= 40
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"].endswith(".")
        assert not any("$" in value for value in rule["labels"].values()), "would be an environment variable"


def test_summaries_call_only_what_grafana_has() -> None:
    for rule in provisioned():
        for action in re.findall(r"\{\{(.*?)\}\}", rule["annotations"]["summary"]):
            words = re.findall(r"(?<![\w.$\"%])[a-z]\w*", re.sub(r'"[^"]*"', "", action))
            assert set(words) <= TEMPLATE_WORDS, rule["title"]
