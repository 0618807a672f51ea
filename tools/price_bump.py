"""What the genai-prices that is installed changes for those who come from an older one: `prices diff` between the two.

    python -m tools.price_bump [OLD]

OLD is, unless given, the version that the last release was locked with; before the first release the version that was
locked before the present one; without either the lowest that pyproject.toml allows.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGE: Final = "genai-prices"
LOCK: Final = "deploy/container/requirements.txt"
_PINNED: Final = re.compile(rf"^{PACKAGE}==([\w.]+)", re.M)
_LOWEST: Final = re.compile(rf"^{PACKAGE}>=([\w.]+)")
_LINES_MAX: Final = 200


def version_before(root: Path = ROOT) -> tuple[str, str]:
    """The version to compare with, and in words where it stands."""
    tag = _git(root, "describe", "--tags", "--abbrev=0", "--match", "v*").strip()
    if tag and (pinned := _pinned(root, tag)):
        return pinned, f"locked in {tag}"
    now = _PINNED.search((root / LOCK).read_text(encoding="utf-8"))
    for commit in _git(root, "log", "--format=%H", f"-G^{PACKAGE}==", "--", LOCK).split():
        pinned = _pinned(root, f"{commit}^")
        if pinned and (now is None or pinned != now[1]):
            return pinned, "locked before"
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lowest = next(filter(None, map(_LOWEST.match, project["optional-dependencies"]["server"])))
    return lowest[1], "the lowest allowed"


def differences(old: Path) -> str:
    """What `prices diff` says of the book over the data of `old`, a folder with genai_prices in it."""
    before = subprocess.run(
        [*_spanledger(), "prices", "list", "--format", "csv"],
        env=_environment() | {"PYTHONPATH": str(old)}, check=True, stdout=subprocess.PIPE,
    ).stdout  # fmt: skip
    with TemporaryDirectory() as folder:
        listed = Path(folder) / "before.csv"
        listed.write_bytes(before)
        return subprocess.run(
            [*_spanledger(), "prices", "diff", str(listed)],
            env=_environment() | {"COLUMNS": "160"}, check=True, stdout=subprocess.PIPE, text=True,
        ).stdout  # fmt: skip


def shortened(text: str, lines_max: int = _LINES_MAX) -> str:
    """A log is read by people: the beginning, and the last line, which counts."""
    lines = text.rstrip("\n").split("\n")
    if len(lines) <= lines_max:
        return "\n".join(lines)
    left_out = len(lines) - lines_max
    return "\n".join([*lines[: lines_max - 1], f"... {left_out} lines more ...", lines[-1]])


def main() -> int:
    """Exit status 1 only if the older book cannot be had or read; differences are news, no fault."""
    installed = metadata.version(PACKAGE)
    old, where = (sys.argv[1], "given") if len(sys.argv) > 1 else version_before()
    if old == installed:
        print(f"{PACKAGE} {installed} is {where}: no price moves")
        return 0
    print(f"what {PACKAGE} {installed} says differently from {old} ({where}):", flush=True)
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--target", folder, f"{PACKAGE}=={old}"], check=True)
        print(shortened(differences(Path(folder))))
    return 0


def _spanledger() -> list[str]:
    return [sys.executable, "-m", "spanledger"]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("SPANLEDGER_")}


def _pinned(root: Path, revision: str) -> str | None:
    found = _PINNED.search(_git(root, "show", f"{revision}:{LOCK}"))
    return found[1] if found else None


def _git(root: Path, *arguments: str) -> str:
    """What git prints; nothing where it fails, as without history or outside of a checkout."""
    git = which("git")
    if git is None:
        return ""
    done = subprocess.run([git, "-C", str(root), *arguments], check=False, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main())
