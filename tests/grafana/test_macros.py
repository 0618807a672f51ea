"""The expander writes what the plugin writes: cases of the plugin's documentation and of its own table test."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.dashboards.expand import ALL, Context, UnknownMacro, expand
from tools.dashboards.sections import Filter, fill, sections

START, END = (datetime(2014, 11, 12, hour, 45, 26, 371000, tzinfo=UTC) for hour in (11, 15))
S, E = 1415792726, 1415807126


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("$__timeFilter(cast(sth as timestamp))",
         f"cast(sth as timestamp) >= toDateTime({S}) AND cast(sth as timestamp) <= toDateTime({E})"),
        ("$__timeFilter_ms(t)", f"t >= fromUnixTimestamp64Milli({S}371) AND t <= fromUnixTimestamp64Milli({E}371)"),
        ("$__dateFilter(d)", "d >= toDate('2014-11-12') AND d <= toDate('2014-11-12')"),
        ("$__dt(d, t)", f"(d >= toDate('2014-11-12') AND d <= toDate('2014-11-12')) AND"
         f" (t >= toDateTime({S}) AND t <= toDateTime({E}))"),
        ("$__timeInterval(t)", "toStartOfInterval(toDateTime(t), INTERVAL 20 second)"),
        ("$__timeInterval_ms(t)", "toStartOfInterval(toDateTime64(t, 3), INTERVAL 20000 millisecond)"),
        ("$__interval_s", "20"),
        ("a >= $__fromTime AND a < $__toTime", f"a >= toDateTime({S}) AND a < toDateTime({E})"),
        ("$__fromTime_ms", f"fromUnixTimestamp64Milli({S}371)"),
    ],
)  # fmt: skip
def test_a_macro_becomes_what_the_plugin_makes_of_it(sql: str, expected: str) -> None:
    assert expand(sql, Context(START, END, 20)) == expected


def test_conditional_all_is_true_for_all_and_for_nothing() -> None:
    sql = "SELECT 1 WHERE $__conditionalAll(f(a, 'x') IN (1), $who)"
    for value in (ALL, "", []):
        assert expand(sql, Context(START, END, variables={"who": value})) == "SELECT 1 WHERE 1=1"
    assert expand(sql, Context(START, END, variables={"who": ["a"]})) == "SELECT 1 WHERE f(a, 'x') IN (1)"


@pytest.mark.parametrize("sql", ["$__timeFilter()", "$__timeFilter(a, b)", "$__dt(a)", "$__timeFilter"])
def test_a_wrong_number_of_arguments_is_an_error(sql: str) -> None:
    with pytest.raises(ValueError, match="argument"):
        expand(sql, Context(START, END))


def test_an_unknown_macro_is_an_error() -> None:
    with pytest.raises(UnknownMacro):
        expand("$__columns(a, b, c)", Context(START, END))


def test_another_format_of_a_variable_is_refused() -> None:
    with pytest.raises(ValueError, match="queryparam"):
        expand("${who:sqlstring}", Context(START, END, variables={"who": ["a"]}))


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_no_value_ends_the_string_it_travels_in(values: list[str]) -> None:
    """Whatever the names hold: between the quotes stands no quote and no backslash, and they come back as they were."""
    if any("$__" in value for value in values):
        return
    who = Filter("who", "agent_id", "Who")
    sql = expand(who.condition, Context(START, END, variables={"who": values}))
    before, _, rest = sql.partition("splitByChar('&', '")
    travelling, _, after = rest.partition("')")
    assert after == "))[2]))".replace("[2]", "[2]")
    assert before.count("'") % 2 == 0
    assert not set(travelling) & set("'\\\n ")
    assert [unquote(pair.removeprefix("var-who=")) for pair in travelling.split("&")] == values


def test_placeholders_of_the_query_files_are_all_known() -> None:
    with pytest.raises(KeyError):
        fill("SELECT {nonsense}")
    assert "{" not in fill(sections("shared")["spend"])
