"""Who may send and who may read, told apart: no token stands for two tenants, no name for two users."""

from __future__ import annotations

from spanledger.config.model import Config
from spanledger_core.errors import ConfigError


def token_tenants(config: Config) -> dict[str, str | None]:
    """Every bearer token as its file says now, and its tenant.

    Raises `ConfigError` where one cannot be read, is empty, or stands for two tenants.
    """
    tokens = config.receivers.otlp.auth.tokens
    first: dict[str, int] = {}
    faults = []
    for place, token in enumerate(tokens):
        before = first.setdefault(token.secret(), place)
        if tokens[before].tenant != token.tenant:
            faults.append(
                f"receivers.otlp.auth.tokens[{place}]: is the same token as tokens[{before}], for another tenant; "
                "give each tenant its own"
            )
    if faults:
        raise ConfigError(faults)
    return {secret: tokens[place].tenant for secret, place in first.items()}


def access_faults(config: Config) -> list[str]:
    """Tokens and users of whom nobody could say which is meant."""
    faults: list[str] = []
    try:
        token_tenants(config)
    except ConfigError as error:
        faults += error.faults
    first: dict[str, int] = {}
    for place, user in enumerate(config.sql.users):
        if (before := first.setdefault(user.name, place)) != place:
            faults.append(f"sql.users[{place}].name: repeats that of users[{before}]; give it another name")
    return faults
