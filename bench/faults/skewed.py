"""`spanledger serve` with a wrong clock: `python -m bench.faults.skewed FILE`, the file says by how many seconds."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from spanledger import serve
from spanledger.cli.terminal import output
from spanledger.config.load import load_config
from spanledger_core.clock import SystemClock


class SkewedClock(SystemClock):
    """The machine's clock, set wrong while the program runs."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now_ns(self) -> int:
        """What a machine says whose clock was set by hand."""
        return super().now_ns() + int(float(self._file.read_text() or 0) * 1e9)


def main() -> int:
    """As the command does."""
    clock = SkewedClock(Path(sys.argv[1]))
    setattr(serve, "SystemClock", lambda: clock)  # noqa: B010 - the one name the command takes its clock from
    output()
    return serve.run(load_config(None, os.environ))


if __name__ == "__main__":
    sys.exit(main())
