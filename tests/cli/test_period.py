"""Periods of a report, and what each is compared with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanledger.report.period import Period, between, instant, last, zone
from spanledger.report.render import dollars

BERLIN = zone("Europe/Berlin")
NOW = datetime(2026, 11, 25, 15, 30, tzinfo=BERLIN)


def at(text: str) -> datetime:
    return instant(text, BERLIN)


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("24h", Period(at("2026-11-24T15:30"), NOW, at("2026-11-23T15:30"), at("2026-11-24T15:30"))),
        ("7d", Period(at("2026-11-18T15:30"), NOW, at("2026-11-11T15:30"), at("2026-11-18T15:30"))),
        ("today", Period(at("2026-11-25"), NOW, at("2026-11-24"), at("2026-11-24T15:30"))),
        ("yesterday", Period(at("2026-11-24"), at("2026-11-25"), at("2026-11-23"), at("2026-11-24"))),
        ("month", Period(at("2026-11-01"), NOW, at("2026-10-01"), at("2026-10-25T15:30"))),
        ("last-month", Period(at("2026-10-01"), at("2026-11-01"), at("2026-09-01"), at("2026-10-01"))),
    ],
)
def test_periods(text: str, period: Period) -> None:
    assert last(text, NOW) == period


def test_a_month_that_is_longer_than_the_one_before_is_compared_with_all_of_it() -> None:
    period = last("month", datetime(2026, 3, 31, 12, tzinfo=UTC))
    assert (period.before_start.day, period.before_end) == (1, datetime(2026, 3, 1, tzinfo=UTC))


def test_a_day_that_clocks_make_longer_is_still_that_day() -> None:
    """On 2026-10-25 clocks go back in Berlin: the day has 25 hours."""
    period = last("yesterday", datetime(2026, 10, 26, 9, tzinfo=BERLIN))
    assert period.end.astimezone(UTC) - period.start.astimezone(UTC) == timedelta(hours=25)


def test_hours_are_elapsed_time_across_a_change_of_clocks() -> None:
    period = last("24h", datetime(2026, 10, 25, 12, tzinfo=BERLIN))
    assert period.end.astimezone(UTC) - period.start.astimezone(UTC) == timedelta(hours=24)


@given(st.integers(1, 99999), st.sampled_from("mhd"))
def test_the_period_before_is_as_long_and_adjoins(count: int, unit: str) -> None:
    period = last(f"{count}{unit}", NOW)
    assert period.before_end == period.start
    assert _elapsed(period.start, period.end) == _elapsed(period.before_start, period.before_end)


def _elapsed(start: datetime, end: datetime) -> timedelta:
    return end.astimezone(UTC) - start.astimezone(UTC)


@pytest.mark.parametrize("text", ["", "7", "d", "0d", "-1d", "7 days", "100000d", "7y"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no period"):
        last(text, NOW)


def test_instants_keep_an_offset_of_their_own() -> None:
    assert instant("2026-01-01T00:00+00:00", BERLIN) == datetime(2026, 1, 1, tzinfo=UTC)


def test_an_empty_period_is_refused() -> None:
    with pytest.raises(ValueError, match="ends before it starts"):
        between(NOW, NOW)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (None, "unknown"),
        (Decimal(0), "0.000000"),
        (Decimal("1234.5"), "1,234.500000"),
        (Decimal("0.000000000007"), "0.000000000007"),
        (Decimal("1E+3"), "1,000.000000"),
    ],
)
def test_dollars_are_never_rounded_to_nothing(amount: Decimal | None, shown: str) -> None:
    assert dollars(amount) == shown
