"""`python -m bench.assembly`: assembly at 5,000 spans a second whose agents are named five minutes late.

Eight spans a trace: an agent, a tool, two calls with a response id, four plain ones; the agent's own span, the only one
that names it, comes when the run ends, 300 seconds after its beginning. Five minutes of such traffic, in the middle of
it: as many traces begin as end. Time is simulated, the spans are taken as fast as can be. The best of three runs.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from hashlib import blake2b
from multiprocessing import get_context
from pathlib import Path
from time import process_time
from typing import Final, NamedTuple

from spanledger_core.facts import NOBODY, About, Fact, Resource, SpanClass, Usage, Who
from spanledger_processor.assembly.assembler import Assembler, AssemblySettings

SPANS_PER_S: Final = 5000
SECONDS: Final = 300
RUNS: Final = 3
AGENT_S: Final = 300
BATCH: Final = 512
NOW_NS: Final = 1_790_000_000_000_000_000
_TRACES_PER_S: Final = SPANS_PER_S // 8
_MODELS: Final = 8
_AGENTS: Final = 60
_RESOURCES: Final = [Resource(f"process-{n}", "assistant", "prod", NOBODY) for n in range(4)]


class Place(NamedTuple):
    """A span of the trace: its parent, what it is, and when it comes, in parts of the run."""

    number: int
    parent: int | None
    what: str
    comes: float


_TREE: Final = (
    Place(3, 2, "plain", 0.20),
    Place(2, 1, "call", 0.20),
    Place(5, 4, "plain", 0.45),
    Place(4, 1, "tool", 0.50),
    Place(7, 6, "plain", 0.90),
    Place(6, 1, "call", 0.90),
    Place(1, 0, "agent", 1.00),
    Place(0, None, "plain", 1.00),
)


def _about(span_class: SpanClass, reporter: str, process: int, agent: str | None = None, model: str = "") -> About:
    return About(
        span_class, _RESOURCES[process], reporter, "1", "genai", reporter, 1, 0, False, "chat",
        "openai" if model else "", model, model, model, agent, None, None, False, False, "", False, None,
        "stop" if model else "", "", (),
    )  # fmt: skip


_PLAIN: Final = [_about(SpanClass.OTHER, "http", process) for process in range(4)]
_TOOLS: Final = [_about(SpanClass.TOOL, "framework", process) for process in range(4)]
_CALLS: Final = [_about(SpanClass.LLM, "client", n % 4, model=f"model-{n // 4}") for n in range(4 * _MODELS)]
_NAMED: Final = [_about(SpanClass.AGENT, "framework", n % 4, agent=f"agent-{n // 4:02d}") for n in range(4 * _AGENTS)]


def _fact(run: int, place: Place) -> Fact:
    """A span of the run of this number; every value of its own as new as decoding makes it."""
    ids = blake2b(run.to_bytes(8), digest_size=64).digest()
    process, amount = run % 4, 300 + ids[place.number] * 40
    begun_ns = NOW_NS + run * 10**9 // _TRACES_PER_S
    start_ns = begun_ns + int(place.comes * AGENT_S * 1e9) - amount * 1_000_000
    about, who, usage, response_id = _PLAIN[process], NOBODY, None, None
    if place.what == "call":
        about = _CALLS[4 * (ids[0] % _MODELS) + process]
        usage = Usage(amount, amount // 4)
        response_id = f"chatcmpl-{ids[place.number * 8 : place.number * 8 + 8].hex()}"
    elif place.what == "agent":
        about, who, start_ns = _NAMED[4 * (ids[0] % _AGENTS) + process], Who(session_id=f"session-{run}"), begun_ns
    elif place.what == "tool":
        about = _TOOLS[process]
    span_id = ids[place.number * 8 : place.number * 8 + 8]
    parent_id = ids[place.parent * 8 : place.parent * 8 + 8] if place.parent is not None else b""
    trace_id = blake2b(ids, digest_size=16).digest()
    return Fact(
        trace_id, span_id, parent_id, start_ns, start_ns + amount * 1_000_000, about, who, usage, response_id, None
    )


def batches(seconds: int = SECONDS) -> Iterator[list[Fact]]:
    """What arrives, in requests of 512 spans: of each place in the tree the span of the run that has come so far."""
    late = [int(place.comes * AGENT_S * _TRACES_PER_S) for place in _TREE]
    batch: list[Fact] = []
    for run in range(AGENT_S * _TRACES_PER_S, (AGENT_S + seconds) * _TRACES_PER_S):
        batch += [_fact(run - behind, place) for behind, place in zip(late, _TREE, strict=True)]
        if len(batch) >= BATCH:
            yield batch
            batch = []
    yield batch


def resident_bytes() -> int:
    """Memory of this process."""
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]) * 1024


class Figures(NamedTuple):
    """What was measured."""

    spans: int
    us_per_span: float
    worst_ms: float
    rows_per_call: float
    counted_bytes: int
    resident_bytes: int
    evicted: int


def measured(seconds: int = SECONDS) -> Figures:
    """CPU of assembly alone, and what it keeps. Like the collector, without full collections of garbage."""
    gc.collect()
    gc.freeze()
    gc.disable()
    assembler = Assembler(AssemblySettings())
    spans = calls = 0
    total = worst = 0.0
    before = resident_bytes()
    for number, batch in enumerate(batches(seconds)):
        started = process_time()
        assembler.add(batch, number * BATCH / SPANS_PER_S)
        spent = process_time() - started
        total, worst = total + spent, max(worst, spent)
        spans += len(batch)
        calls += sum(fact.usage is not None for fact in batch)
    return Figures(
        spans, total / spans * 1e6, worst * 1e3, assembler.stats["puts"] / calls,
        assembler.bytes, resident_bytes() - before, assembler.stats["evicted_spans"],
    )  # fmt: skip


def main() -> int:
    """Exit status 0 when every bar holds."""
    # each in a process of its own: what a run keeps would slow the next one down
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as runs:
        seen = min(runs.map(measured, [SECONDS] * RUNS), key=lambda run: run.us_per_span)
    bars = (
        ("CPU of assembly", seen.us_per_span, "us/span", 6),
        (f"worst request of {BATCH} spans", seen.worst_ms, "ms", 50),
        ("kept, as counted against the budget", seen.counted_bytes / 2**20, "MiB", 1024),
        ("evicted", float(seen.evicted), "spans", 0),
    )
    print(f"assembly of {seen.spans:,} spans in {SECONDS} s, agents named {AGENT_S} s late:")
    for what, value, unit, bar in bars:
        print(f"{'ok  ' if value <= bar else 'FAIL'} {what:40} {value:8.2f} {unit}, at most {bar}")
    counted, resident = seen.counted_bytes / seen.spans, seen.resident_bytes / seen.spans
    print(f"     bytes a span: {counted:.0f} counted, {resident:.0f} resident")
    print(f"     rows a call: {seen.rows_per_call:.2f}")
    return int(any(value > bar for _, value, _, bar in bars))


if __name__ == "__main__":
    sys.exit(main())
