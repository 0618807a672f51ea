"""A newer genai-prices moves prices: what is compared with what, and that the difference is told."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from tools import price_bump

LOCKED = "a==1 \\\n    --hash=sha256:aa\ngenai-prices=={} \\\n    --hash=sha256:bb\n"
PROJECT = '[project.optional-dependencies]\nserver = ["a>=1", "genai-prices>={},<9"]\n'


class Checkout:
    """A repository with a lock and a project file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "deploy/container").mkdir(parents=True)
        (root / "pyproject.toml").write_text(PROJECT.format("0.1"))
        self.git("init", "--quiet")

    def git(self, *arguments: str) -> None:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *arguments], cwd=self.root, check=True, stdout=subprocess.DEVNULL)

    def lock(self, version: str) -> None:
        (self.root / price_bump.LOCK).write_text(LOCKED.format(version))

    def commit(self, version: str) -> None:
        self.lock(version)
        self.git("add", ".")
        self.git("commit", "--quiet", "--allow-empty", "-m", version)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_before_any_other_version_it_is_the_lowest_allowed(checkout: Checkout) -> None:
    checkout.commit("0.2")
    assert price_bump.version_before(checkout.root) == ("0.1", "the lowest allowed")


def test_before_the_first_release_it_is_what_was_locked_before(checkout: Checkout) -> None:
    for version in ("0.2", "0.3", "0.3", "0.4"):
        checkout.commit(version)
    assert price_bump.version_before(checkout.root) == ("0.3", "locked before")


def test_a_version_that_is_not_committed_yet_counts(checkout: Checkout) -> None:
    checkout.commit("0.2")
    checkout.commit("0.3")
    checkout.lock("0.4")
    assert price_bump.version_before(checkout.root)[0] in ("0.2", "0.3")


def test_after_a_release_it_is_what_that_was_locked_with(checkout: Checkout) -> None:
    checkout.commit("0.2")
    checkout.git("tag", "v1.0.0")
    checkout.commit("0.3")
    checkout.commit("0.4")
    assert price_bump.version_before(checkout.root) == ("0.2", "locked in v1.0.0")


def test_without_history_it_is_the_lowest_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "deploy/container").mkdir(parents=True)
    (tmp_path / price_bump.LOCK).write_text(LOCKED.format("0.2"))
    (tmp_path / "pyproject.toml").write_text(PROJECT.format("0.1"))
    assert price_bump.version_before(tmp_path) == ("0.1", "the lowest allowed")


def test_the_projects_own_files_are_understood() -> None:
    assert price_bump.version_before()[0].count(".") == 2


def test_prices_that_moved_are_told(tmp_path: Path) -> None:
    """Against a copy of the installed data, and again when one price of the copy was another."""
    package = metadata.distribution("genai-prices")
    for name in ("genai_prices", f"genai_prices-{package.version}.dist-info"):
        shutil.copytree(str(package.locate_file(name)), tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    assert price_bump.differences(tmp_path) == "0 differences\n"
    data = tmp_path / "genai_prices" / "data.py"
    data.write_text(data.read_text().replace("output_mtok=Decimal('24')", "output_mtok=Decimal('31')", 1))
    told = price_bump.differences(tmp_path)
    assert re.search(r"changed +\S+ +\S+ +output +31 USD / 1000000 +24 USD / 1000000 +base", told), told
    assert told.endswith("\n1 difference\n")


def test_a_long_list_keeps_its_beginning_and_its_count() -> None:
    text = "".join(f"line {number}\n" for number in range(50)) + "50 differences\n"
    short = price_bump.shortened(text, 10).splitlines()
    assert short[:9] == [f"line {number}" for number in range(9)]
    assert short[9:] == ["... 41 lines more ...", "50 differences"]
    assert price_bump.shortened("a\nb\n", 10) == "a\nb"
