"""What a collector says when it takes spans: how to point an application at it, and how to ask it."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console

from spanledger.config.model import Config
from spanledger_exporter.address import StoreAddress


def say_how_to_use(config: Config, file: Path | None, store: StoreAddress, sql_url: str, console: Console) -> None:
    """`file` is where the configuration was read from; `sql_url` that of the SQL port, which an embedded store has."""
    same = f" --config {shlex.quote(str(file))}" if file is not None else ""

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    protocols = config.receivers.otlp.protocols
    say(f"spanledger takes OTLP on {protocols.grpc.endpoint} (gRPC) and {protocols.http.endpoint} (HTTP)")
    say(f"  store      {store}")
    say(f"  health     http://{config.telemetry.endpoint}/readyz   metrics http://{config.telemetry.endpoint}/metrics")
    say("point an application at it:")
    say(f"  export OTEL_EXPORTER_OTLP_ENDPOINT=http://{protocols.grpc.endpoint}")
    say("and ask:")
    say(f"  spanledger report --by agent --last 1d{same}")
    sql = "SELECT agent_id, model, cost_usd FROM calls ORDER BY timestamp DESC LIMIT 10"
    say(f'  spanledger query "{sql}"{same}')
    if store.kind == "embedded":
        say(f"  curl '{sql_url}/?query=SELECT+agent_id,sum(cost_usd)+FROM+calls+GROUP+BY+1'")
