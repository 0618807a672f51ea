"""A port that strangers can reach is opened only on purpose."""

from __future__ import annotations

import pytest

from spanledger.config.exposure import exposure_warnings
from spanledger.config.load import load_config
from spanledger_core.errors import ConfigError

GRPC = "SPANLEDGER_RECEIVERS__OTLP__PROTOCOLS__GRPC__ENDPOINT"
TOKENS = {"SPANLEDGER_RECEIVERS__OTLP__AUTH__TOKENS": "[{token: abc}]"}


def test_loopback_needs_nothing_and_warns_of_nothing() -> None:
    assert exposure_warnings(load_config(None, {GRPC: "localhost:4317"})) == []


@pytest.mark.parametrize("variable", [GRPC, GRPC.replace("GRPC", "HTTP"), "SPANLEDGER_SQL__ENDPOINT"])
def test_an_open_port_is_refused_with_the_way_out(variable: str) -> None:
    with pytest.raises(ConfigError, match=r"can be reached from other machines .*insecure: true"):
        load_config(None, {variable: "0.0.0.0:4317"})


def test_said_on_purpose_it_opens_and_warns() -> None:
    config = load_config(None, {GRPC: "[::]:4317", GRPC.replace("ENDPOINT", "INSECURE"): "true"})
    (warning,) = exposure_warnings(config)
    assert "everybody who can reach [::]:4317 can use it" in warning


def test_tokens_open_it_and_clear_text_is_warned_of() -> None:
    (warning,) = exposure_warnings(load_config(None, {GRPC: "10.0.0.1:4317", **TOKENS}))
    assert "clear text" in warning


def test_the_sql_port_does_not_count_where_it_is_not_opened() -> None:
    load_config(None, {"SPANLEDGER_SQL__ENDPOINT": "0.0.0.0:8123", "SPANLEDGER_STORE": "clickhouse://h/d"})


def test_health_may_be_reached_by_probes_and_is_warned_of() -> None:
    (warning,) = exposure_warnings(load_config(None, {"SPANLEDGER_TELEMETRY__ENDPOINT": "0.0.0.0:13133"}))
    assert "everybody who can reach 0.0.0.0:13133 can read health and metrics" in warning
