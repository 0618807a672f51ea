"""What of the short form of `make faults` no other test does: nothing is lost, and nothing booked twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.faults.__main__ import FAULTS


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("fault", ["terminate", "spool-full"])
def test_one_round_loses_nothing_and_books_nothing_twice(tmp_path: Path, fault: str) -> None:
    do, _, _ = FAULTS[fault]
    verdict = do(tmp_path, 1)
    if not verdict.rounds:
        pytest.skip(verdict.remark)
    assert verdict.good, verdict
    assert verdict.acknowledged == verdict.booked > 100
    assert (verdict.lost, verdict.twice) == (0, 0)
