"""SQL text: names and values get in only as what they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanledger_exporter.sql import query_text, quote_identifier, render, schemas, statements


def test_places_are_filled_by_type() -> None:
    sql = "CREATE {db:Identifier}.t ({names:Identifiers}) TTL {days:UInt16} WHERE x = {x:String} AND y = {other:UInt16}"
    filled = render(sql, {"db": "a`b", "names": ["x", "y\\"], "days": 400, "x": "never"})
    assert filled == "CREATE `a\\`b`.t (`x`, `y\\\\`) TTL 400 WHERE x = {x:String} AND y = {other:UInt16}"
    assert render("{path:Literal}", {"path": "it's\\"}) == "'it\\'s\\\\'"


@pytest.mark.parametrize(
    ("kind", "value"),
    [("UInt16", "1; DROP"), ("UInt16", -1), ("UInt16", 65536), ("Identifier", 3), ("Identifiers", "abc")],
)
def test_a_value_of_another_type_is_refused(kind: str, value: str | int) -> None:
    with pytest.raises(TypeError):
        render(f"{{x:{kind}}}", {"x": value})


def test_statements_end_at_semicolons_of_their_own_only() -> None:
    script = """
    -- a comment; with a semicolon
    SELECT 'a;b''c\\'; d', "x;y", `p;q` /* ; */;
    ;
    SELECT 2 -- last; no semicolon
    """
    first, second = statements(script)
    assert first.endswith("/* ; */")
    assert second.startswith("SELECT 2")


@given(
    st.lists(
        st.text(alphabet="ab;'\"`\\\n-/*", min_size=1).map(
            lambda text: "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
        )
    )
)
def test_string_literals_never_split_a_statement(literals: list[str]) -> None:
    script = ";\n".join(f"SELECT {literal}" for literal in literals)
    assert list(statements(script)) == [f"SELECT {literal}" for literal in literals]


@given(st.text())
def test_a_quoted_identifier_has_no_bare_backtick(name: str) -> None:
    inner = quote_identifier(name)[1:-1]
    assert "`" not in inner.replace("\\\\", "").replace("\\`", "")


def test_every_statement_file_can_be_read() -> None:
    names = [entry.name.removesuffix(".sql") for entry in (schemas() / "queries").iterdir()]
    assert all(query_text(name).strip() for name in names)
