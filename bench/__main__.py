"""`make bench`: every stage against the floor measured in the same run, then a whole collector over a socket.

Figures are CPU (user and system) in microseconds per received span; on a shared machine quote the ratios.
"""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from importlib import metadata
from typing import Any

from bench import end_to_end, stages

IDLE_CODE = (
    "import spanledger.pipeline, spanledger.booking, spanledger.spool.disk, spanledger_receiver.grpc_server, "
    "spanledger_receiver.http_server, spanledger_processor.normalise.normaliser; "
    "from spanledger_processor.pricing.book import load_book; load_book(); "
    "status = open('/proc/self/status').read(); print(int(status.partition('VmRSS:')[2].split()[0]) / 1024)"
)


def versions() -> str:
    """What was measured with."""
    names = ("protobuf", "grpcio", "chdb", "clickhouse-connect")
    return ", ".join([f"Python {platform.python_version()}", *(f"{name} {metadata.version(name)}" for name in names)])


def help_seconds() -> float:
    """The fastest of five runs of `spanledger --help`."""
    times = []
    for _ in range(5):
        started = time.monotonic()
        subprocess.run([sys.executable, "-m", "spanledger", "--help"], check=True, stdout=subprocess.DEVNULL)
        times.append(time.monotonic() - started)
    return min(times)


def tell(what: str, us_per_span: float, floor: float) -> None:
    """A line of the table."""
    print(f"{what:58} {us_per_span:8.2f} us/span {us_per_span / floor:6.1f}x floor", flush=True)


def loaded(what: str, **load: Any) -> end_to_end.Run:
    """A load, told beside the floor just before and after it: what else the machine does changes by the minute."""
    before = stages.floor()
    run = end_to_end.load(**load)
    tell(what, run.us_per_span, (before + stages.floor()) / 2)
    return run


def main() -> None:
    """Print a table."""
    print(f"{versions()}; 512 spans a request, half of them calls with 22 attributes, 60 agents")
    floor = 0.0
    for stage in stages.stages():
        floor = floor or stage.us_per_span
        if stage.us_per_span:
            tell(stage.name, stage.us_per_span, floor)
        else:
            print(stage.name)
    full = loaded("end to end over gRPC, flat out")
    print(f"  {full.spans_per_s:,.0f} spans/s, acknowledged p50 {full.ack_p50_ms:.1f} ms, p99 {full.ack_p99_ms:.1f} ms")
    print(f"  resident: idle {full.idle_mib:.0f} MiB (engine included), after {full.rss_mib:.0f} MiB")
    half = loaded("end to end over gRPC, half load", rate_spans_s=full.spans_per_s / 2)
    print(f"  acknowledged p50 {half.ack_p50_ms:.1f} ms, p99 {half.ack_p99_ms:.1f} ms")
    loaded("from socket to inserted: flat out, no rollups meanwhile", command=end_to_end.WITHOUT_ROLLUPS)
    idle = subprocess.run([sys.executable, "-c", IDLE_CODE], check=True, capture_output=True, text=True).stdout
    print(f"memory of everything but the engine, idle:    {float(idle):8.0f} MiB")
    print(f"spanledger --help:                            {help_seconds():8.2f} s")
    # in a process of its own, for what it keeps in memory
    subprocess.run([sys.executable, "-m", "bench.assembly"], check=False)


if __name__ == "__main__":
    main()
