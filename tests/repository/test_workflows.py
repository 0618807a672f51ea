"""What the automation on the hosting side may do: read, but for the few jobs that are named here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
MAY_WRITE = {
    ("release", "attest"): {"id-token", "attestations", "artifact-metadata"},
    ("release", "publish"): {"id-token"},
    ("release", "announce"): {"contents"},
}
PINNED = re.compile(r"^[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+(\.\d+){0,2}$")
UNTRUSTED = re.compile(r"\$\{\{")


def read(path: Path) -> dict[Any, Any]:
    loaded = yaml.safe_load(path.read_text())
    assert isinstance(loaded, dict)
    return loaded


def jobs() -> list[tuple[str, str, dict[str, Any]]]:
    return [(path.stem, name, job) for path in FILES for name, job in read(path)["jobs"].items()]


def steps() -> list[tuple[str, dict[str, Any]]]:
    return [(f"{workflow}/{name}", step) for workflow, name, job in jobs() for step in job["steps"]]


def named(value: Any) -> str:
    return value if isinstance(value, str) else ""


def test_both_are_here() -> None:
    assert {path.stem for path in FILES} == {"ci", "release"}


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_workflow_may_read_at_most(path: Path) -> None:
    loaded = read(path)
    assert loaded["permissions"] in ({}, {"contents": "read"})
    triggers = loaded[True]  # YAML 1.1 reads the key "on" as a truth value
    assert not {"pull_request_target", "workflow_run"} & set(triggers)


@pytest.mark.parametrize(("workflow", "name", "job"), jobs(), ids=named)
def test_a_job_may_write_only_what_it_is_for(workflow: str, name: str, job: dict[str, Any]) -> None:
    assert "permissions" in job, "what a job may do is said where it is read"
    writes = {scope for scope, level in job["permissions"].items() if level != "read"}
    assert writes == MAY_WRITE.get((workflow, name), set())
    assert set(job["permissions"]) - writes <= {"contents"}
    assert job["timeout-minutes"] <= 30


def test_a_job_that_may_write_runs_nothing_of_the_checkout() -> None:
    for workflow, name, job in jobs():
        if (workflow, name) in MAY_WRITE:
            assert not any("actions/checkout" in step.get("uses", "") for step in job["steps"]), name


@pytest.mark.parametrize("path", FILES, ids=named)
def test_actions_are_pinned_by_commit_and_say_which_release_it_is(path: Path) -> None:
    used = re.findall(r"uses: (.*)$", path.read_text(), flags=re.M)
    assert used
    assert not [each for each in used if not PINNED.match(each)]
    commits = {tuple(each.split(" # ")) for each in used}
    assert len(commits) == len({commit for commit, _ in commits})


def test_scripts_take_no_text_from_outside_and_keep_no_credentials() -> None:
    for where, step in steps():
        assert not UNTRUSTED.search(step.get("run", "")), where
        if "actions/checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False, where


def test_no_secret_is_needed() -> None:
    assert not [path.name for path in FILES if "secrets." in path.read_text()]


def test_what_a_privileged_or_releasing_job_installs_is_locked() -> None:
    installs = [(where, line) for where, step in steps() for line in step.get("run", "").splitlines() if "pip" in line]
    installs = [(where, line) for where, line in installs if " install " in line]
    assert installs
    assert not [each for each in installs if not re.search(r"--require-hashes|--no-index", each[1])]


def test_the_gate_is_the_one_that_developers_run_and_guards_the_release() -> None:
    for path in FILES:
        assert [step["run"] for step in read(path)["jobs"]["gate"]["steps"] if "run" in step] == [".ci/run"]
    release = read(ROOT / ".github/workflows/release.yml")["jobs"]
    order = ["gate", "build", "attest", "publish", "announce"]
    assert list(release) == order
    assert [release[name]["needs"] for name in order[1:]] == order[:-1]


def test_a_release_lists_audits_and_attests_what_it_publishes() -> None:
    text = (ROOT / ".github/workflows/release.yml").read_text()
    for part in ("cyclonedx-py environment", "pip_audit", "sbom-path:", "gh-action-pypi-publish", "environment: pypi"):
        assert part in text
