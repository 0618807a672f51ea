"""What is generated, by its place in grafana/."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tools.dashboards import alerts
from tools.dashboards.boards.catalogue import boards


def generated() -> Mapping[str, str]:
    """File name -> contents."""
    made = boards()
    files = {f"dashboards/{board.name}.json": _json(board.build()) for board in made}
    return {**files, "alerts/spanledger.yaml": alerts.render(made)}


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
