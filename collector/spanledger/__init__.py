"""spanledger: one exact cost row per real model call.

An application takes `track` and `SpanledgerSpanProcessor` from here, which need only opentelemetry-sdk and are loaded
when they are asked for; the collector is `python -m spanledger`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spanledger_processor.sdk import SpanledgerSpanProcessor, track

__all__ = ["SpanledgerSpanProcessor", "track"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # the command line starts without the SDK: it is 150 ms of a `--help` otherwise
    from spanledger_processor import sdk  # noqa: PLC0415

    return getattr(sdk, name)
