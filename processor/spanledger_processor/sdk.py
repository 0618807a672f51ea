"""For applications: say once who makes the calls, and have it on every span from its start.

    provider.add_span_processor(SpanledgerSpanProcessor())

    with spanledger.track(agent="planner", customer="acme", step="draft"):
        ...  # every span started here carries the three, whatever library starts it

Attribution is then settled at the source: no row waits for an ancestor to arrive. Needs only opentelemetry-sdk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final, NamedTuple

from opentelemetry import baggage, context, trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

ATTRIBUTES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "agent": "gen_ai.agent.name",
        "customer": "spanledger.customer_id",
        "step": "spanledger.step",
        "session": "session.id",
        "user": "user.id",
        "team": "spanledger.team",
        "feature": "spanledger.feature",
        "workflow": "spanledger.workflow",
        "run": "spanledger.run_id",
        "prompt_version": "spanledger.prompt_version",
    }
)
"""Name given to `track` -> attribute on the span: the conventions' own where they have one."""

_KEY: Final = context.create_key("spanledger-track")
_BAGGAGE_PREFIX: Final = "spanledger."


class _Tracked(NamedTuple):
    values: Mapping[str, str]
    under: int
    """The span that was current when this was entered: what it started itself is older, what it starts now is newer."""


@contextmanager
def track(
    *,
    agent: str | None = None,
    customer: str | None = None,
    step: str | None = None,
    session: str | None = None,
    user: str | None = None,
    team: str | None = None,
    feature: str | None = None,
    workflow: str | None = None,
    run: str | None = None,
    prompt_version: str | None = None,
    propagate: bool = False,
) -> Iterator[None]:
    """Stamp every span started inside. Nested uses add to and override the outer one; None leaves it as it is.

    With `propagate` the values also travel as W3C baggage to the services called from here: use it only where all of
    them are yours, because baggage is a header on every request.
    """
    given = {
        "agent": agent,
        "customer": customer,
        "step": step,
        "session": session,
        "user": user,
        "team": team,
        "feature": feature,
        "workflow": workflow,
        "run": run,
        "prompt_version": prompt_version,
    }
    values = {name: value for name, value in given.items() if value is not None}
    inherited = _known(context.get_current())
    under = trace.get_current_span().get_span_context().span_id
    active = context.set_value(_KEY, _Tracked(inherited | values, under))
    if propagate:
        for name, value in values.items():
            active = baggage.set_baggage(_BAGGAGE_PREFIX + name, value, active)
    token = context.attach(active)
    try:
        yield
    finally:
        context.detach(token)


class SpanledgerSpanProcessor(SpanProcessor):
    """Copies what `track`, the parent span and baggage say onto every span at its start.

    A span that already names its agent keeps it, and what starts beneath it inherits that name: a framework's
    sub-agent is not renamed by a `track` around the whole run.
    """

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Stamp a span that was just started."""
        current = parent_context if parent_context is not None else context.get_current()
        present = span.attributes or {}
        for name, value in _known(current).items():
            attribute = ATTRIBUTES[name]
            if attribute not in present:
                span.set_attribute(attribute, value)

    def on_end(self, span: ReadableSpan) -> None:
        """Nothing is left to do at the end."""

    def shutdown(self) -> None:
        """Nothing is held."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is buffered."""
        return True


def _known(current: Context) -> dict[str, str]:
    """Baggage, then the enclosing `track`, then the parent span, the nearest last and winning."""
    known = {
        key.removeprefix(_BAGGAGE_PREFIX): str(value)
        for key, value in baggage.get_all(current).items()
        if key.removeprefix(_BAGGAGE_PREFIX) in ATTRIBUTES and key.startswith(_BAGGAGE_PREFIX)
    }
    parent = trace.get_current_span(current)
    inherited = _stamped(parent)
    tracked = context.get_value(_KEY, current)
    if not isinstance(tracked, _Tracked):
        return known | inherited
    if tracked.under == parent.get_span_context().span_id:
        return known | inherited | dict(tracked.values)
    return known | dict(tracked.values) | inherited


def _stamped(parent: trace.Span) -> dict[str, str]:
    """What a local parent span carries; a remote one shows nothing but its ids."""
    attributes = getattr(parent, "attributes", None) or {}
    return {
        name: value for name, attribute in ATTRIBUTES.items() if isinstance(value := attributes.get(attribute), str)
    }
