"""Jobs over the socket: what goes wrong in one is told to who asked, and the next is taken."""

from __future__ import annotations

import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from spanledger.control import ControlServer, ask
from spanledger_core.errors import ConfigError, SpanledgerError

Tell = Callable[[Mapping[str, Any]], None]


def _double(asked: Mapping[str, Any], tell: Tell) -> Mapping[str, Any]:
    tell({"progress": 1})
    return {"twice": 2 * asked["number"]}


def _divide(asked: Mapping[str, Any], tell: Tell) -> Mapping[str, Any]:
    return {"quotient": int("one") // asked["number"]}


def _refuse(asked: Mapping[str, Any], tell: Tell) -> Mapping[str, Any]:
    raise SpanledgerError("the store is away")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    server = ControlServer(tmp_path, {"double": _double, "divide": _divide, "refuse": _refuse})
    server.start()
    yield tmp_path
    server.stop()


def _doubled(folder: Path) -> list[Mapping[str, Any]]:
    return list(ask(folder, "double", number=4))


def test_a_job_tells_its_progress_then_its_result(folder: Path) -> None:
    assert _doubled(folder) == [{"progress": 1}, {"result": {"twice": 8}}]
    assert stat.S_IMODE((folder / "control.sock").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("job", "told"),
    [
        ("divide", "ValueError inside the collector"),
        ("refuse", "the store is away"),
        ("juggle", "not a job this collector knows"),
    ],
)
def test_what_goes_wrong_is_named_and_the_next_job_is_taken(folder: Path, job: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        list(ask(folder, job, number=0))
    assert _doubled(folder)[-1] == {"result": {"twice": 8}}


@pytest.mark.parametrize("sent", [b"", b"{", b"[]\n", b'{"job": []}\n', b"\xff\n", b"null\n"])
def test_nonsense_keeps_nobody_waiting(folder: Path, sent: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(folder / "control.sock"))
        peer.sendall(sent)
        peer.shutdown(socket.SHUT_WR)
        peer.settimeout(30)
        assert b"not a job" in peer.recv(1000)
    assert _doubled(folder)[-1] == {"result": {"twice": 8}}


def test_who_leaves_in_the_middle_disturbs_nobody(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(folder / "control.sock"))
        peer.sendall(b'{"job": "double", "number": 1}\n')
    assert _doubled(folder)[-1] == {"result": {"twice": 8}}
