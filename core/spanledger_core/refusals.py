"""Why a span or a request can be refused: the names that metrics, logs and replies use."""

from __future__ import annotations

from typing import Final

REASONS: Final[dict[str, str]] = {
    "malformed": "the bytes are not the message they claim to be",
    "bad_trace_id": "trace_id is not 16 bytes, or all zero",
    "bad_span_id": "span_id is not 8 bytes, or all zero",
    "bad_parent_id": "parent_span_id is neither empty nor 8 bytes",
    "too_old": "the span started before the retention period (retention_days)",
    "in_future": "the span starts or ends more than one hour ahead of this machine's clock",
    "too_large": "the span or request is beyond a size limit",
}
"""Reason -> what it means, in the words of the reply."""
