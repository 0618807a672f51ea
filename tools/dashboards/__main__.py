"""`python -m tools.dashboards` writes grafana/; with --check it only says what would change."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from tools.dashboards.files import generated

GRAFANA: Final = Path(__file__).resolve().parents[2] / "grafana"


def main(arguments: list[str]) -> int:
    """Exit status 1 if --check found a file that is not what would be written."""
    stale = []
    for name, text in generated().items():
        path = GRAFANA / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for name in stale:
        sys.stdout.write(f"{name}\n")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
