"""Secrets come from files, and nothing prints them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from spanledger import wiring
from spanledger.config.load import load_config
from spanledger_core.errors import ConfigError

Write = Callable[[str], Path]
SECRET = "correct-horse/battery@staple"


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    return path


def test_no_print_of_the_configuration_holds_a_secret(yaml_file: Write, secret_file: Path) -> None:
    file = yaml_file(
        f"store: clickhouse://writer:{'p' * 20}@db.internal/ledger\n"
        f"receivers: {{otlp: {{auth: {{tokens: [{{token: '{SECRET}'}}]}}}}}}\n"
        f"sql: {{users: [{{name: grafana, password_file: {secret_file}}}]}}\n"
        f"exporters: {{otlp: {{endpoint: 'http://x:1', headers: {{authorization: '${{file:{secret_file}}}'}}}}}}\n"
    )
    config = load_config(file, {})
    for text in (repr(config), str(config), config.model_dump_json(), str(config.model_dump(mode="json"))):
        assert SECRET not in text
        assert "p" * 20 not in text
    assert config.store_url == f"clickhouse://writer:{'p' * 20}@db.internal/ledger"
    assert "clickhouse://writer:***@db.internal/ledger" in str(config)
    assert config.receivers.otlp.auth.tokens[0].secret() == SECRET
    assert config.sql.users[0].secret() == SECRET
    assert config.exporters.otlp is not None
    assert config.exporters.otlp.headers["authorization"].get_secret_value() == SECRET


def test_a_password_file_is_put_into_the_store_address_and_quoted(secret_file: Path) -> None:
    config = load_config(
        None,
        {"SPANLEDGER_STORE": "clickhouses://w@db:8443/l", "SPANLEDGER_STORE_PASSWORD_FILE": str(secret_file)},
    )
    assert config.store_url == "clickhouses://w:correct-horse%2Fbattery%40staple@db:8443/l"


def test_a_rotated_file_is_read_again(yaml_file: Write, secret_file: Path) -> None:
    config = load_config(yaml_file(f"sql: {{users: [{{name: g, password_file: {secret_file}}}]}}\n"), {})
    secret_file.write_text("new")
    assert config.sql.users[0].secret() == "new"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("sql: {users: [{name: g}]}", "sql.users[0]: set password_file or password, one of them"),
        ("sql: {users: [{name: g, password: ''}]}", "sql.users[0]: the password is empty"),
        ("sql: {users: [{name: g, password_file: /dev/null}]}", "sql.users[0]: the password in /dev/null is empty"),
        (
            "sql: {users: [{name: g, password: a}, {name: g, password: b}]}",
            "sql.users[1].name: repeats that of users[0]",
        ),
        (
            "receivers: {otlp: {auth: {tokens: [{token: a}, {token: a, tenant: acme}]}}}",
            "receivers.otlp.auth.tokens[1]: is the same token as tokens[0], for another tenant",
        ),
        ("sql: {users: [{name: g, password_file: /nowhere}]}", "cannot read /nowhere"),
        ("data_dir: '${file:/nowhere}'", "data_dir: /nowhere of ${file:/nowhere} cannot be read"),
        ("data_dir: '${env:NOWHERE}'", "data_dir: ${env:NOWHERE} is not set in the environment"),
    ],
)
def test_secrets_that_cannot_be_had_are_faults(yaml_file: Write, text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(yaml_file(text), {})
    assert any(fault in each for each in caught.value.faults), caught.value.faults


def test_a_file_that_became_empty_or_went_away_is_no_secret(yaml_file: Write, secret_file: Path) -> None:
    (user,) = load_config(yaml_file(f"sql: {{users: [{{name: g, password_file: {secret_file}}}]}}\n"), {}).sql.users
    secret_file.write_text("\n")
    with pytest.raises(ConfigError, match=f"the password in {secret_file} is empty"):
        user.secret()
    secret_file.unlink()
    with pytest.raises(ConfigError, match=f"cannot read {secret_file}"):
        user.secret()


def test_a_token_that_comes_to_stand_for_two_tenants_is_a_fault_of_the_reload(yaml_file: Write, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("acme", "other")]
    for file in files:
        file.write_text(file.name)
    tokens = ", ".join(f"{{token_file: {file}, tenant: {file.name}}}" for file in files)
    config = load_config(yaml_file(f"receivers: {{otlp: {{auth: {{tokens: [{tokens}]}}}}}}\n"), {})
    assert wiring.tokens(config) == {"acme": "acme", "other": "other"}
    files[1].write_text("acme")
    with pytest.raises(ConfigError, match="for another tenant"):
        wiring.tokens(config)


def test_variables_can_be_named_in_texts(yaml_file: Write) -> None:
    config = load_config(yaml_file("data_dir: '${env:STATE}/ledger'"), {"STATE": "/var/lib"})
    assert config.data_dir == Path("/var/lib/ledger")
