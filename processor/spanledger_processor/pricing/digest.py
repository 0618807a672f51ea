"""A fingerprint of the project's own price facts, so that an edit of the past cannot hide in a review.

`python -m spanledger_processor.pricing.digest` writes schemas/prices/DIGEST; a test compares it with the facts. A
review that sees a fingerprint change where only new lines should have been added knows that the past was edited.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from spanledger_processor.pricing.history import fact_files, prices_folder
from spanledger_processor.pricing.lines import PriceLine

NAME = "DIGEST"
_HEADER = "# Fingerprint of the facts: file, lines, lines of closed intervals, sha256 of their ids, of all ids.\n"


def digest() -> str:
    """The content DIGEST should have."""
    return _HEADER + "".join(_row(name, tuple(lines)) for name, lines in fact_files(prices_folder()))


def _row(name: str, lines: Iterable[PriceLine]) -> str:
    every = list(lines)
    closed = [line for line in every if line.effective_to is not None]
    return f"{name} {len(every)} {len(closed)} {_fingerprint(closed)} {_fingerprint(every)}\n"


def _fingerprint(lines: Iterable[PriceLine]) -> str:
    return sha256("\n".join(sorted(_ids(lines))).encode()).hexdigest()[:16]


def _ids(lines: Iterable[PriceLine]) -> Iterator[str]:
    return (line.price_id for line in lines)


if __name__ == "__main__":
    target = Path(str(prices_folder())) / NAME
    target.write_text(digest(), encoding="utf-8")
    sys.stdout.write(f"{target}\n")
