"""One batch to the store: retried while that may help, and what the store will never take set aside by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import Final, Protocol, TypeVar

import structlog
import tenacity

from spanledger_core.clock import Clock
from spanledger_core.errors import StoreRefused, StoreUnavailable
from spanledger_core.metrics import Metrics
from spanledger_core.ratelimit import OncePerKind
from spanledger_core.rows import CallRow
from spanledger_exporter.batches import Tombstone, token_of
from spanledger_exporter.blocks import Block
from spanledger_exporter.booking import RowsUnfit, Stale
from spanledger_exporter.dead_letters import DeadLetter, DeadLetters
from spanledger_exporter.hours import hours_of
from spanledger_exporter.outbox import Outbox

_log = structlog.get_logger(__name__)
_RETRY_MAX_S: Final = 30.0
_REFUSALS_BELIEVED: Final = 3
"""A batch fits its table, so a refusal may come from damage on the way: it must come back this often, in the same words
one after the other, to be believed. Damage has other words each time."""
_REFUSALS_MAX: Final = 12
"""In whatever words."""

_UNREADABLE: Final = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
"""What a letter raises that somebody has edited."""

_Done = TypeVar("_Done")


class Book(Protocol):
    """What a delivery needs of a store."""

    def prepare(self, rows: Sequence[CallRow], tombstones: Sequence[Tombstone], token: str) -> Sequence[Block]:
        """What writes calls and withdraws others."""

    def insert(self, block: Block) -> None:
        """Write a block, once per token."""


class Delivery:
    """Delivers batches one after the other; for one thread."""

    def __init__(
        self,
        store: Book,
        outbox: Outbox,
        dead_letters: DeadLetters,
        clock: Clock,
        *,
        giving_up: Event,
        metrics: Metrics | None,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._dead_letters = dead_letters
        self._giving_up = giving_up
        self._metrics = metrics
        self._log_once = OncePerKind(clock)
        self._refusals: list[str] = []
        self._sequence = 0
        self._fixed: Sequence[Block] | None = None
        """The batch under way, once it is on disk."""
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(StoreUnavailable),
            wait=tenacity.wait_random_exponential(multiplier=0.25, max=_RETRY_MAX_S),
            stop=tenacity.stop_when_event_set(giving_up),
            sleep=tenacity.sleep_using_event(giving_up),
            before_sleep=self._say_retry,
        )
        self.trouble = ""
        """Why the store takes nothing at the moment; empty while it does."""

    def deliver(
        self, rows: Sequence[CallRow], tombstones: Sequence[Tombstone], sequence: int
    ) -> tuple[Sequence[CallRow], Sequence[Tombstone]] | None:
        """Book the changes and set aside what cannot be; what was booked, None if it gave up before it was done.

        With these changes everything up to `sequence` is in the store. What is on disk for that stays until `settled`.
        """
        self._refusals, self._fixed, self._sequence = [], None, sequence
        return self._until_done(self._book_or_set_aside, rows, tombstones)

    def settled(self) -> None:
        """What was delivered is confirmed: nobody would send it again."""
        try:
            self._outbox.clear()
        except OSError as error:
            # sent again it changes nothing, and the next batch takes its place
            self._say_unfixed("a batch that was booked stays in the outbox", error)

    def set_aside(self, reason: str, rows: Sequence[CallRow], tombstones: Sequence[Tombstone]) -> bool:
        """Keep changes that a fault of ours keeps out of the store; False if it gave up before that was done."""
        letter = DeadLetter(reason, None, rows, tombstones)
        return self._until_done(self._set_aside, "fault", letter) is not None

    def book_again(self) -> set[int]:
        """Book what an earlier run set aside: its cause may be mended since. The hours that this touched.

        A letter that is refused again stays, and no letter holds up what comes.
        """
        hours: set[int] = set()
        for path in self._dead_letters.paths():
            if self._giving_up.is_set():
                break  # as below: they are no reason to keep a stop waiting
            try:
                letter = self._dead_letters.read(path)
                for block in self._prepared(letter.rows, letter.tombstones):
                    # an earlier try may have left the token without the rows
                    self._store.insert(block._replace(token=""))
                path.unlink()
            except StoreUnavailable:
                break  # the next start tries again
            except (StoreRefused, OSError, *_UNREADABLE) as error:
                _log.warning("rows stay set aside", file=str(path), reason=str(error))
            else:
                hours |= hours_of(letter.rows, letter.tombstones)
                _log.info("booked what was set aside", rows=len(letter.rows), file=str(path))
        return hours

    def _until_done(self, work: Callable[..., _Done], *arguments: object) -> _Done | None:
        try:
            done = self._retrying(work, *arguments)
        except tenacity.RetryError:
            _log.error("changes not written", error=self.trouble)
            return None
        self.trouble = ""
        return done

    def _book_or_set_aside(
        self, rows: Sequence[CallRow], tombstones: Sequence[Tombstone]
    ) -> tuple[Sequence[CallRow], Sequence[Tombstone]]:
        if not rows and not tombstones:
            return rows, tombstones
        try:
            self._timed(lambda: self._book(rows, tombstones))
        except RowsUnfit as unfit:
            for place, reason in unfit.reasons.items():
                self._set_aside("unfit", DeadLetter(reason, None, [rows[place]], []))
            fit = [row for place, row in enumerate(rows) if place not in unfit.reasons]
            return self._book_or_set_aside(fit, tombstones)
        except StoreRefused as refused:
            if not self._is_believed(refused):
                raise StoreUnavailable(str(refused), refused.code) from refused
            self._set_aside("refused", DeadLetter(str(refused), refused.code, rows, tombstones))
            return [], []
        return rows, tombstones

    def _book(self, rows: Sequence[CallRow], tombstones: Sequence[Tombstone]) -> None:
        if self._fixed is None:
            self._fixed = self._fix(self._prepared(rows, tombstones))
        try:
            for block in self._fixed:
                self._store.insert(block)
        except Stale:
            self._fixed = None
            raise

    def _fix(self, blocks: Sequence[Block]) -> Sequence[Block]:
        """Where the disk does not take them they go without: on a full one it is booking that makes room, and after an
        end in the middle the spool still has their records."""
        try:
            return self._outbox.fix(self._sequence, blocks)
        except OSError as error:
            self._say_unfixed("a batch is booked without being fixed on disk before", error)
            return blocks

    def _prepared(self, rows: Sequence[CallRow], tombstones: Sequence[Tombstone]) -> Sequence[Block]:
        return self._store.prepare(rows, tombstones, token_of(rows, tombstones))

    def _is_believed(self, refused: StoreRefused) -> bool:
        self._refusals.append(str(refused))
        latest = self._refusals[-_REFUSALS_BELIEVED:]
        alike = len(latest) == _REFUSALS_BELIEVED and len(set(latest)) == 1
        return alike or len(self._refusals) >= _REFUSALS_MAX

    def _timed(self, book: Callable[[], None]) -> None:
        if self._metrics is None:
            return book()
        with self._metrics.insert_seconds.time():
            return book()

    def _set_aside(self, kind: str, letter: DeadLetter) -> Path:
        path = self._dead_letters.write(letter)
        self._count(kind)
        quiet = self._log_once.admit(f"{kind} {letter.code}")
        if quiet is not None:
            _log.error("rows set aside", rows=len(letter.rows), reason=letter.reason, file=str(path), suppressed=quiet)
        return path

    def _say_retry(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        self.trouble = str(error)
        self._count("unavailable")
        quiet = self._log_once.admit(f"unavailable {getattr(error, 'code', None)}")
        if quiet is not None:
            _log.warning("the store takes nothing, trying again", error=self.trouble, suppressed=quiet)

    def _say_unfixed(self, event: str, error: OSError) -> None:
        quiet = self._log_once.admit(event)
        if quiet is not None:
            _log.warning(event, error=str(error), suppressed=quiet)

    def _count(self, kind: str) -> None:
        if self._metrics is not None:
            self._metrics.insert_failures.labels(kind).inc()
