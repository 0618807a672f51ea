"""The HTTP protocol as curl, browsers and drivers speak it."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import subprocess
import zlib
from collections.abc import Callable

import httpx
import lz4.frame  # type: ignore[import-untyped]
import pytest

from spanledger.sqlport.compression import zstd
from spanledger.sqlport.server import SqlServer

Ask = Callable[..., httpx.Response]
DECODERS = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "lz4": lz4.frame.decompress,
    "zstd": zstd.decompress,
}


def raw(http: httpx.Client, sql: str, **headers: str) -> tuple[httpx.Response, bytes]:
    """The reply with its body as it came over the wire."""
    with http.stream("POST", "/", content=sql, headers=headers) as answer:
        return answer, b"".join(answer.iter_raw())


@pytest.mark.parametrize("path", ["/ping", "/replicas_status", "/"])
def test_health_checks_answer_ok(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert (answer.status_code, answer.text) == (200, "Ok.\n")


def test_a_browser_can_follow_a_link(http: httpx.Client) -> None:
    answer = http.get("/?query=SELECT+count()+AS+n+FROM+calls+FORMAT+JSONEachRow")
    assert json.loads(answer.text) == {"n": 300}
    assert "access-control-allow-origin" not in answer.headers


def test_query_in_the_address_and_body_are_one_text(http: httpx.Client) -> None:
    answer = http.post("/", params={"query": "SELECT count()"}, content="FROM calls")
    assert answer.text == "300\n"


def test_a_body_that_says_it_is_a_form_is_sql(http: httpx.Client) -> None:
    answer = http.post("/", content="SELECT 1", headers={"content-type": "application/x-www-form-urlencoded"})
    assert answer.text == "1\n"


def test_curl_gets_an_answer(server: SqlServer) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    url = f"http://127.0.0.1:{server.port}/"
    command = [curl, "-sS", "--user", "grafana:pass word", url, "-d", "SELECT max(input_tokens) FROM calls"]
    assert subprocess.run(command, capture_output=True, check=True, timeout=30).stdout == b"399\n"
    command = [curl, "-sS", "--compressed", "-G", url, "--data-urlencode", "query=SELECT 'é'"]
    assert subprocess.run(command, capture_output=True, check=True, timeout=30).stdout.decode() == "é\n"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("TabSeparated", "coder\t100\n"),
        ("CSVWithNames", '"agent_id","n"\n"coder",100\n'),
        ("JSONEachRow", '{"agent_id":"coder","n":100}\n'),
        ("jsoncompacteachrow", '["coder", 100]\n'),
        ("Vertical", "agent_id: coder"),
        ("Markdown", "| coder |"),
        ("PrettyCompact", "│ coder"),
        ("XML", "<agent_id>coder</agent_id>"),
        ("SQLInsert", "INSERT INTO table"),
    ],
)
def test_format_can_be_named_in_three_places(http: httpx.Client, name: str, expected: str) -> None:
    sql = "SELECT agent_id, toUInt32(count()) AS n FROM calls WHERE agent_id = 'coder' GROUP BY agent_id"
    answers = [
        http.post("/", content=f"{sql} FORMAT {name}"),
        http.post("/", params={"default_format": name}, content=sql),
        http.post("/", headers={"x-clickhouse-format": name}, content=sql),
    ]
    for answer in answers:
        assert expected in answer.text
        assert answer.headers["x-clickhouse-format"].lower() == name.lower()


@pytest.mark.parametrize(
    "name", ["Arrow", "ArrowStream", "Parquet", "ORC", "Avro", "MsgPack", "BSONEachRow", "RowBinary"]
)
def test_binary_formats_arrive(ask: Ask, name: str) -> None:
    answer = ask("SELECT agent_id, cost_usd FROM calls", default_format=name)
    assert answer.status_code == 200
    assert len(answer.content) > 1000


def test_decimals_are_exact_in_json(ask: Ask) -> None:
    answer = ask("SELECT sum(cost_usd) AS s FROM calls FORMAT JSON SETTINGS output_format_json_quote_decimals = 1")
    assert json.loads(answer.text)["data"] == [{"s": "40.5"}]


def test_headers_say_what_was_done(ask: Ask) -> None:
    answer = ask("SELECT agent_id FROM calls LIMIT 7", query_id="my-id")
    summary = json.loads(answer.headers["x-clickhouse-summary"])
    assert answer.headers["x-clickhouse-query-id"] == "my-id"
    assert answer.headers["x-clickhouse-timezone"] == "UTC"
    assert summary["result_rows"] == "7"
    assert int(summary["read_rows"]) > 0
    assert int(summary["elapsed_ns"]) > 0
    assert answer.headers["content-type"].startswith("text/tab-separated-values")


def test_a_query_id_cannot_split_the_reply(ask: Ask) -> None:
    answer = ask("SELECT 1", query_id="a\r\nX-Evil: 1")
    assert "x-evil" not in answer.headers
    assert len(answer.headers["x-clickhouse-query-id"]) == 32


@pytest.mark.parametrize("encoding", DECODERS)
def test_replies_are_compressed_as_asked(http: httpx.Client, encoding: str) -> None:
    answer, body = raw(http, "SELECT agent_id FROM calls", **{"accept-encoding": f"{encoding}, identity;q=0.1"})
    assert answer.headers["content-encoding"] == encoding
    plain = DECODERS[encoding](body)
    assert plain.count(b"\n") == 300
    assert len(body) < len(plain)


def test_no_compression_unless_asked_or_where_switched_off(http: httpx.Client) -> None:
    answer, _ = raw(http, "SELECT 1", **{"accept-encoding": "gzip;q=0, br"})
    assert "content-encoding" not in answer.headers
    answer = http.post("/?enable_http_compression=0", content="SELECT 1")
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("lz4", lz4.frame.compress),
        ("zstd", zstd.compress),
    ],
)
def test_queries_may_come_compressed(http: httpx.Client, encoding: str, encode: Callable[[bytes], bytes]) -> None:
    sql = b"SELECT count() FROM calls /*" + b" " * 5000 + b"*/"
    answer = http.post("/", content=encode(sql), headers={"content-encoding": encoding})
    assert answer.text == "300\n"
    broken = http.post("/", content=encode(sql)[:-9], headers={"content-encoding": encoding})
    assert broken.headers["x-clickhouse-exception-code"] == "6"


def test_a_decompression_bomb_is_refused(http: httpx.Client) -> None:
    bomb = gzip.compress(b" " * 8_000_000)
    answer = http.post("/", content=bomb, headers={"content-encoding": "gzip"})
    assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (413, "223")


@pytest.mark.parametrize(
    ("sql", "status", "code", "name"),
    [
        ("SELEC 1", 400, 62, "SYNTAX_ERROR"),
        ("", 400, 62, "SYNTAX_ERROR"),
        (";;", 400, 62, "SYNTAX_ERROR"),
        ("SELECT nope FROM calls", 404, 47, "UNKNOWN_IDENTIFIER"),
        ("SELECT * FROM nope", 404, 60, "UNKNOWN_TABLE"),
        ("SELECT nope(1)", 403, 497, "ACCESS_DENIED"),
        ("SELECT 1 FORMAT Nope", 404, 73, "UNKNOWN_FORMAT"),
        ("SELECT {x:UInt8}", 400, 456, "UNKNOWN_QUERY_PARAMETER"),
        ("SELECT toUInt8('x')", 400, 6, "CANNOT_PARSE_TEXT"),
        ("SELECT sum('x')", 400, 43, "ILLEGAL_TYPE_OF_ARGUMENT"),
        ("SELECT throwIf(1)", 500, 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        ("DROP TABLE calls", 403, 164, "READONLY"),
        ("SELECT " + "(" * 5000 + "1" + ")" * 5000, 400, 306, "TOO_DEEP_RECURSION"),
        ("SELECT " + "abs(" * 400 + "1" + ")" * 400, 400, 167, "TOO_DEEP_AST"),
        ("SELECT '\\xff'", 400, 6, "CANNOT_PARSE_TEXT"),
    ],
)
def test_errors_speak_clickhouse(ask: Ask, sql: str, status: int, code: int, name: str) -> None:
    answer = ask(sql)
    assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (status, str(code)), answer.text
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
    assert answer.text.rstrip().endswith(f"({name})")
    assert "parseQueryToJSON" not in answer.text


def test_a_query_that_is_not_utf8_is_refused(http: httpx.Client) -> None:
    assert http.post("/", content=b"SELECT '\xff'").headers["x-clickhouse-exception-code"] == "6"


def test_a_multipart_form_is_refused_with_the_remedy(http: httpx.Client) -> None:
    answer = http.post("/", files={"t": b"1"}, params={"query": "SELECT 1"})
    assert answer.headers["x-clickhouse-exception-code"] == "48"
    assert "send the query as the body" in answer.text


@pytest.mark.parametrize(
    ("credentials", "status"),
    [
        ({}, 200),
        ({"authorization": "Basic " + base64.b64encode(b"grafana:pass word").decode()}, 200),
        ({"authorization": "Basic " + base64.b64encode(b"grafana:wrong").decode()}, 403),
        ({"authorization": "Basic !"}, 403),
        ({"authorization": "Bearer x"}, 403),
        ({"x-clickhouse-user": "grafana", "x-clickhouse-key": "pass word"}, 200),
        ({"x-clickhouse-user": "grafana"}, 403),
        ({"x-clickhouse-user": "auditor", "x-clickhouse-key": "hashed"}, 200),
        ({"x-clickhouse-user": "auditor", "x-clickhouse-key": "nope"}, 403),
        ({"x-clickhouse-user": "nobody", "x-clickhouse-key": ""}, 403),
        ({"x-clickhouse-user": ""}, 403),
    ],
)
def test_credentials_in_headers(http: httpx.Client, credentials: dict[str, str], status: int) -> None:
    answer = http.post("/", content="SELECT 1", headers=credentials)
    assert answer.status_code == status, answer.text
    if status == 403:
        assert answer.headers["x-clickhouse-exception-code"] == "516"


def test_credentials_in_the_address(ask: Ask) -> None:
    assert ask("SELECT 1", user="grafana", password="pass word").status_code == 200
    assert ask("SELECT 1", user="grafana", password="x").status_code == 403


def test_the_body_of_a_stranger_is_not_read(http: httpx.Client) -> None:
    answer = http.post("/?user=nobody", content=b"x" * 10_000_000)
    assert answer.status_code == 403


def test_on_loopback_only_local_names_lead_here(http: httpx.Client) -> None:
    for host, status in (
        ("evil.example", 403),
        ("localhost:8123", 200),
        ("[::1]:8123", 200),
        ("localhost.evil.example", 403),
    ):
        assert http.post("/", content="SELECT 1", headers={"host": host}).status_code == status


def test_pages_of_other_sites_get_nothing_but_links_work(http: httpx.Client) -> None:
    other = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert http.get("/?query=SELECT+1", headers=other).status_code == 403
    assert http.get("/?query=SELECT+1", headers={**other, "sec-fetch-mode": "navigate"}).status_code == 200
    assert http.get("/?query=SELECT+'<b>'").headers["x-content-type-options"] == "nosniff"


def test_parameters_have_types(ask: Ask) -> None:
    sql = "SELECT {n:UInt8} + 1, {s:String}, {a:Array(String)}, {d:Nullable(Date)} FORMAT JSONCompactEachRow"
    answer = ask(sql, param_n="7", param_s="it's \\\\ \\n", param_a="['a','b']", param_d="\\N")
    assert json.loads(answer.text) == [8, "it's \\ \n", ["a", "b"], None]
    assert (
        ask(
            "SELECT count() FROM {t:Identifier} WHERE {c:Identifier} = 'coder'", param_t="calls", param_c="agent_id"
        ).text
        == "100\n"
    )


def test_settings_are_lowered_not_raised_and_strangers_refused(ask: Ask) -> None:
    shown = "SELECT getSetting('max_execution_time'), getSetting('max_memory_usage')"
    assert ask(shown, max_execution_time="5", max_memory_usage="1000000000").text == "5\t1000000000\n"
    assert ask(shown, max_execution_time="0", max_memory_usage="0").text == "60\t2147483648\n"
    assert ask(shown, max_execution_time="9e9", max_memory_usage="-1").text == "60\t2147483648\n"
    for never in ("1e-9", "1e-300"):  # the engine would round it to 0: no limit
        for answer in (
            ask(shown, max_execution_time=never),
            ask(f"{shown} SETTINGS max_execution_time = {never}"),
        ):
            # a busy machine takes longer than that, and then says so
            assert answer.text == "0.001\t2147483648\n" or "maximum: 1.000 ms" in answer.text
    assert ask("SELECT 1", max_execution_time="x").headers["x-clickhouse-exception-code"] == "36"
    unknown = ask("SELECT 1", no_such_setting="1")
    assert unknown.headers["x-clickhouse-exception-code"] == "164"
    assert "'no_such_setting'" in unknown.text
    assert ask("SELECT 1", max_block_size="x").headers["x-clickhouse-exception-code"] == "27"


def test_the_store_settings_that_final_needs_are_on(ask: Ask) -> None:
    assert (
        ask("SELECT getSetting('do_not_merge_across_partitions_select_final'), getSetting('readonly')").text
        == "true\t1\n"
    )


@pytest.mark.parametrize("number", ["nan", "1e999", "-inf", "x"])
@pytest.mark.parametrize("name", ["client_protocol_version", "session_timeout"])
def test_what_is_no_number_is_said(ask: Ask, name: str, number: str) -> None:
    answer = ask("SELECT 1", **{name: number})
    assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (400, "36")
    assert f"{name} must be a number" in answer.text


def test_sessions_keep_settings_and_database(ask: Ask) -> None:
    assert ask("SET join_use_nulls = 1", session_id="s1").text == ""
    assert ask("USE system", session_id="s1").status_code == 200
    assert ask("SELECT getSetting('join_use_nulls'), currentDatabase()", session_id="s1").text == "true\tsystem\n"
    assert ask("SELECT count() > 0 FROM tables", session_id="s1").text == "1\n"
    assert ask("SELECT getSetting('join_use_nulls'), currentDatabase()", session_id="s2").text == "false\tspanledger\n"
    assert ask("SELECT 1", session_id="s3", session_check="1").headers["x-clickhouse-exception-code"] == "372"
    assert ask("SELECT 1", session_id="s1", close_session="1").status_code == 200
    assert ask("SELECT getSetting('join_use_nulls')", session_id="s1").text == "false\n"


def test_sessions_are_not_shared_between_users(ask: Ask) -> None:
    ask("SET join_use_nulls = 1", session_id="mine")
    seen = ask("SELECT getSetting('join_use_nulls')", session_id="mine", user="grafana", password="pass word")
    assert seen.text == "false\n"


def test_nothing_of_one_request_is_left_for_the_next(ask: Ask) -> None:
    ask("SELECT 1 SETTINGS join_use_nulls = 1")
    ask("SELECT 1", join_use_nulls="1", database="system")
    ask("USE system")
    assert ask("SELECT getSetting('join_use_nulls'), currentDatabase()").text == "false\tspanledger\n"


def test_the_default_database_of_clients_is_the_store(ask: Ask) -> None:
    assert ask("SELECT currentDatabase()", database="default").text == "spanledger\n"
    assert ask("SELECT count() FROM tables", database="system").status_code == 200


def test_an_empty_result_has_columns_in_native(ask: Ask) -> None:
    body = ask("SELECT agent_id, cost_usd FROM calls WHERE 0 FORMAT Native").content
    assert body == b"\x02\x00\x08agent_id\x16LowCardinality(String)\x08cost_usd\x19Nullable(Decimal(18, 12))"
    assert ask("SHOW TABLES LIKE 'zzz' FORMAT Native").content == b"\x01\x00\x04name\x06String"
    assert ask("SELECT agent_id FROM calls WHERE 0").content == b""


def test_other_methods_and_paths_are_refused(http: httpx.Client) -> None:
    assert http.put("/", content="SELECT 1").status_code == 405
    assert http.get("/etc/passwd").status_code == 404
    assert http.options("/").status_code == 405
