"""The image, as far as it can be judged without building it."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def lock(deploy: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("lock", deploy / "container/lock.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def dockerfile(deploy: Path) -> str:
    return (deploy / "container/Dockerfile").read_text()


@contextmanager
def answering(status: int) -> Iterator[int]:
    """The port of a health endpoint that says `status`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def health_command(dockerfile: str, port: int) -> int:
    """The exit status of the image's HEALTHCHECK, asked of `port` with the interpreter that runs the tests."""
    found = re.search(r"^HEALTHCHECK .*\n\s+CMD (\[.*\])$", dockerfile, re.M)
    assert found is not None
    _, *arguments = [part.replace("127.0.0.1:13133", f"127.0.0.1:{port}") for part in json.loads(found[1])]
    return subprocess.run([sys.executable, *arguments], check=False, stderr=subprocess.DEVNULL).returncode


def test_healthcheck_follows_the_health_port(dockerfile: str) -> None:
    with answering(200) as port:
        assert health_command(dockerfile, port) == 0
    assert health_command(dockerfile, port) != 0  # nobody listens any more
    with answering(503) as port:
        assert health_command(dockerfile, port) != 0


def test_image_is_not_root_and_its_owner_is_a_number(dockerfile: str) -> None:
    assert re.findall(r"^USER (.*)$", dockerfile, re.M) == ["65532:65532"] * 2


def test_what_is_copied_exists_and_is_let_through(root: Path, deploy: Path, dockerfile: str) -> None:
    copied = [
        name
        for line in re.findall(r"^COPY (?!--from)(?:--chmod=\d+ )?(.*) \S+$", dockerfile, re.M)
        for name in line.split()
    ]
    assert all((root / name).exists() for name in copied)
    allowed = set(re.findall(r"^!(\S+)$", (deploy / "container/Dockerfile.dockerignore").read_text(), re.M))
    assert allowed == set(copied)


def test_what_the_wheel_is_made_of_is_copied(root: Path, dockerfile: str) -> None:
    build = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {Path(each).parts[0] for each in [*build["packages"], *build["force-include"]]}
    assert needed <= set(re.findall(r"^COPY (\w+) \1$", dockerfile, re.M))


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-demo.txt"])
def test_locked_requirements_satisfy_the_project(root: Path, deploy: Path, lock: ModuleType, name: str) -> None:
    """Each of `spanledger[embedded]` is there with a hash, in a version the project allows."""
    requirements = pytest.importorskip("packaging.requirements")
    pinned = dict(re.findall(r"^(\S+)==(\S+) \\\n    --hash=sha256:", (deploy / "container" / name).read_text(), re.M))
    for line in lock.wanted(tomllib.loads((root / "pyproject.toml").read_text())):
        wanted = requirements.Requirement(line)
        assert wanted.specifier.contains(pinned[wanted.name]), line


def test_compiled_wheels_are_locked_for_both_architectures(deploy: Path) -> None:
    text = (deploy / "container/requirements.txt").read_text()
    entries = {entry.split("==")[0]: entry.count("--hash") for entry in re.split(r"\n(?=\S)", text)[1:]}
    for name in ("chdb-core", "clickhouse-connect", "grpcio", "httptools", "msgspec", "orjson", "pydantic-core"):
        assert entries[name] == 2, name


def test_lock_refuses_platforms_that_differ(lock: ModuleType) -> None:
    with pytest.raises(SystemExit, match="differ in the version of chdb"):
        lock.lock({"x86_64": {"chdb": ("4.4.0", "aa")}, "aarch64": {"chdb": ("4.3.0", "bb")}})
