"""Persons whose rows are erased, and what booking must know of them while their calls are still in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

from spanledger_core.calls import Call
from spanledger_core.facts import Fact, Who

_MAX_REMEMBERED: Final = 10_000
Column = Literal["user_id", "customer_id"]


class Person(NamedTuple):
    """A user or a customer, as rows name them."""

    column: Column
    names: Sequence[str]
    """The id, and its digest where ids are kept so."""
    tenants: Sequence[str] = ()
    """Only within this tenant, as given and as its digest; empty: within all."""

    def is_in(self, who: Who) -> bool:
        """Is it this person?"""
        return getattr(who, self.column) in self.names and self._is_within(who.tenant_id)

    def is_behind(self, fact: Fact) -> bool:
        """Does a span, or else the process that sent it, name this person?"""
        process = fact.about.resource.who
        named = getattr(fact.who, self.column) or getattr(process, self.column)
        return named in self.names and self._is_within(fact.who.tenant_id or process.tenant_id)

    def _is_within(self, tenant_id: str | None) -> bool:
        return not self.tenants or tenant_id in self.tenants

    @property
    def parameters(self) -> dict[str, Any]:
        """For the statements `forget_*.sql`."""
        return {
            "names": list(self.names),
            "any_tenant": int(not self.tenants),
            "tenants": list(self.tenants),
            "is_customer": int(self.column == "customer_id"),
        }


class Forgotten:
    """Assembly may still have spans of a forgotten person and book their call again when another span comes.

    Calls that began before the person was forgotten are not booked any more, for as long as assembly remembers spans.
    Call it under the booker's lock.
    """

    def __init__(self, horizon_s: float) -> None:
        self._keep_ns = int(2 * horizon_s * 1e9)
        self._persons: deque[tuple[int, Person]] = deque(maxlen=_MAX_REMEMBERED)

    def add(self, person: Person, now_ns: int) -> None:
        """Forget a person."""
        while self._persons and self._persons[0][0] + self._keep_ns < now_ns:
            self._persons.popleft()
        self._persons.append((now_ns, person))

    def covers(self, call: Call) -> bool:
        """Was this call made by somebody who is forgotten?"""
        return any(call.start_ns <= until_ns and person.is_in(call.who) for until_ns, person in self._persons)

    def __bool__(self) -> bool:
        return bool(self._persons)
