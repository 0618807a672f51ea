"""The collector's log: structured, on standard error, never with content.

Everything goes through one formatter: our own events (structlog) and those of libraries (the standard library's
logging: uvicorn, grpc, httpx). On a terminal it reads as text, elsewhere as one JSON object a line. Under systemd each
line starts with its priority (`<4>`), which the journal takes off and files under.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Final, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from spanledger.config.model import Log

_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_PRIORITIES: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_CHATTY: Final = ("uvicorn", "httpx", "httpcore", "clickhouse_connect", "asyncio", "grpc")
"""Libraries that speak only of what went wrong, unless debugging."""
_RAISING: Final = (
    "urllib3",
    "clickhouse_connect.driver._backend.http_sync",
    "clickhouse_connect.driver.httputil",
)
"""Libraries that also log what they raise, with the parameters of queries in it: ids of users among them."""
_VALUE_MAX: Final = 2000


def setup(log: Log, environ: Mapping[str, str], stream: TextIO | None = None) -> None:
    """Route every log of this process to `stream` (standard error) as `log` says. May be called again."""
    stream = sys.stderr if stream is None else stream
    as_text = log.format == "console" or (log.format == "auto" and stream.isatty())
    level = _LEVELS[log.level]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _shorten,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=_last(as_text, in_journal="JOURNAL_STREAM" in environ, colors=stream.isatty()),
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _CHATTY:
        library = logging.getLogger(name)
        library.handlers = []
        library.propagate = True
        library.setLevel(level if level <= logging.DEBUG else max(level, logging.WARNING))
    for name in _RAISING:
        logging.getLogger(name).setLevel(level if level <= logging.DEBUG else logging.ERROR)
    logging.captureWarnings(True)


def _last(as_text: bool, in_journal: bool, colors: bool) -> list[Processor]:
    """From event to line."""
    clean = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if as_text:
        # no local variables beside tracebacks: they could hold content or secrets
        trace = structlog.dev.plain_traceback
        return [clean, structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=trace)]
    return [clean, structlog.processors.format_exc_info, _journal_json if in_journal else _json]


def _json(_: WrappedLogger, __: str, event: EventDict) -> str:
    first = ("time", "level", "event")
    ordered = {**{name: event.get(name) for name in first}, **event}
    return orjson.dumps(ordered, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _journal_json(logger: WrappedLogger, method: str, event: EventDict) -> str:
    priority = _PRIORITIES.get(str(event.get("level")), 6)
    return f"<{priority}>{_json(logger, method, event)}"


def _shorten(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A value of unbounded length is a mistake somewhere; the log must not pay for it."""
    for key, value in event.items():
        if isinstance(value, str) and len(value) > _VALUE_MAX and key != "exception":
            event[key] = f"{value[:_VALUE_MAX]} ... ({len(value)} characters)"
    return event
