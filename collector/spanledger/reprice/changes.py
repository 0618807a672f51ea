"""What a new book changes, summed by model and agent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, Final

from spanledger.reprice.recall import AT
from spanledger_core.rows import CallRow

MAX_GROUPS: Final = 10_000
"""Names come from outside; beyond this many pairs of model and agent the rest is one line."""
OTHERS: Final = ("(others)", "(others)")


@dataclass(slots=True)
class Group:
    """The changed calls of one model and agent. Amounts are integer picodollars; unknown ones add nothing."""

    calls: int = 0
    old: int = 0
    new: int = 0
    old_unknown: int = 0
    """Calls whose cost was not known."""
    new_unknown: int = 0

    def add(self, other: Group) -> None:
        """Both together."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Changes:
    """The sums of everything that changed, and how much was looked at."""

    def __init__(self) -> None:
        self.looked_at = 0
        self.provisional = 0
        """Changed calls left alone because somebody else may be about to correct them."""
        self._groups: dict[tuple[str, str], Group] = {}

    def add(self, pairs: Iterable[tuple[CallRow, CallRow]]) -> None:
        """Rows as they are and as they become."""
        for old, new in pairs:
            self._group(_model(new), new[AT["agent_id"]]).add(_of(old[AT["cost_usd"]], new[AT["cost_usd"]]))

    def _group(self, model: str, agent: str) -> Group:
        key = (model, agent)
        if key not in self._groups and len(self._groups) >= MAX_GROUPS:
            key = OTHERS
        return self._groups.setdefault(key, Group())

    @property
    def total(self) -> Group:
        """All of it."""
        total = Group()
        for group in self._groups.values():
            total.add(group)
        return total

    def groups(self) -> list[tuple[str, str, Group]]:
        """Model, agent and sums, the largest difference first."""
        found = [(model, agent, group) for (model, agent), group in self._groups.items()]
        return sorted(found, key=lambda each: (-abs(each[2].new - each[2].old), each[0], each[1]))

    def as_json(self) -> dict[str, Any]:
        """For the wire: amounts as text, which no reader takes for a float."""
        return {
            "looked_at": self.looked_at,
            "provisional": self.provisional,
            "groups": [[model, agent, *map(str, astuple(group))] for model, agent, group in self.groups()],
        }

    @classmethod
    def of_json(cls, said: Mapping[str, Any]) -> Changes:
        """What `as_json` made."""
        changes = cls()
        changes.looked_at = said["looked_at"]
        changes.provisional = said["provisional"]
        groups: Sequence[Sequence[str]] = said["groups"]
        changes._groups = {(model, agent): Group(*map(int, sums)) for model, agent, *sums in groups}
        return changes


def _of(old: int | None, new: int | None) -> Group:
    return Group(1, old or 0, new or 0, old is None, new is None)


def _model(row: CallRow) -> str:
    return str(row[AT["model"]] or row[AT["response_model"]] or row[AT["request_model"]])
