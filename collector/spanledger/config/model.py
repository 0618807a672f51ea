"""What an operator can set: every key with its type, default and meaning. The only place where defaults stand.

Frozen; unknown keys are refused; a key left empty in YAML (`grpc:`) means its default. `docs/configuration.md`
and `schemas/config.schema.json` are generated from here.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from spanledger.config.budgets import BudgetLine, unique
from spanledger.config.content import content_fault
from spanledger.config.price_rules import RuleLine
from spanledger.config.secrets import Credential, StoreUrl, readable_file, secret_from_file
from spanledger.config.section import Section, without_empty
from spanledger.config.units import Address, Duration, Endpoint, Size, parse_url, some_time
from spanledger_core.facts import Who

MIB: Final = 1024 * 1024
IDENTITIES: Final = ("agent", *Who._fields)
"""What `attributes` can give more names to."""
Identity = Literal[
    "tenant_id", "customer_id", "team", "user_id", "session_id", "run_id", "workflow", "step", "feature",
    "prompt_version",
]  # fmt: skip


class Tls(Section):
    """TLS of a listener; certificates are PEM files, read again when they change."""

    cert_file: Path
    """Certificate chain of the listener."""
    key_file: Path
    """Its private key."""
    client_ca_file: Path | None = None
    """Authority of client certificates: set it and clients without a valid one are refused (mTLS)."""

    _readable = field_validator("cert_file", "key_file", "client_ca_file")(readable_file)


class Listener(Section):
    """A port that takes connections."""

    endpoint: Endpoint
    """Where to listen."""
    tls: Tls | None = None
    """Serve TLS instead of plain text."""
    insecure: bool = False
    """Allow other machines to connect although neither TLS nor credentials are set. Only for networks you trust."""


class Grpc(Listener):
    """OTLP over gRPC."""

    endpoint: Endpoint = Address("127.0.0.1", 4317)
    """Where to listen."""
    max_recv_msg_size_mib: Annotated[int, Field(ge=1, le=1024)] = 16
    """Largest request, after decompression, in MiB."""


class Http(Listener):
    """OTLP over HTTP (`/v1/traces`; protobuf and JSON)."""

    endpoint: Endpoint = Address("127.0.0.1", 4318)
    """Where to listen."""
    max_request_body_size: Size = 16 * MIB
    """Largest request, after decompression."""


class Protocols(Section):
    """The two transports of OTLP."""

    grpc: Grpc = Grpc()
    """OTLP over gRPC."""
    http: Http = Http()
    """OTLP over HTTP."""


class Token(Credential):
    """A bearer token that senders present (`authorization: Bearer ...`)."""

    kind = "token"
    token: SecretStr | None = None
    """The token itself; better in a file."""
    token_file: Path | None = None
    """File that holds the token; read again when it changes."""
    tenant: str | None = None
    """Stamped as `tenant_id` on everything sent with this token, whatever the spans claim. Without one they may claim
    any."""


class Auth(Section):
    """Who may send."""

    tokens: tuple[Token, ...] = ()
    """Accepted tokens. None configured: everybody who can connect may send."""


class Otlp(Section):
    """The OTLP receiver."""

    protocols: Protocols = Protocols()
    """Where and how it listens."""
    auth: Auth = Auth()
    """Who may send, on both protocols."""


class Receivers(Section):
    """Where spans come in."""

    otlp: Otlp = Otlp()
    """OpenTelemetry protocol."""


class SqlUser(Credential):
    """A user of the SQL endpoint. All of them read only."""

    kind = "password"
    name: Annotated[str, Field(min_length=1)]
    """User name."""
    password: SecretStr | None = None
    """The password itself; better in a file."""
    password_file: Path | None = None
    """File that holds the password; read again when it changes."""
    tenant: str | None = None
    """Sees only the rows of this tenant."""


class Sql(Listener):
    """ClickHouse HTTP over the embedded store. Not opened when the store is a ClickHouse server."""

    endpoint: Endpoint = Address("127.0.0.1", 8123)
    """Where to listen."""
    users: tuple[SqlUser, ...] = ()
    """Who may read. None configured: everybody who can connect."""
    max_execution_time: Annotated[Duration, AfterValidator(some_time)] = timedelta(seconds=60)
    """Longest query."""
    max_memory_usage: Annotated[Size, Field(gt=0)] = 1024 * MIB
    """Most memory of one query."""
    max_result_size: Annotated[Size, Field(gt=0)] = 256 * MIB
    """Largest result of one query."""


class Telemetry(Section):
    """Health and metrics of the collector itself: /healthz, /readyz, /metrics. They hold no names but scopes."""

    endpoint: Endpoint = Address("127.0.0.1", 13133)
    """Where to listen."""


class Log(Section):
    """The collector's own log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe level written."""
    format: Literal["auto", "console", "json"] = "auto"
    """`auto`: console on a terminal, one JSON object a line elsewhere."""


class Prices(Section):
    """Prices beyond the built-in book."""

    files: tuple[Path, ...] = ()
    """Price files (CSV or YAML), the later one wins; read again when they change."""
    fx: dict[str, Annotated[Decimal, Field(gt=0)]] = Field(default={})
    """US dollars per unit of another currency, for files that use it: `{EUR: "1.08"}`."""
    reported: dict[str, Literal["book", "fallback", "reported"]] = Field(default={})
    """Which cost counts where a span states one, by provider or `*`: `book`, `fallback` (theirs where the book has
    none) or `reported`."""
    rules: tuple[RuleLine, ...] = ()
    """What spans do not say about their prices, by provider, model, service or environment; the first that holds
    wins."""


class ClickHouse(Section):
    """How rows reach the store."""

    flush_interval: Duration = timedelta(seconds=3)
    """Longest time a row waits for its insert."""
    flush_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000
    """Rows that trigger an insert before the interval is over."""


class Forward(Section):
    """Send received spans on, enriched with `spanledger.*` attributes."""

    endpoint: Annotated[str, AfterValidator(parse_url)]
    """URL of the next OTLP endpoint, for example http://tempo:4317."""
    protocol: Literal["grpc", "http/protobuf"] = "grpc"
    """How to send."""
    headers: dict[str, SecretStr] = Field(default={})
    """Sent with every request; values may be `${file:/run/secrets/token}`."""
    ca_file: Path | None = None
    """Authority of the other side's certificate, if not a public one."""
    timeout: Duration = timedelta(seconds=10)
    """Longest wait for one answer."""
    queue_size: Size = 64 * MIB
    """Most bytes that wait to be sent; beyond that the oldest are dropped and counted."""

    _readable = field_validator("ca_file")(readable_file)


class Exporters(Section):
    """Where rows and spans go out."""

    clickhouse: ClickHouse = ClickHouse()
    """Rows to the store."""
    otlp: Forward | None = None
    """Spans to another OTLP endpoint; off unless set."""


class Assembly(Section):
    """Traces kept in memory, to find one call's reports and its agent."""

    horizon: Duration = timedelta(hours=1)
    """How long after its last span a trace can still correct rows."""
    max_bytes: Size = 512 * MIB
    """Most memory for traces; the oldest leave first, and are looked up in the store when they come back."""


class SpoolConfig(Section):
    """What was acknowledged and is not yet in the store, and the horizon's facts for a restart."""

    max_bytes: Size = 2048 * MIB
    """Size at which senders are asked to come back later."""
    fsync: bool = True
    """Acknowledge only what would survive a power cut."""


class Config(BaseSettings):
    """The whole configuration of a collector."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        env_prefix="SPANLEDGER_",
        env_nested_delimiter="__",
        hide_input_in_errors=True,
    )

    data_dir: Path = Path("spanledger-data")
    """Where the collector keeps its files: the spool and, embedded, the store."""
    store: StoreUrl = StoreUrl("chdb")
    """`chdb` (in data_dir), `chdb:///abs/dir`, `chdb://memory`, `clickhouse://user:password@host:8123/database`;
    `clickhouses://` for TLS."""
    store_password_file: Path | None = None
    """File that holds the password of the ClickHouse user in `store`."""
    receivers: Receivers = Receivers()
    """Where spans come in."""
    sql: Sql = Sql()
    """ClickHouse HTTP over the embedded store."""
    telemetry: Telemetry = Telemetry()
    """Health and metrics of the collector itself."""
    log: Log = Log()
    """The collector's own log."""
    prices: Prices = Prices()
    """Prices beyond the built-in book."""
    exporters: Exporters = Exporters()
    """Where rows and spans go out."""
    budgets: Annotated[tuple[BudgetLine, ...], AfterValidator(unique)] | None = None
    """What may be spent, by agent, customer, team, model or in total: the table `budgets` holds exactly these lines.
    Left out, the table stays as it is."""
    retention_days: Annotated[int, Field(ge=1, le=36_500)] = 400
    """Rows older than this leave the store; spans older than this, or more than 1 h ahead, are refused by name."""
    attributes: dict[str, tuple[str, ...]] = {}
    """More attribute names to read identities from, by identity: `customer_id: [app.tenant]`."""
    keep_attributes: tuple[str, ...] = ()
    """Attributes kept in the `attributes` map, by name or glob: `[app.*]`. Names that carry content are refused."""
    agent_id_is_key: bool = False
    """Take `gen_ai.agent.id` as the agent; off because several frameworks make it afresh for every run."""
    hash_identifiers: tuple[Identity, ...] = ()
    """Identities of which only a keyed digest is kept: `[user_id]`. Where the configuration names a tenant, a customer
    or a team (tokens, users, budgets), the same digest is meant."""
    hash_key: SecretStr | None = None
    """Key of those digests, 16 to 64 bytes; better in a file."""
    hash_key_file: Path | None = None
    """File that holds the key. Another key makes other digests: keep it."""
    partitioning: Literal["agent", "day"] = "agent"
    """Partitions of the physical table: by day and agent, or by day only."""
    one_cpu: bool = True
    """Keep Python's threads on one CPU (Linux): the interpreter runs one at a time anyway, and its caches stay warm.
    The embedded engine uses all."""
    assembly: Assembly = Assembly()
    """Traces kept in memory."""
    spool: SpoolConfig = SpoolConfig()
    """What was acknowledged and is not yet in the store."""

    _readable = field_validator("store_password_file", "hash_key_file")(readable_file)

    @model_validator(mode="before")
    @classmethod
    def _empty_means_default(cls, value: Any) -> Any:
        return without_empty(value)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is handed in: `load_config` merges file and environment, so that faults can name their source."""
        return (init_settings,)

    @field_validator("attributes")
    @classmethod
    def _known_identities(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        unknown = [name for name in value if name not in IDENTITIES]
        if unknown:
            raise ValueError(f"no identity is called {', '.join(unknown)}; there are {', '.join(IDENTITIES)}")
        return value

    @field_validator("keep_attributes")
    @classmethod
    def _no_content(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        faults = [fault for pattern in value if (fault := content_fault(pattern))]
        if faults:
            raise ValueError("; ".join(faults))
        return value

    @model_validator(mode="after")
    def _hashing_has_a_key(self) -> Config:
        if self.hash_key is not None and self.hash_key_file is not None:
            raise ValueError("hash_key: set hash_key_file or hash_key, not both")
        if self.hash_identifiers and not 16 <= len(self.hash_secret) <= 64:
            raise ValueError("hash_identifiers: needs hash_key_file with a key of 16 to 64 bytes")
        return self

    @property
    def hash_secret(self) -> bytes:
        """The key of `hash_identifiers`, empty where none is set. A secret."""
        if self.hash_key_file is not None:
            return secret_from_file(self.hash_key_file).encode()
        return self.hash_key.get_secret_value().encode() if self.hash_key is not None else b""

    @property
    def store_url(self) -> str:
        """`store` with the password of `store_password_file` put in. A secret: never print it."""
        return self.store.with_password_of(self.store_password_file)
