"""Durations, sizes and addresses mean what they say and are written back the same."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanledger.config.content import overlaps
from spanledger.config.units import (
    Address,
    parse_address,
    parse_duration,
    parse_size,
    show_duration,
    show_size,
)


@given(st.integers(0, 10**10))
def test_durations_survive_being_written(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(show_duration(duration)) == duration


@given(st.integers(0, 2**60))
def test_sizes_survive_being_written(size: int) -> None:
    assert parse_size(show_size(size)) == size


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("3s", 3), ("1.5h", 5400), ("1h30m", 5400), ("7d", 604800)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("value", [3, "3", "3 parsecs", "", "s", "-3s", True, None])
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="write a duration"):
        parse_duration(value)


@pytest.mark.parametrize("value", [-1, "1TiB?", "", True, 1.5, None])
def test_what_is_no_size_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="write a size"):
        parse_size(value)


@pytest.mark.parametrize(
    ("text", "address", "loopback"),
    [
        ("127.0.0.1:4317", Address("127.0.0.1", 4317), True),
        ("[::1]:0", Address("::1", 0), True),
        ("localhost:1", Address("localhost", 1), True),
        ("0.0.0.0:1", Address("0.0.0.0", 1), False),
        ("ledger.internal:65535", Address("ledger.internal", 65535), False),
    ],
)
def test_addresses(text: str, address: Address, loopback: bool) -> None:
    assert parse_address(text) == address
    assert str(address) == text
    assert address.is_loopback is loopback


@pytest.mark.parametrize("value", ["", ":1", "host", "host:", "host:65536", "::1:4317", "http://host:1", 4317, None])
def test_what_is_no_address_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="write host:port"):
        parse_address(value)


GLOB = st.text(alphabet="ab*", max_size=6)


@given(GLOB, GLOB, st.text(alphabet="ab", max_size=6))
def test_patterns_that_both_match_a_name_overlap(left: str, right: str, name: str) -> None:
    if _matches(left, name) and _matches(right, name):
        assert overlaps(left, right)


@given(GLOB, st.text(alphabet="ab", max_size=6))
def test_a_pattern_overlaps_a_plain_name_exactly_when_it_matches(pattern: str, name: str) -> None:
    assert overlaps(pattern, name) == _matches(pattern, name)


def _matches(pattern: str, name: str) -> bool:
    head, star, rest = pattern.partition("*")
    if not star:
        return pattern == name
    return name.startswith(head) and any(_matches(rest, name[i:]) for i in range(len(head), len(name) + 1))
