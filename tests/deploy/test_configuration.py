"""Whatever deploy/ and docs/deploy.md configure is what the collector understands."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from spanledger.cli.app import app
from spanledger.config.model import Config
from spanledger.config.tree import paths
from spanledger_core.errors import ConfigError

Load = Callable[..., Config]
_DEFAULT_PORTS = {4317, 4318, 8123, 13133}


def of_image(deploy: Path) -> str:
    return (deploy / "container/spanledger.yaml").read_text()


def compose(deploy: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((deploy / "compose/compose.yaml").read_text()))


def unit(deploy: Path) -> list[tuple[str, str]]:
    lines = (deploy / "systemd/spanledger.service").read_text().splitlines()
    return [(key, value) for key, _, value in (line.partition("=") for line in lines if line[:1] not in "#[")]


def fences(root: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (root / "docs/deploy.md").read_text(), re.M | re.S)


def ports(config: Config) -> set[int]:
    protocols = config.receivers.otlp.protocols
    listeners = (protocols.grpc, protocols.http, config.sql, config.telemetry)
    return {listener.endpoint.port for listener in listeners}


def accepts(arguments: list[str]) -> None:
    """Raises unless the command line knows the command and every option."""
    command = typer.main.get_command(app).get_command(None, arguments[0])  # type: ignore[attr-defined]
    assert command is not None, arguments
    known = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in arguments if word.startswith("-")} <= known, arguments


def test_yaml_parses(yaml_files: list[Path]) -> None:
    for file in yaml_files:
        assert list(yaml.safe_load_all(file.read_text())), file
    assert len(yaml_files) > 8


def test_image_does_not_open_ports_that_nobody_asked_for(deploy: Path, loaded: Load) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(of_image(deploy), {})
    assert all(
        "can be reached from other machines without TLS or credentials" in fault for fault in refused.value.faults
    )


def test_image_starts_with_credentials(deploy: Path, loaded: Load) -> None:
    environ = {
        "SPANLEDGER_RECEIVERS__OTLP__AUTH__TOKENS": "[{token_file: /run/secrets/otlp}]",
        "SPANLEDGER_SQL__USERS": "[{name: grafana, password_file: /run/secrets/grafana}]",
    }
    config = loaded(of_image(deploy), environ)
    assert ports(config) == ports(Config()) == _DEFAULT_PORTS
    assert str(config.data_dir) == "/var/lib/spanledger"


def test_compose_collector(deploy: Path, loaded: Load) -> None:
    service = compose(deploy)["services"]["spanledger"]
    config = loaded(of_image(deploy), service["environment"])
    assert config.store_url.startswith("clickhouse://spanledger_writer:a%20secret")
    assert {int(each.rpartition(":")[2]) for each in service["ports"]} <= _DEFAULT_PORTS
    assert all(each.startswith("127.0.0.1:") for each in service["ports"])


def test_compose_gives_grafana_what_its_provisioning_takes(root: Path, deploy: Path) -> None:
    taken = set(re.findall(r"\$\{(\w+)\}", (root / "grafana/provisioning/datasources/spanledger.yaml").read_text()))
    grafana = compose(deploy)["services"]["grafana"]
    by_entrypoint = set(re.findall(r"(\w+)=\"", grafana["entrypoint"][-1]))
    assert taken <= set(grafana["environment"]) | by_entrypoint
    assert not by_entrypoint & set(grafana["environment"])


def test_compose_mounts_what_exists(deploy: Path) -> None:
    folder = deploy / "compose"
    for name, service in compose(deploy)["services"].items():
        for volume in service.get("volumes", []):
            if volume.startswith("."):
                assert (folder / volume.split(":")[0]).exists(), (name, volume)
        if "build" in service:
            context = folder / service["build"]["context"]
            assert f"AS {service['build']['target']}\n" in (context / service["build"]["dockerfile"]).read_text()


def test_compose_secrets_are_declared_and_made(deploy: Path) -> None:
    document = compose(deploy)
    used = {name for service in document["services"].values() for name in service.get("secrets", [])}
    assert used == set(document["secrets"])
    made = re.search(r"^for name in (.*); do$", (deploy / "compose/make-secrets.sh").read_text(), re.M)
    assert made is not None
    assert used == set(made[1].split())


def test_boards_and_alerts_reach_grafana_where_provisioning_looks(root: Path, deploy: Path) -> None:
    volumes = compose(deploy)["services"]["grafana"]["volumes"]
    mounted = {part[1]: part[0] for part in (volume.split(":") for volume in volumes)}
    provider = yaml.safe_load((root / "grafana/provisioning/dashboards/spanledger.yaml").read_text())["providers"][0]
    boards = (deploy / "compose" / mounted[provider["options"]["path"]]).resolve()
    assert boards == root / "grafana/dashboards"
    home = compose(deploy)["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (boards / Path(home).name).is_file()


def test_systemd_configuration(deploy: Path, loaded: Load) -> None:
    environ = dict(value.split("=", 1) for key, value in unit(deploy) if key == "Environment")
    config = loaded((deploy / "systemd/spanledger.yaml").read_text(), environ)
    assert ports(config) == _DEFAULT_PORTS
    assert str(config.data_dir) == dict(unit(deploy))["WorkingDirectory"]
    credentials = {value.partition(":")[0] for key, value in unit(deploy) if key == "LoadCredential"}
    named = re.findall(
        r"/run/credentials/spanledger\.service/([\w-]+)", (deploy / "systemd/spanledger.yaml").read_text()
    )
    assert set(named) == credentials


def test_systemd_runs_commands_that_exist(deploy: Path) -> None:
    (command,) = [value for key, value in unit(deploy) if key == "ExecStart"]
    accepts(shlex.split(command)[1:])


def test_a_wrong_configuration_is_not_started_again(deploy: Path) -> None:
    """systemd looks at the status of the main process only: one that ends before it would be started again for ever."""
    keys = dict(unit(deploy))
    assert (keys["Restart"], keys["RestartPreventExitStatus"]) == ("always", "2")
    assert "ExecStartPre" not in keys


def test_image_runs_a_command_that_exists(deploy: Path) -> None:
    dockerfile = (deploy / "container/Dockerfile").read_text()
    assert 'ENTRYPOINT ["spanledger"]' in dockerfile
    default = re.search(r"^CMD (\[.*\])$", dockerfile, re.M)
    assert default is not None
    accepts(json.loads(default[1]))


def test_chart_configuration(deploy: Path, loaded: Load) -> None:
    values = yaml.safe_load((deploy / "kubernetes/spanledger/values.yaml").read_text())
    config = loaded(values["config"], {})
    assert ports(config) == _DEFAULT_PORTS


def test_rendered_manifests_carry_a_configuration_and_a_command(deploy: Path, loaded: Load) -> None:
    for file in sorted((deploy / "kubernetes/rendered").glob("*.yaml")):
        manifests = {each["kind"]: each for each in yaml.safe_load_all(file.read_text())}
        assert ports(loaded(manifests["ConfigMap"]["data"]["spanledger.yaml"], {})) == _DEFAULT_PORTS
        container = manifests["StatefulSet"]["spec"]["template"]["spec"]["containers"][0]
        accepts(container["args"])
        assert {port["containerPort"] for port in container["ports"]} == _DEFAULT_PORTS
        assert {port["port"] for port in manifests["Service"]["spec"]["ports"]} == _DEFAULT_PORTS


def test_documented_configurations(root: Path, loaded: Load) -> None:
    blocks = [yaml.safe_load(block) for block in fences(root, "yaml")]
    assert blocks
    for block in blocks:
        config = block.get("config", block)
        loaded(config, {})


def test_documented_commands_exist(root: Path) -> None:
    lines = [line for block in fences(root, "sh") for line in block.splitlines()]
    ours = [shlex.split(line, comments=True) for line in lines if line.startswith("spanledger ")]
    assert ours
    for words in ours:
        accepts(words[1:])


def test_every_variable_is_a_setting(root: Path, deploy: Path) -> None:
    """In any file: those of the collector, those Grafana's provisioning takes, and the one that names the file."""
    known = {"SPANLEDGER_" + "__".join(str(part).upper() for part in path) for path in paths(Config)}
    provisioned = (root / "grafana/provisioning/datasources/spanledger.yaml").read_text()
    known |= set(re.findall(r"SPANLEDGER_\w+", provisioned)) | {"SPANLEDGER_CONFIG"}
    for file in [root / "docs/deploy.md", *(each for each in deploy.rglob("*") if each.is_file())]:
        if file.suffix == ".pyc":
            continue
        found = set(re.findall(r"\bSPANLEDGER_[A-Z_]+\b", file.read_text()))
        assert found <= known, file
