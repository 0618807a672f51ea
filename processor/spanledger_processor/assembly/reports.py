"""What a span says about a call, and what its ancestors add to it."""

from __future__ import annotations

from typing import Generic, NamedTuple, Protocol, TypeVar

from spanledger_core.facts import About, Details, Usage, Who


class Report(Protocol):
    """A span with figures: a fact, or the node that holds one."""

    @property
    def trace_id(self) -> bytes: ...  # noqa: D102
    @property
    def span_id(self) -> bytes: ...  # noqa: D102
    @property
    def parent_id(self) -> bytes: ...  # noqa: D102
    @property
    def start_ns(self) -> int: ...  # noqa: D102
    @property
    def end_ns(self) -> int: ...  # noqa: D102
    @property
    def about(self) -> About: ...  # noqa: D102
    @property
    def who(self) -> Who: ...  # noqa: D102
    @property
    def usage(self) -> Usage | None: ...  # noqa: D102
    @property
    def response_id(self) -> str | None: ...  # noqa: D102
    @property
    def details(self) -> Details | None: ...  # noqa: D102


R_co = TypeVar("R_co", bound=Report, covariant=True)


class Context(NamedTuple, Generic[R_co]):
    """What a span has of its own or inherits from its contiguously present ancestors, the nearest value winning."""

    agent: str | None
    by_rule: bool
    """The agent's name comes from an operator rule."""
    placeholder: str | None
    who: Who
    enclosing: tuple[R_co, ...]
    """Call spans with trusted usage above, nearest first, up to the next barrier."""
    muted: tuple[R_co, ...]
    """Call spans without it above, nearest first, up to the next barrier."""
    sums: tuple[R_co, ...]
    """AGENT spans with usage above, nearest first, at any height."""


class Evidence(NamedTuple, Generic[R_co]):
    """One report of a call with what its ancestors and its helpers say."""

    report: R_co
    context: Context[R_co]
    lent: tuple[R_co, ...]
    """Helper spans directly beneath."""
