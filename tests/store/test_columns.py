"""Columns of ready-made values arrive in the engine as they were, for every type that the table uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DataError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanledger_exporter.blocks import native
from spanledger_exporter.columns import ReadyColumn, default_of
from spanledger_exporter.store import Store

RoundTrip = Callable[[str, Sequence[Any]], list[Any]]
TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200)
SHORT = st.sampled_from(["", "a", "é", "openai", "\x00"])
U64 = st.integers(0, 2**64 - 1)
I64 = st.integers(-(2**63), 2**63 - 1)
TYPES: dict[str, st.SearchStrategy[Any]] = {
    "UInt8": st.integers(0, 255),
    "Bool": st.booleans(),
    "UInt64": U64,
    "Nullable(UInt64)": st.none() | U64,
    "Nullable(Bool)": st.none() | st.booleans(),
    "Nullable(Float64)": st.none() | st.floats(allow_nan=False),
    "Nullable(Decimal(18, 12))": st.none() | I64,
    "DateTime64(6, 'UTC')": st.integers(0, 4 * 10**15),
    "String": TEXT,
    "LowCardinality(String)": SHORT | TEXT,
    "Array(String)": st.lists(TEXT, max_size=3),
    "Array(LowCardinality(String))": st.lists(SHORT, max_size=3),
    "Map(LowCardinality(String), String)": st.dictionaries(SHORT, TEXT, max_size=3),
    "Map(LowCardinality(String), UInt64)": st.dictionaries(SHORT, U64, max_size=3),
}
"""Type -> the ready-made values it takes."""


@pytest.fixture(scope="module")
def round_trip(admin: Store) -> Iterator[RoundTrip]:
    def write_and_read(type_name: str, values: Sequence[Any]) -> list[Any]:
        with admin.lease() as client:
            client.command("DROP TABLE IF EXISTS round_trip")
            client.command(f"CREATE TABLE round_trip (n UInt64, x {type_name}) ENGINE = Memory")
            types = [ReadyColumn("UInt64"), ReadyColumn(type_name)]
            data = [range(len(values)), values]
            client.raw_insert("round_trip", ["n", "x"], bytes(native(["n", "x"], types, data)), fmt="Native")
            found = client.query(f"SELECT {read_of(type_name)} FROM round_trip ORDER BY n").result_rows
            return [value for (value,) in found]

    yield write_and_read
    with admin.lease() as client:
        client.command("DROP TABLE IF EXISTS round_trip")


def read_of(type_name: str) -> str:
    if "Decimal" in type_name:
        return "if(isNull(x), NULL, reinterpretAsInt64(assumeNotNull(x)))"
    return "toUnixTimestamp64Micro(x)" if "DateTime64" in type_name else "x"


@pytest.mark.parametrize("type_name", TYPES)
def test_values_arrive_as_they_are(type_name: str, round_trip: RoundTrip) -> None:
    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(TYPES[type_name], min_size=1, max_size=40))
    def holds(values: list[Any]) -> None:
        assert round_trip(type_name, values) == values

    holds()


@pytest.mark.parametrize("missing", [0, 1, 9, 10, 11, 39, 40])
def test_however_many_are_missing(missing: int, round_trip: RoundTrip) -> None:
    values = [None if place * 7 % 40 < missing else place for place in range(40)]
    assert values.count(None) == missing
    assert round_trip("Nullable(UInt64)", values) == values


@pytest.mark.parametrize("distinct", [1, 2, 255, 256, 257, 65_535, 65_536, 65_537])
def test_dictionaries_of_every_width(distinct: int, round_trip: RoundTrip) -> None:
    values = [f"v{number % distinct}" for number in range(max(10, distinct + 1))]
    assert round_trip("LowCardinality(String)", values) == values


@pytest.mark.parametrize("type_name", ["String", "LowCardinality(String)"])
def test_no_text_is_empty_text(type_name: str, round_trip: RoundTrip) -> None:
    assert round_trip(type_name, [None, "a", "", None]) == ["", "a", "", ""]
    assert round_trip(type_name, [None, None]) == ["", ""]


@pytest.mark.parametrize("length", [0, 1, 127, 128, 129, 16_384])
def test_texts_of_one_length(length: int, round_trip: RoundTrip) -> None:
    assert round_trip("String", ["x" * length, "y" * length]) == ["x" * length, "y" * length]
    assert round_trip("String", ["é" * length, "y" * length]) == ["é" * length, "y" * length]


@pytest.mark.parametrize("type_name", TYPES)
def test_the_default_fits_its_column(type_name: str) -> None:
    ReadyColumn(type_name).write_column([default_of(type_name)], bytearray())


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("UInt64", -1),
        ("UInt64", None),
        ("UInt64", "1"),
        ("UInt64", 1.0),
        ("UInt8", 256),
        ("Nullable(Decimal(18, 12))", 2**63),
        ("String", 1),
        ("String", b"x"),
        ("String", "\ud800"),
        ("LowCardinality(String)", 1),
        ("LowCardinality(String)", []),
        ("Array(String)", None),
        ("Array(String)", [None, 1]),
        ("Map(LowCardinality(String), UInt64)", {"a": -1}),
        ("Map(LowCardinality(String), UInt64)", [("a", 1)]),
    ],
)
def test_what_does_not_fit_is_refused(type_name: str, value: Any) -> None:
    with pytest.raises(DataError):
        ReadyColumn(type_name).write_column([value], bytearray())


def test_a_type_that_nobody_writes_is_refused() -> None:
    for type_name in ("UUID", "Nullable(UUID)", "Tuple(String)", "Array(UUID)"):
        with pytest.raises(TypeError, match="no writer"):
            ReadyColumn(type_name)


def test_the_table_has_no_column_without_a_writer(store: Store) -> None:
    for _, type_name, *_ in store.query("DESCRIBE TABLE llm_costs"):
        ReadyColumn(type_name)
