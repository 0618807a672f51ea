"""The log: one JSON object a line, libraries included, levels respected."""

from __future__ import annotations

import io
import json
import logging
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from spanledger import logs
from spanledger.config.model import Log
from spanledger.systemd import notify


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Logging is global: put it back."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    libraries = {
        name: (log.handlers, log.propagate, log.level)
        for name in ("uvicorn", "httpx")
        if (log := logging.getLogger(name))
    }
    yield
    logging.captureWarnings(False)
    root.handlers, root.level = handlers, level
    for name, (library_handlers, propagate, library_level) in libraries.items():
        log = logging.getLogger(name)
        log.handlers, log.propagate, log.level = library_handlers, propagate, library_level
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_events_are_json_with_time_level_and_their_values() -> None:
    stream = io.StringIO()
    logs.setup(Log(), {}, stream)
    structlog.get_logger("spanledger.test").warning("spans refused", reason="too_old", spans=3)
    (line,) = lines(stream)
    assert list(line)[:3] == ["time", "level", "event"]
    assert (line["level"], line["event"], line["reason"], line["spans"]) == ("warning", "spans refused", "too_old", 3)
    assert line["logger"] == "spanledger.test"


def test_libraries_go_the_same_way_and_only_say_what_went_wrong() -> None:
    stream = io.StringIO()
    logs.setup(Log(), {}, stream)
    logging.getLogger("httpx").info("HTTP Request: GET ...")
    logging.getLogger("uvicorn.error").warning("odd")
    (line,) = lines(stream)
    assert (line["event"], line["logger"]) == ("odd", "uvicorn.error")


def test_warnings_are_logged() -> None:
    stream = io.StringIO()
    logs.setup(Log(), {}, stream)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    logging.captureWarnings(False)
    assert "old" in str(lines(stream)[0]["event"])


@pytest.mark.parametrize(("level", "seen"), [("debug", 3), ("info", 2), ("error", 1)])
def test_the_level_holds(level: str, seen: int) -> None:
    stream = io.StringIO()
    logs.setup(Log.model_validate({"level": level}), {}, stream)
    log = structlog.get_logger("x")
    log.debug("a")
    log.info("b")
    log.error("c")
    assert len(lines(stream)) == seen


def test_an_exception_is_one_line_without_local_variables() -> None:
    stream = io.StringIO()
    logs.setup(Log(), {}, stream)
    prompt = "what the user said"
    try:
        raise ValueError(f"{len(prompt)} characters")
    except ValueError:
        structlog.get_logger("x").exception("failed")
    (line,) = lines(stream)
    assert "ValueError: 18 characters" in str(line["exception"])
    assert prompt not in stream.getvalue()


def test_the_console_form_shows_no_local_variables_either() -> None:
    stream = io.StringIO()
    logs.setup(Log(format="console"), {}, stream)
    prompt = "what the " + "user said"
    try:
        raise ValueError(str(len(prompt)))
    except ValueError:
        structlog.get_logger("x").exception("failed")
    assert "ValueError: 18" in stream.getvalue()
    assert "what the user said" not in stream.getvalue()


def test_values_of_any_length_make_lines_of_bounded_length() -> None:
    stream = io.StringIO()
    logs.setup(Log(), {}, stream)
    structlog.get_logger("x").info("long", text="x" * 1_000_000)
    assert len(stream.getvalue()) < 5000


def test_a_newline_in_a_value_cannot_forge_a_line() -> None:
    stream = io.StringIO()
    logs.setup(Log(), {}, stream)
    structlog.get_logger("x").info("named", agent='a\n{"level": "error"}')
    assert len(lines(stream)) == 1


def test_under_systemd_the_priority_goes_in_front() -> None:
    stream = io.StringIO()
    logs.setup(Log(), {"JOURNAL_STREAM": "8:1"}, stream)
    structlog.get_logger("x").error("bad")
    assert stream.getvalue().startswith('<3>{"time":')


def test_systemd_is_told(tmp_path: Path) -> None:
    where = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(where))
        supervisor.settimeout(5)
        assert notify("READY=1", {"NOTIFY_SOCKET": str(where)})
        assert supervisor.recv(100) == b"READY=1"


def test_without_systemd_nothing_is_told(tmp_path: Path) -> None:
    assert not notify("READY=1", {})
    assert not notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "gone")})
