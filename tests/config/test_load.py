"""Where configuration comes from, and what is said when it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from spanledger import wiring
from spanledger.config.load import load_config
from spanledger.config.model import Config
from spanledger.configured_prices import price_book
from spanledger.forget import person_of
from spanledger_core.errors import ConfigError
from spanledger_processor.normalise.identities import as_kept

Write = Callable[[str], Path]


def faults_of(file: Path | None, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(file, environ or {})
    return list(caught.value.faults)


def _grpc(config: Config) -> str:
    return str(config.receivers.otlp.protocols.grpc.endpoint)


def test_without_anything_the_documented_defaults_are_in_force() -> None:
    config = load_config(None, {})
    protocols = config.receivers.otlp.protocols
    assert str(config.data_dir) == "spanledger-data"
    assert config.store_url == "chdb"
    assert (str(protocols.grpc.endpoint), str(protocols.http.endpoint)) == ("127.0.0.1:4317", "127.0.0.1:4318")
    assert (str(config.sql.endpoint), str(config.telemetry.endpoint)) == ("127.0.0.1:8123", "127.0.0.1:13133")
    assert config.exporters.clickhouse.flush_interval == timedelta(seconds=3)
    assert config.exporters.clickhouse.flush_rows == 20_000
    assert config.exporters.otlp is None
    assert config.retention_days == 400


def test_the_environment_wins_over_the_file_and_the_file_over_the_defaults(yaml_file: Write) -> None:
    file = yaml_file("retention_days: 30\nsql: {endpoint: '127.0.0.1:1', max_execution_time: 5s}\n")
    config = load_config(file, {"SPANLEDGER_SQL__ENDPOINT": "127.0.0.1:2"})
    assert config.retention_days == 30
    assert str(config.sql.endpoint) == "127.0.0.1:2"
    assert config.sql.max_execution_time == timedelta(seconds=5)


@pytest.mark.parametrize(
    ("variable", "value", "read"),
    [
        ("SPANLEDGER_STORE", "chdb://memory", lambda c: c.store_url),
        ("SPANLEDGER_SPOOL__FSYNC", "false", lambda c: str(c.spool.fsync).lower()),
        ("SPANLEDGER_EXPORTERS__OTLP__ENDPOINT", "http://tempo:4317", lambda c: c.exporters.otlp.endpoint),
        ("SPANLEDGER_EXPORTERS__CLICKHOUSE__FLUSH_ROWS", "7", lambda c: str(c.exporters.clickhouse.flush_rows)),
        ("SPANLEDGER_RECEIVERS__OTLP__PROTOCOLS__GRPC__ENDPOINT", "[::1]:5", _grpc),
    ],
)
def test_every_depth_of_key_has_its_variable(variable: str, value: str, read: Callable[[Config], str]) -> None:
    assert read(load_config(None, {variable: value})) == value


def test_lists_and_mappings_in_variables_are_yaml_or_json() -> None:
    config = load_config(
        None,
        {
            "SPANLEDGER_PRICES__FILES": "[a.csv, b.yaml]",
            "SPANLEDGER_ATTRIBUTES__CUSTOMER_ID": '["app.tenant"]',
            "SPANLEDGER_KEEP_ATTRIBUTES": "[app.*]",
        },
    )
    assert config.prices.files == (Path("a.csv"), Path("b.yaml"))
    assert config.attributes == {"customer_id": ("app.tenant",)}
    assert config.keep_attributes == ("app.*",)


def test_a_key_left_empty_means_its_default(yaml_file: Write) -> None:
    file = yaml_file("receivers:\n  otlp:\n    protocols:\n      grpc:\n      http:\nattributes:\nretention_days:\n")
    assert load_config(file, {}) == Config()


def test_an_empty_file_is_all_defaults(yaml_file: Write) -> None:
    assert load_config(yaml_file("# nothing yet\n"), {}) == Config()


def test_the_configuration_is_frozen() -> None:
    config = load_config(None, {})
    with pytest.raises(ValidationError, match="frozen"):
        config.retention_days = 1  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        config.sql.insecure = True  # type: ignore[misc]


def test_all_faults_are_told_at_once_with_line_and_remedy(yaml_file: Write) -> None:
    file = yaml_file(
        "recievers: {}\n"
        "receivers:\n"
        "  otlp:\n"
        "    protocols:\n"
        "      grpc: {endpont: 127.0.0.1:4317}\n"
        "exporters: {clickhouse: {flush_interval: 3}}\n"
    )
    assert faults_of(file, {"SPANLEDGER_SQL__ENDPONT": "1"}) == [
        "SPANLEDGER_SQL__ENDPONT: unknown key; did you mean SPANLEDGER_SQL__ENDPOINT?",
        f"{file}:1: recievers: unknown key; did you mean receivers?",
        f"{file}:5: receivers.otlp.protocols.grpc.endpont: unknown key; "
        "did you mean receivers.otlp.protocols.grpc.endpoint?",
        f"{file}:6: exporters.clickhouse.flush_interval: write a duration with its unit: 500ms, 3s, 5m, 1h30m, 7d",
    ]


def test_a_key_in_the_wrong_place_is_sent_to_the_right_one(yaml_file: Write) -> None:
    (fault,) = faults_of(yaml_file("grpc: {endpoint: 127.0.0.1:4317}\n"))
    assert fault.endswith(":1: grpc: unknown key here; did you mean receivers.otlp.protocols.grpc?")


def test_a_key_like_none_lists_what_there_is(yaml_file: Write) -> None:
    (fault,) = faults_of(yaml_file("telemetry: {zzz: 1}\n"))
    assert fault.endswith("telemetry.zzz: unknown key; known here: endpoint")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: [1,\n", "not valid YAML"),
        ("- a\n- b\n", "must be a mapping of keys"),
        ("retention_days: 3\nretention_days: 4\n", ":2: retention_days: given twice, first on line 1"),
        ("retention_days: 0\n", "must be greater than or equal to 1"),
        ("retention_days: often\n", "must be a valid integer"),
        ("partitioning: month\n", "must be 'agent' or 'day'"),
        ("sql: {endpoint: 0.0.0.0}\n", "write host:port"),
        ("sql: {endpoint: 'localhost:99999'}\n", "write host:port"),
        ("spool: {max_bytes: 3 potatoes}\n", "write a size with its unit"),
        ("store: mysql://user:hunter2@host/db\n", "unknown kind of address; it is one of chdb"),
        ("store: chdb://relative\n", "chdb:// takes an absolute directory"),
        ("store: 'clickhouse://user:hunter2@[host/db'\n", "the address cannot be read"),
        ("store: [a]\n", "must be text"),
        ("prices: {files: a.csv}\n", "must be a list, for example [a, b]"),
        ("attributes: {customer: [x]}\n", "no identity is called customer"),
        ("exporters: {otlp: {}}\n", "exporters.otlp.endpoint: must be set"),
        ("exporters: {otlp: {endpoint: 'tempo:4317'}}\n", "exporters.otlp.endpoint: write http://host:4317"),
        ("exporters: {otlp: {endpoint: 'http://user:hunter2@tempo:4317'}}\n", "credentials belong in headers"),
        ("1: 2\n", "1: unknown key"),
        ("sql: {tls: {cert_file: /nowhere.pem, key_file: /nowhere.key}}\n", "cannot read /nowhere.pem"),
    ],
)
def test_wrong_values_are_named(yaml_file: Write, text: str, fault: str) -> None:
    found = faults_of(yaml_file(text))
    assert any(fault in each for each in found), found
    assert not any("hunter2" in each for each in found)


def test_a_missing_file_is_a_configuration_fault(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path / "nowhere.yaml")
    assert "cannot be read: No such file" in fault


@pytest.mark.parametrize(
    "name",
    [
        "SPANLEDGER_SERVICE_HOST",
        "SPANLEDGER_SERVICE_PORT_OTLP_GRPC",
        "SPANLEDGER_PORT",
        "SPANLEDGER_PORT_4317_TCP",
        "SPANLEDGER_PORT_4317_TCP_ADDR",
        "SPANLEDGER_SQL_SERVICE_HOST",
        "SPANLEDGER_SQL_PORT_8123_TCP_PROTO",
        "SPANLEDGER_CONFIG",
        "SPANLEDGER_TEST_CLICKHOUSE",
    ],
)
def test_variables_that_clusters_set_for_a_service_do_not_stop_the_collector(name: str) -> None:
    assert load_config(None, {name: "tcp://10.0.0.1:4317"}) == Config()


def test_a_variable_without_double_underscore_is_caught() -> None:
    (fault,) = faults_of(None, {"SPANLEDGER_SQL_ENDPOINT": "127.0.0.1:1"})
    assert fault == "SPANLEDGER_SQL_ENDPOINT: unknown key; did you mean SPANLEDGER_SQL__ENDPOINT?"


@pytest.mark.parametrize(
    "pattern", ["*", "gen_ai.*", "gen_ai.prompt", "INPUT.value", "llm.*_messages.0.*", "*content*"]
)
def test_patterns_that_could_keep_content_are_refused(yaml_file: Write, pattern: str) -> None:
    (fault,) = faults_of(yaml_file(f"keep_attributes: ['{pattern}']\n"))
    assert "carries content" in fault


@pytest.mark.parametrize(
    ("pattern", "said"), [("gen_ai.promp[t]", "only * is understood"), ("app.prompt", "never kept")]
)
def test_no_other_way_to_content(yaml_file: Write, pattern: str, said: str) -> None:
    (fault,) = faults_of(yaml_file(f"keep_attributes: ['{pattern}']\n"))
    assert said in fault


@pytest.mark.parametrize("pattern", ["app.*", "deployment.id", "gen_ai.agent.id", "gen_ai.request.temperature"])
def test_harmless_patterns_are_kept(yaml_file: Write, pattern: str) -> None:
    assert load_config(yaml_file(f"keep_attributes: ['{pattern}']\n"), {}).keep_attributes == (pattern,)


def test_budgets_are_exact_and_in_utc(yaml_file: Write) -> None:
    config = load_config(
        yaml_file(
            "budgets:\n"
            "  - {scope: agent, name: planner, period: day, amount: 0.1}\n"
            "  - {scope: total, period: week, amount: '1e3', valid_from: 2026-03-01, tenant: acme}\n"
        ),
        {},
    )
    assert config.budgets is not None
    planner, total = config.budgets
    assert (planner.amount, str(planner.valid_from)) == (Decimal("0.1"), "1970-01-01 00:00:00+00:00")
    assert (total.amount, str(total.valid_from), total.tenant) == (1000, "2026-03-01 00:00:00+00:00", "acme")
    assert load_config(None, {}).budgets is None


def test_no_fraction_passes_through_a_float(yaml_file: Write) -> None:
    line = "{scope: total, period: month, amount: 12345678901234567.123456789012}"
    amount = Decimal("12345678901234567.123456789012")
    from_file = load_config(yaml_file(f"budgets: [{line}]\nprices: {{fx: {{EUR: 1.08320000000000000001}}}}\n"), {})
    from_environment = load_config(None, {"SPANLEDGER_BUDGETS": f"[{line}]"})
    for config in (from_file, from_environment):
        assert config.budgets is not None
        assert [budget.amount for budget in config.budgets] == [amount]
    assert from_file.prices.fx == {"EUR": Decimal("1.08320000000000000001")}


@pytest.mark.parametrize("written", [".inf", ".nan", "1.5e+400", "-.inf"])
def test_a_fraction_beyond_sense_is_refused_by_name(yaml_file: Write, written: str) -> None:
    faults = faults_of(yaml_file(f"budgets: [{{scope: total, period: day, amount: {written}}}]\n"))
    assert any("budgets[0]" in fault for fault in faults), faults


def test_budgets_are_named_as_rows_name_whom_they_are_of(yaml_file: Write, tmp_path: Path) -> None:
    """Where customers are digests in rows, a budget by the plain name would be met by nobody, and would tell it."""
    key = tmp_path / "key"
    key.write_text("0123456789abcdef")
    config = load_config(
        yaml_file(
            "budgets:\n"
            "  - {scope: customer, name: acme, period: day, amount: 1, tenant: north}\n"
            "  - {scope: team, name: search, period: day, amount: 1}\n"
            "  - {scope: agent, name: acme, period: day, amount: 1}\n"
            "  - {scope: total, period: day, amount: 1}\n"
            "hash_identifiers: [customer_id, tenant_id]\n"
            f"hash_key_file: {key}\n"
        ),
        {},
    )
    settings = wiring.normaliser_settings(config)
    budgets = wiring.budgets(config)
    assert budgets is not None
    assert [(budget.name, budget.tenant_id) for budget in budgets] == [
        (as_kept("customer_id", "acme", settings), as_kept("tenant_id", "north", settings)),
        ("search", ""),
        ("acme", ""),
        ("", ""),
    ]
    assert "acme" not in budgets[0].name


def test_a_tenant_is_the_same_digest_wherever_the_operator_names_it(yaml_file: Write, tmp_path: Path) -> None:
    """Rows of a token, what a user may see and what spans claim would else never meet."""
    for name in ("key", "token", "password"):
        (tmp_path / name).write_text("0123456789abcdef")
    config = load_config(
        yaml_file(
            "hash_identifiers: [tenant_id]\n"
            f"hash_key_file: {tmp_path / 'key'}\n"
            f"receivers: {{otlp: {{auth: {{tokens: [{{token_file: {tmp_path / 'token'}, tenant: north}}]}}}}}}\n"
            f"sql: {{users: [{{name: reader, password_file: {tmp_path / 'password'}, tenant: north}}]}}\n"
        ),
        {},
    )
    digest = as_kept("tenant_id", "north", wiring.normaliser_settings(config))
    assert digest != "north"
    assert list((wiring.tokens(config) or {}).values()) == [digest]
    assert [user.tenant for user in wiring.sql_users(config, None)] == [digest]
    assert person_of(config, "user_id", "alice", "north").tenants == [digest, "north"]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{scope: agent, period: day, amount: 1}", "leave it out for total"),
        ("{scope: total, name: x, period: day, amount: 1}", "leave it out for total"),
        ("{scope: total, period: day, amount: -1}", "greater than or equal to 0"),
        ("{scope: total, period: year, amount: 1}", "'day', 'week' or 'month'"),
        ("{scope: total, period: day, amount: 0.0000000000001}", "decimal places"),
        ("{scope: total, period: day, amount: 1, valid_from: 1969-01-01}", "between 1970 and 2105"),
        ("{scope: total, period: day, amont: 1}", "amont"),
    ],
)
def test_a_budget_that_cannot_be_is_named(yaml_file: Write, line: str, fault: str) -> None:
    faults = faults_of(yaml_file(f"budgets:\n  - {line}\n"))
    assert any("budgets[0]" in each and fault in each for each in faults), faults


def test_two_lines_of_one_budget_need_different_instants(yaml_file: Write) -> None:
    line = "{scope: total, period: day, amount: 1}"
    assert "line 1 repeats line 0" in faults_of(yaml_file(f"budgets: [{line}, {line}]"))[0]


@pytest.mark.parametrize("key", ["max_execution_time: 0s", "max_memory_usage: 0", "max_result_size: 0MiB"])
def test_no_limit_of_the_sql_port_is_nothing(yaml_file: Write, key: str) -> None:
    """The engine takes 0 for no limit."""
    with pytest.raises(ConfigError, match=rf"sql\.{key.partition(':')[0]}: .*greater than 0"):
        load_config(yaml_file(f"sql: {{{key}}}\n"), {})


def test_rules_about_prices_are_read_and_shown_by_their_names(yaml_file: Write) -> None:
    file = yaml_file(
        "prices:\n  rules:\n    - {service_name: 'batch-*', set: {batch: true}}\n    - {model: a, as: b}\n"
    )
    batch, mapped = load_config(file, {}).prices.rules
    assert (batch.service_name, batch.set, mapped.model, mapped.priced_as) == ("batch-*", {"batch": "true"}, "a", "b")
    assert mapped.model_dump(exclude_defaults=True) == {"model": "a", "as": "b"}
    assert price_book(load_config(file, {})).plan_of("openai", "a").model == "b"


def test_what_a_rule_sets_is_spelled_as_contexts_are(yaml_file: Write) -> None:
    """Price lines take `Batch=true` for `batch=true`; a rule that kept its capital would set what no line asks for."""
    file = yaml_file("prices: {rules: [{provider: openai, set: {Batch: true, ' Service_Tier': flex}}]}\n")
    assert load_config(file, {}).prices.rules[0].set == {"batch": "true", "service_tier": "flex"}


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ("{set: {batch: true}}", "needs a condition: provider, model, service_name, environment"),
        ("{provider: openai}", "needs an effect: set or as"),
        ("{provider: openai, priced_as: gpt-4o}", "unknown key"),
        ("{provider: openai, sets: {batch: true}}", "did you mean prices.rules[0].set?"),
        ("{provider: openai, set: {batch: ''}}", "should have at least 1 character"),
        ("{provider: openai, set: {batch: [1]}}", "must be a valid string"),
    ],
)
def test_a_rule_without_condition_or_effect_is_refused_with_its_place(yaml_file: Write, rule: str, fault: str) -> None:
    file = yaml_file(f"prices:\n  rules:\n    - {rule}\n")
    (told,) = faults_of(file)
    assert told.startswith(f"{file}:3: prices.rules[0]")
    assert fault in told
