"""Who may send, and for which tenant: bearer tokens, replaceable while the servers run."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

from spanledger_core.errors import Unauthenticated

_SCHEME: Final = "bearer"


class TokenTable:
    """Bearer tokens and the tenant each stands for (None: allowed, no tenant). Immutable; holds digests only.

    Looking up a digest that is keyed with a secret of this process takes a time that a guesser cannot relate to the
    token (constant-time comparison by double hashing), whatever the number of tenants, and a dump of the table tells
    nothing.
    """

    __slots__ = ("_key", "_tenants")

    def __init__(self, tokens: Mapping[str, str | None]) -> None:
        self._key = secrets.token_bytes(32)
        self._tenants = {self._digest(token): tenant for token, tenant in tokens.items()}

    def tenant_of(self, token: str) -> str | None:
        """The tenant a token stands for. Raises `Unauthenticated` for a token that is not in the table."""
        try:
            return self._tenants[self._digest(token)]
        except KeyError:
            raise Unauthenticated("the bearer token is not known here") from None

    def _digest(self, token: str) -> bytes:
        return blake2b(token.encode("utf-8", "surrogateescape"), key=self._key, digest_size=32).digest()


class Access:
    """The door both servers share. `Access(None)` lets everybody in; `replace` takes effect with the next request."""

    def __init__(self, tokens: Mapping[str, str | None] | None = None) -> None:
        self.replace(tokens)

    def replace(self, tokens: Mapping[str, str | None] | None) -> None:
        """Put another set of tokens in force. None opens the door, an empty mapping closes it."""
        self._table = None if tokens is None else TokenTable(tokens)

    def tenant_of(self, authorization: str | None) -> str | None:
        """The tenant behind an `Authorization` header. Raises `Unauthenticated`; never repeats what was sent."""
        table = self._table
        if table is None:
            return None
        if not authorization:
            raise Unauthenticated("this receiver wants a bearer token: set the header `authorization: Bearer <token>`")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != _SCHEME or not token.strip():
            raise Unauthenticated("the authorization header is not of the form `Bearer <token>`")
        return table.tenant_of(token.strip())
