"""Wherever in a statement something forbidden stands, it is found; and what is allowed keeps its meaning."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import chdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanledger.sqlport import parsing, rules
from spanledger.sqlport.engine import Handle
from spanledger.sqlport.errors import SqlError
from spanledger.sqlport.gate import Gate, Scope
from spanledger_exporter.store import Store

RULES = rules.load()
# Expressions of type String around an expression of type String.
EXPRESSIONS = (
    "if(1 = 1, @, '')",
    "CASE WHEN 1 = 1 THEN @ ELSE '' END",
    "(@ || '-')",
    "[@, 'y'][1]",
    "(@, 1).1",
    "map('k', @)['k']",
    "CAST(@ AS String)",
    "arrayMap(x -> concat(x, @), ['a'])[1]",
    "arrayFold((acc, x) -> concat(acc, @), ['a'], '')",
    "ifNull(nullIf(@, 'zz'), 'q')",
    "(SELECT @)",
    "(WITH @ AS w SELECT w)",
    "(WITH w AS (SELECT @ AS c) SELECT c FROM w)",
    "(SELECT max(c) FROM (SELECT @ AS c UNION ALL SELECT 'b'))",
    "(SELECT max(@) OVER (PARTITION BY @ ORDER BY @))",
    "(SELECT max('m') OVER w FROM numbers(1) WINDOW w AS (ORDER BY @))",
    "(SELECT any(z) FROM (SELECT * APPLY(z -> concat(@, toString(z))) FROM (SELECT 1)) AS q(z))",
    "(SELECT any(c) FROM (SELECT * REPLACE (@ AS c) FROM (SELECT 'r' AS c)))",
    "(SELECT arrayJoin([@]))",
    "(SELECT any(y) FROM numbers(1) ARRAY JOIN [@] AS y)",
    "(SELECT 'w' WHERE 'a' != @ LIMIT 1)",
    "(SELECT toString(count()) GROUP BY @)",
    "(SELECT toString(count()) HAVING max(@) != 'zz')",
    "(SELECT 'o' ORDER BY @ LIMIT 1 BY @)",
    "(SELECT 'l' LIMIT length(@) > 0)",
    "(SELECT any(b) FROM (SELECT 'q' AS a) AS l INNER JOIN (SELECT @ AS b) AS r ON l.a != r.b)",
    "(SELECT any(c) FROM view(SELECT @ AS c))",
    "(SELECT any(c) FROM values('c String', @))",
    "(SELECT min(t) FROM (SELECT 1 AS n, @ AS t ORDER BY n WITH FILL FROM 1 TO 3 INTERPOLATE (t AS concat(t, @))))",
    "toString('a' IN (SELECT @))",
    "toString(exists(SELECT @))",
)
STATEMENTS = (
    "SELECT @",
    "SELECT @ AS a, a",
    "SELECT 1 FROM numbers(2) WHERE @ != 'zz'",
    "SELECT 1 FROM numbers(2) PREWHERE 1 ORDER BY @",
    "SELECT DISTINCT ON (@) number FROM numbers(2) ORDER BY number",
    "SELECT number FROM numbers(2) QUALIFY max(@) OVER () != 'zz' ORDER BY number",
    "SELECT count() FROM numbers(2) GROUP BY GROUPING SETS ((@), ())",
    "DESCRIBE (SELECT @ AS c)",
    "EXPLAIN AST SELECT @",
    "SELECT 1 SETTINGS additional_table_filters = {'x': '1'} UNION ALL SELECT length(@)",
    "SELECT 1 INTERSECT SELECT length(@)",
)
HARMLESS = ("'v'", "toString(7)", "concat('a', '\\'b\\\\')", "(SELECT 's')", "'-- no comment'")
FORBIDDEN = (
    "file('x')",
    "toString(sleep(0))",
    "getMacro('x')",
    "dictGetString('d', 'a', toUInt64(1))",
    "(SELECT any(name) FROM system.users)",
    "(SELECT any(c) FROM url('http://127.0.0.1:1', 'CSV', 'c String'))",
    "(SELECT any(c) FROM `/etc/passwd`)",
    "(SELECT any(c) FROM default.x)",
    "toString('a' IN system.processes)",
    "toString('a' NOT IN `/etc/passwd`)",
    "(SELECT any(c) FROM (SELECT * APPLY(file) FROM (SELECT 'x' AS c)) AS q(c))",
)


def nested(leaves: tuple[str, ...]) -> st.SearchStrategy[str]:
    inner = st.recursive(
        st.sampled_from(leaves),
        lambda part: st.tuples(st.sampled_from(EXPRESSIONS), part).map(lambda pair: pair[0].replace("@", pair[1])),
        max_leaves=4,
    )
    return st.tuples(st.sampled_from(STATEMENTS), inner).map(lambda pair: pair[0].replace("@", pair[1]))


@pytest.fixture(scope="module")
def handle(store: Store) -> Iterator[Handle]:
    opened = chdb.connect(str(store.address.path))
    opened.query("USE spanledger")
    yield opened
    opened.close()


def judged(handle: Handle, sql: str) -> str:
    statement = parsing.parse(handle, sql, RULES)
    if statement.tree is not None:
        Gate(RULES, Scope("spanledger", "spanledger", frozenset(), frozenset(), {})).judge(statement.tree)
    return statement.sql


def code_of(handle: Handle, sql: str) -> int | None:
    try:
        judged(handle, sql)
    except SqlError as error:
        return error.code
    return None


def run(handle: Handle, sql: str) -> str:
    try:
        return (handle.query(sql, "TabSeparatedWithNamesAndTypes").bytes() or b"").decode()
    except RuntimeError as error:
        return str(error).split(". ", 1)[0]


ENOUGH = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@ENOUGH
@given(sql=nested(FORBIDDEN))
def test_what_is_forbidden_is_found_wherever_it_stands(handle: Handle, sql: str) -> None:
    with pytest.raises(SqlError) as refusal:
        judged(handle, sql)
    assert refusal.value.code == 497, (sql, refusal.value)


@ENOUGH
@given(sql=nested(HARMLESS))
def test_what_is_harmless_passes_and_means_what_was_sent(handle: Handle, sql: str) -> None:
    assert run(handle, judged(handle, sql)) == run(handle, sql), sql


OPERATORS = (
    "@ + %", "@ - %", "@ - (@ - %)", "@ * % - @", "@ / %", "-(@)", "- -(@)", "NOT (@ = %)", "NOT @ = %", "@ MOD 7",
    "@ BETWEEN % AND 3", "@ NOT BETWEEN 1 AND %", "@ IN (1, 2)", "@ NOT IN (1, 2) AND % > 1",
    "@ = % OR @ < 2 AND % != 3",
    "(@ = % OR @ < 2) AND % != 3", "@ IS NULL", "(@ IS NOT NULL) = (% > 1)", "(@)::Float64",
    "if(@ > %, @, %)",
    "@ = 1 ? % : @", "[@, %][1]", "(@, %).2", "-[@, %][2]", "@ <=> %", "CASE @ WHEN % THEN 1 ELSE 2 END",
    "arrayMap(x -> x - (@ - %), [1])[1]", "@ DIV 2 * %", "@ AND NOT %", "(@ + %)", "(@ OR %)", "(@ - %)",
)  # fmt: skip


def combined(parts: tuple[str, str, str]) -> str:
    operator, left, right = parts
    return operator.replace("@", left).replace("%", right)


ARITHMETIC = st.recursive(
    st.sampled_from(("1", "-2", "3.5", "NULL", "number", "toDecimal64(1.1, 3)", "-number")),
    lambda part: st.tuples(st.sampled_from(OPERATORS), part, part).map(combined),
    max_leaves=6,
)


@ENOUGH
@given(expression=ARITHMETIC)
def test_operators_keep_their_precedence(handle: Handle, expression: str) -> None:
    sql = f"SELECT {expression} AS x FROM numbers(3) ORDER BY number"
    with contextlib.suppress(SqlError):
        assert run(handle, judged(handle, sql)) == run(handle, sql), sql


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet=st.sampled_from("SELECT FROM calls'`\"\\;()/*-#{}$,.=<>?:@\n\0é1ax"), max_size=60))
def test_any_text_is_answered_or_refused_in_clickhouses_terms(handle: Handle, text: str) -> None:
    assert code_of(handle, f"SELECT 1 {text}") not in (0, 1001)
