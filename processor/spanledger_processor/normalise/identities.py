"""Who a span says it works for: identities from its attributes, merged by precedence."""

from __future__ import annotations

import hashlib
from typing import Final

from spanledger_core.facts import NOBODY, Who
from spanledger_processor.normalise.rulebook import RuleBook
from spanledger_processor.normalise.rules import Rule
from spanledger_processor.normalise.schema import Tables
from spanledger_processor.normalise.settings import IDENTITIES, NormaliserSettings
from spanledger_processor.normalise.text import clean, unquoted
from spanledger_processor.normalise.wire import text_of

_MAX_KNOWN: Final = 8192
_MAX_CLAIMS: Final = 16384
_TENANT: Final = IDENTITIES.index("tenant_id")
_WORKFLOW: Final = IDENTITIES.index("workflow")
_AGENT: Final = len(IDENTITIES)
_new: Final = tuple.__new__

Said = tuple[Rule | bytes | str, ...]
"""Pairs: a rule and its attribute (bytes) or its value (text)."""
Claim = tuple[int, int, str]
"""Which identity (an index into `IDENTITIES`, or `_AGENT`), its rank, and its value; empty: it says nothing."""


class Identities:
    """Turns what spans say into shared `Who` objects; remembers a bounded number of them."""

    def __init__(self, settings: NormaliserSettings, tables: Tables) -> None:
        self._settings = settings
        self._user_prefix = tables.agents.user_prefix
        self._no_values = {field: identity.no_values for field, identity in tables.attributes.identity.items()}
        self._known: dict[tuple[Said, str | None, bool], tuple[Who, str | None]] = {}
        self._claims: dict[tuple[object, object], Claim] = {}

    def of(self, book: RuleBook, said: Said, workflow: str | None, tenant_known: bool) -> tuple[Who, str | None]:
        """The identities, and the agent that a user field names by `agent:NAME`.

        `workflow` is a name found on the way; `tenant_known`: credentials say the tenant, so spans may not.
        """
        key = (said, workflow, tenant_known)
        found = self._known.get(key)
        if found is None:
            found = self.read(book, said, workflow, tenant_known)
            if len(self._known) >= _MAX_KNOWN:
                self._known = {}
            self._known[key] = found
        return found

    def read(self, book: RuleBook, said: Said, workflow: str | None, tenant_known: bool) -> tuple[Who, str | None]:
        """The same, not remembered."""
        best: dict[int, tuple[int, str]] = {}
        for pair in zip(said[::2], said[1::2], strict=True):
            at, rank, text = self._claims.get(pair) or self._claim(book, *pair)
            if text and (at not in best or (rank, text) < best[at]):
                best[at] = (rank, text)
        agent = best.pop(_AGENT, (0, None))[1]
        if tenant_known:
            best.pop(_TENANT, None)
        if workflow:
            best.setdefault(_WORKFLOW, (0, workflow))
        if not best:
            return NOBODY, agent
        values: list[str | None] = [None] * _AGENT
        for at, (_, text) in best.items():
            values[at] = text
        return _new(Who, values), agent

    def _claim(self, book: RuleBook, rule: object, value: object) -> Claim:
        """What one attribute says, remembered: customers and users come back more often than their combinations."""
        assert isinstance(rule, Rule)
        said = text_of(value, value[1] + 2) if isinstance(value, bytes) else value
        text = unquoted(said) if isinstance(said, str) else ""
        at, kept = IDENTITIES.index(rule.field), ""
        if not book.is_no_value(text) and not text.startswith(self._no_values[rule.field]):
            if rule.field == "user_id" and text.startswith(self._user_prefix):
                at, kept = _AGENT, clean(text[len(self._user_prefix) :].strip())
            else:
                kept = self._kept(rule.field, text)
        claim = (at, rule.rank, kept)
        if len(self._claims) >= _MAX_CLAIMS:
            self._claims = {}
        self._claims[rule, value] = claim
        return claim

    def _kept(self, field: str, text: str) -> str:
        return as_kept(field, text, self._settings)


def as_kept(field: str, text: str, settings: NormaliserSettings) -> str:
    """An identity as facts and rows have it: a digest where the operator wants one."""
    if field not in settings.hash_identifiers:
        return clean(text)
    return hashlib.blake2b(text.encode(), key=settings.hash_key[:64], digest_size=12).hexdigest()
