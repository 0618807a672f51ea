"""The names of disjoint amounts that have prices of their own (DESIGN.md 2)."""

from __future__ import annotations

from typing import Final

TOKEN_BUCKETS: Final = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "output",
    "reasoning",
    "input_audio",
    "cache_read_audio",
    "output_audio",
    "input_image",
    "output_image",
    "citation",
)
COUNT_BUCKETS: Final = (
    "images",
    "requests",
    "web_searches",
    "file_searches",
    "rerank_searches",
    "audio_seconds",
    "characters",
    "pages",
)
BUCKETS: Final = TOKEN_BUCKETS + COUNT_BUCKETS
"""Every name `prices check` accepts."""
