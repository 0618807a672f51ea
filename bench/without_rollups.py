"""`spanledger serve` whose rollups wait until it ends: what receiving, acknowledging and inserting take, no more."""

from __future__ import annotations

import sys
from dataclasses import replace

from spanledger import wiring
from spanledger.__main__ import main
from spanledger.config.model import Config
from spanledger_exporter.writer import WriterSettings

_HOUR_S = 3600.0
_writer_settings = wiring.writer_settings


def patient(config: Config) -> WriterSettings:
    """The settings of the writer, with rollups an hour after a change."""
    return replace(_writer_settings(config), rollup_delay_s=_HOUR_S)


if __name__ == "__main__":
    wiring.writer_settings = patient
    sys.argv = ["spanledger", "serve"]
    main()
