"""`python -m tools.pictures [BOARD...]` draws the dashboards into docs/images.

Needs npm and Chromium (Debian: `apt install npm chromium fonts-inter`). The packages of package.json and everything
made on the way go to a folder beside the temporary files, or to --work FOLDER.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from spanledger_core.clock import ManualClock
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.budgets import replace_budgets
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import open_store
from tools.dashboards.asking import Grafana
from tools.dashboards.fleet import NOW, fill, micros
from tools.pictures.payload import BOARDS, STARTS, payload
from tools.pictures.showcase import BUDGETS, Showcase

HERE: Final = Path(__file__).parent
IMAGES: Final = HERE.parents[1] / "docs" / "images"
WIDTH: Final = 1280
PICKS: Final = {
    "agent": {"agent": "researcher"},
    "model": {"what_if": "gpt-4o-mini"},
    "budgets": {"budget": "total each month"},
}
LIGHT: Final = ("overview",)
"""Boards drawn on light ground, too."""


def main(arguments: list[str]) -> int:
    """Draw the boards named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tools.pictures")
    parser.add_argument("boards", nargs="*", default=list(STARTS))
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "spanledger-pictures")
    chosen = parser.parse_args(arguments)
    chosen.work.mkdir(parents=True, exist_ok=True)
    _bundle(chosen.work)
    _payloads(chosen.work, chosen.boards)
    IMAGES.mkdir(parents=True, exist_ok=True)
    with _served(chosen.work) as address:
        for board in chosen.boards:
            for theme in ("dark", "light") if board in LIGHT else ("dark",):
                name = f"{board}.png" if theme == "dark" else f"{board}-{theme}.png"
                _draw(f"{address}/index.html?board={board}&theme={theme}", IMAGES / name, _height(board))
                sys.stdout.write(f"{name}\n")
    return 0


def _bundle(work: Path) -> None:
    for name in ("package.json", "app.jsx", "index.html"):
        shutil.copy(HERE / name, work / name)
    if not (work / "node_modules/@grafana/ui").is_dir():
        subprocess.run(["npm", "install", "--no-audit", "--no-fund"], cwd=work, check=True)  # noqa: S607
    loaders = [f"--loader:.{kind}=dataurl" for kind in ("svg", "woff2", "ttf", "png")]
    defined = ['--define:process.env.NODE_ENV="production"', "--define:global=window"]
    esbuild = [str(work / "node_modules/.bin/esbuild"), "app.jsx", "--bundle", "--outfile=bundle.js", "--minify"]
    fields = ["--platform=browser", "--main-fields=browser,module,main", "--log-level=error"]
    subprocess.run([*esbuild, *loaders, *defined, *fields], cwd=work, check=True)


def _payloads(work: Path, boards: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        address = StoreAddress.parse("chdb", Path(folder))
        settings = StoreSettings(partitioning="day", retention_days=20_000, rollup_retention_days=20_000)
        with open_store(address, settings, ManualClock(micros(NOW) * 1000)) as store:
            store.migrate()
            fill(store, Showcase().make())
            replace_budgets(store, BUDGETS, ManualClock())
            for board in boards:
                made = payload(Grafana(store), BOARDS / f"{board}.json", STARTS[board], PICKS.get(board, {}))
                (work / f"{board}.json").write_text(json.dumps(made))


def _height(board: str) -> int:
    panels: list[dict[str, Any]] = json.loads((BOARDS / f"{board}.json").read_text())["panels"]
    below = max(int(panel["gridPos"]["y"]) + int(panel["gridPos"]["h"]) for panel in panels)
    return 38 * below + 96


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""


@contextmanager
def _served(work: Path) -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=str(work))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _draw(url: str, image: Path, height: int) -> None:
    """Raises `SystemExit` with what the page complained about."""
    with tempfile.TemporaryDirectory() as profile:
        flags = [
            "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
            f"--user-data-dir={profile}", f"--window-size={WIDTH},{height}", "--virtual-time-budget=9000",
            f"--screenshot={image}",
        ]  # fmt: skip
        done = subprocess.run(["chromium", *flags, url], capture_output=True, text=True, timeout=120, check=False)  # noqa: S607
    complaints = [line for line in done.stderr.splitlines() if "drawing failed" in line]
    if complaints or not image.exists():
        raise SystemExit("\n".join(complaints) or done.stderr[-2000:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
