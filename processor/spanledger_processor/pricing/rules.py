"""The operator's rules: what changes a price though spans do not say it, and which model a deployment is.

A rule holds for the calls that meet all its conditions. What a span or its resource says goes before what a rule sets,
and of two rules the first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple

from spanledger_core.facts import Resource
from spanledger_processor.pricing.lines import glob

MAX_PROCESSES: Final = 20_000
"""Services and environments remembered; their names come from outside, so there is a bound."""


class PriceRule(NamedTuple):
    """Conditions are globs, case as given; an empty one holds always, another one never where a call says nothing."""

    provider: str = ""
    """As in a price line: a provider, a family of them, or a glob."""
    model: str = ""
    """Of the response or the request."""
    service_name: str = ""
    environment: str = ""
    context: tuple[tuple[str, str], ...] = ()
    """What it sets."""
    priced_as: str = ""
    """The model it makes of the call's."""

    def names(self, model: str) -> bool:
        """Is this model written out as the one to map, rather than met by a pattern?"""
        return bool(model) and self.model == model


class PriceRules:
    """Rules in their order.

    Those that hold for a process are a number, a bit each: plans are remembered by it, so names of services, of which
    there are many, do not multiply them.
    """

    def __init__(self, rules: Sequence[PriceRule], line_name: Callable[[str], str]) -> None:
        self._rules = tuple(rule._replace(provider=line_name(rule.provider)) for rule in rules)
        self._processes: dict[tuple[str, str], int] = {}
        self.anywhere = self._held("", "")
        """The rules that ask for no process."""

    def of_process(self, resource: Resource) -> int:
        """The rules whose service and environment this is."""
        process = (resource.service_name, resource.environment)
        held = self._processes.get(process)
        if held is None:
            if len(self._processes) >= MAX_PROCESSES:
                self._processes.clear()
            held = self._processes[process] = self._held(*process)
        return held

    def _held(self, service_name: str, environment: str) -> int:
        return sum(
            1 << place
            for place, rule in enumerate(self._rules)
            if _meets((service_name,), rule.service_name) and _meets((environment,), rule.environment)
        )

    def holding(self, held: int, providers: Collection[str], models: Collection[str]) -> tuple[PriceRule, ...]:
        """Of those that hold for the process, the rules for a call under any of these names, in their order."""
        return tuple(
            rule
            for place, rule in enumerate(self._rules)
            if held >> place & 1 and _meets(providers, rule.provider) and _meets(models, rule.model)
        )


def _meets(names: Collection[str], pattern: str) -> bool:
    return not pattern or any(name == pattern or glob(pattern).match(name) for name in names if name)
