"""What of a request was refused, and what is remarkable about the rest: counted per kind, never per span."""

from __future__ import annotations

from spanledger_core.facts import Note, Refusal
from spanledger_core.refusals import REASONS


class Refused(Exception):
    """One span that cannot be taken. `reason` is one of `spanledger_core.refusals.REASONS`."""

    def __init__(self, reason: str, example: str) -> None:
        assert reason in REASONS
        super().__init__(reason)
        self.reason = reason
        self.example = example


class Ledger:
    """Counts for one request."""

    def __init__(self) -> None:
        self._refused: dict[str, tuple[int, str]] = {}
        self._notes: dict[tuple[str, str], int] = {}

    def refuse(self, refused: Refused) -> None:
        """One more span not taken; the first of a kind is the example."""
        spans, example = self._refused.get(refused.reason, (0, refused.example))
        self._refused[refused.reason] = (spans + 1, example)

    def note(self, kind: str, scope_name: str) -> None:
        """One more span with a quality remark."""
        key = (kind, scope_name)
        self._notes[key] = self._notes.get(key, 0) + 1

    def refusals(self) -> tuple[Refusal, ...]:
        """All refusals of the request."""
        return tuple(Refusal(reason, spans, example) for reason, (spans, example) in self._refused.items())

    def notes(self) -> tuple[Note, ...]:
        """All remarks of the request."""
        return tuple(Note(kind, scope, spans) for (kind, scope), spans in self._notes.items())
