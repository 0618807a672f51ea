"""Which traces were heard of last, and which have left: the order of eviction and the memory of it."""

from __future__ import annotations

from collections import deque
from typing import Final

from spanledger_processor.assembly.state import Trace

_EPOCHS_PER_HORIZON: Final = 128
_BITS_PER_TRACE: Final = 10
_PROBES: Final = 3
_MIX: Final = 0x9E3779B97F4A7C15F39CC0605CEDC835


class Recency:
    """Traces by the epoch of their last span. An epoch is a 128th of the horizon, so a trace stays at most that longer.

    A trace heard of again is entered again in the newest epoch; its older entries are skipped when they come up.
    """

    def __init__(self, horizon_s: float, max_forgotten: int) -> None:
        self.epoch = 0
        self._epoch_s = max(horizon_s / _EPOCHS_PER_HORIZON, 1e-6)
        self._entered: dict[int, deque[Trace]] = {0: deque()}
        self._forgotten = _Forgotten(max_forgotten)

    def advance(self, now_s: float) -> None:
        """Move to the epoch of `now_s`; a clock that goes back is ignored."""
        epoch = int(now_s / self._epoch_s)
        if epoch > self.epoch:
            self.epoch = epoch
            self._entered[epoch] = deque()

    def touch(self, trace: Trace) -> None:
        """Enter a trace in the newest epoch."""
        trace.epoch = self.epoch
        self._entered[self.epoch].append(trace)

    def wait_for(self, trace: Trace, other: Trace) -> None:
        """Let a trace stay as long as another that was heard of later."""
        trace.epoch = other.epoch
        self._entered[other.epoch].append(trace)

    def forget(self, trace: Trace) -> None:
        """A trace has left memory."""
        trace.epoch = -1
        self._forgotten.add(trace.trace_id)

    def was_forgotten(self, trace_id: bytes) -> bool:
        """True if a trace of this id has left memory (rarely true of one that has not)."""
        return trace_id in self._forgotten

    def is_old(self, epoch: int) -> bool:
        """True if a whole horizon has passed since the end of `epoch`."""
        return self.epoch - epoch > _EPOCHS_PER_HORIZON

    def oldest(self) -> Trace | None:
        """The trace heard of least recently. It comes up again until it is forgotten, touched or waits."""
        while True:
            epoch = next(iter(self._entered))
            traces = self._entered[epoch]
            while traces:
                if traces[0].epoch == epoch:
                    return traces[0]
                traces.popleft()
            if epoch == self.epoch:
                return None
            del self._entered[epoch]


class _Forgotten:
    """A Bloom filter over trace ids in two generations: bounded, and wrong only towards one lookup too many.

    About one trace in fifty is wrongly remembered when full; 1.25 MB per million traces and generation.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = max(capacity, 1)
        self._bits = self._capacity * _BITS_PER_TRACE | 1
        self._count = 0
        self._recent = bytearray()
        self._before = bytearray()

    def add(self, trace_id: bytes) -> None:
        if not self._recent or self._count >= self._capacity:
            self._before, self._recent = self._recent, bytearray(self._bits // 8 + 1)
            self._count = 0
        self._count += 1
        recent, bits = self._recent, self._bits
        probe, step = _probe(trace_id)
        for bit in (probe % bits, (probe + step) % bits, (probe + 2 * step) % bits):
            recent[bit >> 3] |= 1 << (bit & 7)

    def __contains__(self, trace_id: bytes) -> bool:
        if not self._recent:
            return False
        probe, step = _probe(trace_id)
        bits = [(probe + number * step) % self._bits for number in range(_PROBES)]
        return any(
            seen and all(seen[bit >> 3] >> (bit & 7) & 1 for bit in bits) for seen in (self._recent, self._before)
        )


def _probe(trace_id: bytes) -> tuple[int, int]:
    """Where to look first, and how far apart. Of the whole id: some tracers leave one half of it constant."""
    mixed = int.from_bytes(trace_id) * _MIX >> 64
    return mixed & 0xFFFFFFFF, mixed >> 32 & 0xFFFFFFFF | 1
