"""From what the operator set to what the stages take: the only place that knows both."""

from __future__ import annotations

from pathlib import Path

from spanledger.config.access import token_tenants
from spanledger.config.model import Config, Listener
from spanledger.spool.disk import SpoolSettings
from spanledger.sqlport.settings import SqlSettings, SqlUser
from spanledger_exporter.budgets import Budget
from spanledger_exporter.forward_settings import ForwardSettings
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.writer import WriterSettings
from spanledger_processor.assembly.assembler import AssemblySettings
from spanledger_processor.normalise.identities import as_kept
from spanledger_processor.normalise.settings import NormaliserSettings
from spanledger_receiver.settings import GrpcSettings, HttpSettings, TlsSettings

_MIB = 1 << 20
_IDENTITY_OF_SCOPE = {"customer": "customer_id"}
"""Which identity a budget's name is, where the scope is not called the same."""


def _tls(listener: Listener) -> TlsSettings | None:
    tls = listener.tls
    return None if tls is None else TlsSettings(tls.cert_file, tls.key_file, tls.client_ca_file)


def grpc_settings(config: Config) -> GrpcSettings:
    """OTLP/gRPC."""
    grpc = config.receivers.otlp.protocols.grpc
    return GrpcSettings(
        endpoint=str(grpc.endpoint), max_request_bytes=grpc.max_recv_msg_size_mib * _MIB, tls=_tls(grpc)
    )


def http_settings(config: Config) -> HttpSettings:
    """OTLP/HTTP."""
    http = config.receivers.otlp.protocols.http
    return HttpSettings(endpoint=str(http.endpoint), max_request_bytes=http.max_request_body_size, tls=_tls(http))


def tokens(config: Config) -> dict[str, str | None] | None:
    """Bearer tokens and their tenants as they are now; None where none are configured: the door is open.

    Raises `ConfigError` where the files do not say.
    """
    if not config.receivers.otlp.auth.tokens:
        return None
    return {secret: tenant_in_rows(config, tenant) for secret, tenant in token_tenants(config).items()}


def token_files(config: Config) -> tuple[Path, ...]:
    """Where the tokens of `tokens` are read from."""
    return tuple(token.token_file for token in config.receivers.otlp.auth.tokens if token.token_file)


def password_files(config: Config) -> tuple[Path, ...]:
    """Where the passwords of `sql_users` are read from."""
    return tuple(user.password_file for user in config.sql.users if user.password_file)


def certificate_files(config: Config) -> tuple[Path, ...]:
    """What the listeners' TLS is made of."""
    protocols = config.receivers.otlp.protocols
    used = [listener.tls for listener in (protocols.grpc, protocols.http, config.sql) if listener.tls]
    return tuple(path for tls in used for path in (tls.cert_file, tls.key_file, tls.client_ca_file) if path)


def tenant_in_rows(config: Config, tenant: str | None) -> str | None:
    """A tenant that the operator named, as `tenant_id` has it: a digest where `hash_identifiers` wants one."""
    return as_kept("tenant_id", tenant, normaliser_settings(config)) if tenant else tenant


def normaliser_settings(config: Config) -> NormaliserSettings:
    """What to read from spans beyond the built-in names, and what to refuse."""
    return NormaliserSettings(
        attributes=config.attributes,
        keep_attributes=config.keep_attributes,
        retention_days=config.retention_days,
        agent_id_is_key=config.agent_id_is_key,
        hash_identifiers=frozenset(config.hash_identifiers),
        hash_key=config.hash_secret,
        ruled_contexts=frozenset(name for rule in config.prices.rules for name in rule.set),
    )


def budgets(config: Config) -> tuple[Budget, ...] | None:
    """What the table of budgets is to hold; None where it is not for the configuration to say.

    Names are written as rows have them, hashed where those are: a budget by the plain name would never be met.
    """
    if config.budgets is None:
        return None
    kept = normaliser_settings(config)
    return tuple(
        Budget(
            line.scope,
            as_kept(_IDENTITY_OF_SCOPE.get(line.scope, line.scope), line.name, kept) if line.name else "",
            line.period,
            line.amount,
            line.valid_from,
            tenant_in_rows(config, line.tenant) or "",
        )
        for line in config.budgets
    )


def assembly_settings(config: Config) -> AssemblySettings:
    """How long and how much is remembered of traces."""
    assembly = config.assembly
    return AssemblySettings(horizon_s=assembly.horizon.total_seconds(), max_bytes=assembly.max_bytes)


def store_settings(config: Config) -> StoreSettings:
    """How the physical table is laid out."""
    return StoreSettings(partitioning=config.partitioning, retention_days=config.retention_days)


def writer_settings(config: Config) -> WriterSettings:
    """When rows leave for the store."""
    clickhouse = config.exporters.clickhouse
    return WriterSettings(
        dead_letter_dir=config.data_dir / "dead-letters",
        flush_rows=clickhouse.flush_rows,
        flush_interval_s=clickhouse.flush_interval.total_seconds(),
    )


def spool_settings(config: Config) -> SpoolSettings:
    """Bounds of what waits on disk."""
    spool = config.spool
    return SpoolSettings(
        max_bytes=spool.max_bytes, horizon_s=config.assembly.horizon.total_seconds(), fsync=spool.fsync
    )


def sql_users(config: Config, local_user: SqlUser | None) -> tuple[SqlUser, ...]:
    """Who may query, as the password files say now; `local_user` is for commands on this machine.

    Raises `ConfigError` where they do not say.
    """
    users = tuple(SqlUser(user.name, user.secret(), tenant_in_rows(config, user.tenant)) for user in config.sql.users)
    return (*(users or (SqlUser("default"),)), *((local_user,) if local_user else ()))


def sql_settings(config: Config) -> SqlSettings:
    """The SQL port."""
    sql = config.sql
    return SqlSettings(
        endpoint=sql.endpoint,
        max_execution_time_s=sql.max_execution_time.total_seconds(),
        max_memory_bytes=sql.max_memory_usage,
        max_result_bytes=sql.max_result_size,
        tls=_tls(sql),
    )


def forward_settings(config: Config) -> ForwardSettings | None:
    """Where spans go on to; None where they do not."""
    forward = config.exporters.otlp
    if forward is None:
        return None
    return ForwardSettings(
        endpoint=forward.endpoint,
        protocol=forward.protocol,
        headers={name: value.get_secret_value() for name, value in forward.headers.items()},
        ca_file=forward.ca_file,
        timeout_s=forward.timeout.total_seconds(),
        max_queue_bytes=forward.queue_size,
    )


def outbox_dir(config: Config) -> Path:
    """Where the batch under way is fixed."""
    return config.data_dir / "outbox"


def spool_dir(config: Config) -> Path:
    """Where the spool lives."""
    return config.data_dir / "spool"
