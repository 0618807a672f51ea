"""Hours are grouped so that two late rows do not make a query read a year."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spanledger_exporter.hours import HOUR_S, runs

DAY_S = 24 * HOUR_S


@given(st.sets(st.integers(0, 20_000).map(lambda hour: hour * HOUR_S)))
def test_every_hour_is_in_one_run_and_runs_are_bounded(hours: set[int]) -> None:
    found = list(runs(hours))
    assert [hour for run in found for hour in run] == sorted(hours)
    assert all(run[-1] - run[0] < 31 * DAY_S for run in found)


def test_hours_far_apart_are_not_read_together() -> None:
    assert list(runs([300 * DAY_S, 0, HOUR_S])) == [[0, HOUR_S], [300 * DAY_S]]
