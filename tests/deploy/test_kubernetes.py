"""The chart, its schema and what it renders to."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from spanledger.config.tree import merged


@pytest.fixture(scope="module")
def folder(deploy: Path) -> Path:
    return deploy / "kubernetes"


@pytest.fixture(scope="module")
def render(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("render", folder / "render.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=["embedded", "clickhouse"])
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def rendered(folder: Path, case: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((folder / f"rendered/{case}.yaml").read_text()))


def values(folder: Path, case: str) -> dict[str, Any]:
    own = yaml.safe_load((folder / f"values/{case}.yaml").read_text())
    return merged(yaml.safe_load((folder / "spanledger/values.yaml").read_text()), own)


def one(rendered: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [each for each in rendered if each["kind"] == kind]
    return found


def test_rendered_files_are_what_helm_makes(folder: Path, render: ModuleType, case: str) -> None:
    if not render.helm_is_here():
        pytest.skip("neither helm nor helm-python-sdk is installed: the rendered manifests are not compared")
    assert (folder / f"rendered/{case}.yaml").read_text() == render.text_of(folder / f"values/{case}.yaml")


def test_a_cluster_knows_every_field_and_kind(rendered: list[dict[str, Any]]) -> None:
    validator = pytest.importorskip(
        "kubernetes_validate", reason="kubernetes-validate is not installed: the rendered manifests are not validated"
    )
    # a monitor is defined by the Prometheus Operator, not by Kubernetes
    known = [each for each in rendered if each["kind"] != "ServiceMonitor"]
    assert len(known) >= 7
    for each in known:
        for version in ("1.28", validator.latest_version()):
            validator.validate(each, version, strict=True)
    misspelt = merged(one(rendered, "PodDisruptionBudget"), {"spec": {"maxUnavailablee": 1}})
    with pytest.raises(validator.ValidationError):
        validator.validate(misspelt, validator.latest_version(), strict=True)


def test_schema_accepts_the_values(folder: Path, case: str) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed: values.yaml is not validated")
    jsonschema.validate(values(folder, case), json.loads((folder / "spanledger/values.schema.json").read_text()))


@pytest.mark.parametrize(
    "fault",
    [
        {"replicas": 2},  # the embedded store has one owner
        {"replicas": 0},
        {"replicaCount": 1},
        {"config": {"store": "postgres://db"}},
        {"persistence": {"size": "lots"}},
        {"terminationGracePeriodSeconds": 30},
    ],
)
def test_schema_refuses(folder: Path, fault: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed: values.yaml is not validated")
    schema = json.loads((folder / "spanledger/values.schema.json").read_text())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(merged(values(folder, "embedded"), fault), schema)


def test_schema_knows_every_value_and_no_other(folder: Path) -> None:
    schema = json.loads((folder / "spanledger/values.schema.json").read_text())
    default = yaml.safe_load((folder / "spanledger/values.yaml").read_text())
    assert set(schema["properties"]) - {"global"} == set(default)
    for name, value in default.items():
        known = schema["properties"][name]
        if isinstance(value, dict) and known.get("additionalProperties") is False:
            assert set(known["properties"]) == set(value), name


def test_pod_is_hardened(rendered: list[dict[str, Any]]) -> None:
    pod = one(rendered, "StatefulSet")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == 65532
    assert not pod["automountServiceAccountToken"]
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/var/lib/spanledger", "/tmp"}


def test_every_selector_and_port_name_meets_the_pod(rendered: list[dict[str, Any]]) -> None:
    template = one(rendered, "StatefulSet")["spec"]["template"]
    labels = template["metadata"]["labels"]
    named = {port["name"]: port["containerPort"] for port in template["spec"]["containers"][0]["ports"]}
    for each in rendered:
        spec = each.get("spec", {})
        if each["kind"] == "Service":
            assert spec["selector"].items() <= labels.items()
            assert {port["targetPort"]: port["port"] for port in spec["ports"]} == named
        if each["kind"] == "NetworkPolicy":
            assert spec["podSelector"]["matchLabels"].items() <= labels.items()
            assert {port["port"] for rule in spec["ingress"] for port in rule["ports"]} == set(named)
        if each["kind"] in ("PodDisruptionBudget", "StatefulSet"):
            assert spec["selector"]["matchLabels"].items() <= labels.items()


def test_metrics_are_scraped_once(folder: Path) -> None:
    """Of the two Services one matches the monitor; a pod behind both would count twice."""
    rendered = list(yaml.safe_load_all((folder / "rendered/clickhouse.yaml").read_text()))
    wanted = one(rendered, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    services = [each for each in rendered if each["kind"] == "Service"]
    assert sum(wanted.items() <= each["metadata"]["labels"].items() for each in services) == 1


def test_a_standby_holds_up_neither_drains_nor_updates(rendered: list[dict[str, Any]], case: str) -> None:
    """It is never ready, so nothing may wait until it is."""
    stateful = one(rendered, "StatefulSet")["spec"]
    assert stateful["podManagementPolicy"] == "Parallel"
    assert stateful["updateStrategy"]["type"] == {"embedded": "RollingUpdate", "clickhouse": "OnDelete"}[case]
    assert one(rendered, "PodDisruptionBudget")["spec"]["maxUnavailable"] == stateful["replicas"]
