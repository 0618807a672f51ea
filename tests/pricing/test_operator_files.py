"""The operator's price file: what it may say, how it wins, and how it is refused."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from spanledger_core.errors import ConfigError
from spanledger_core.facts import Usage
from spanledger_processor.pricing import Layer, PriceBook, check_file, load_book

HEADER = "provider,model,bucket,unit_price,unit_size,currency,effective_from,effective_to,variant,tier_min,contract\n"


def book_of(tmp_path: Path, *rows: str, header: str = HEADER, **options: object) -> PriceBook:
    path = tmp_path / "prices.csv"
    path.write_text(header + "".join(row + "\n" for row in rows))
    return load_book([path], **options)  # type: ignore[arg-type]


def rate(book: PriceBook, usage: dict[str, int], **item: object) -> str | None:
    question = {"provider": "openai", "model": "gpt-4o", "timestamp": "2026-11-01T00:00:00Z", **item, "usage": usage}
    answer = book.quote(question)["cost_usd"]
    assert answer is None or isinstance(answer, str)
    return answer


M = 1_000_000


def test_four_columns_are_enough(tmp_path: Path) -> None:
    book = book_of(tmp_path, "openai,gpt-4o,input,7", header="provider,model,bucket,unit_price\n")
    assert rate(book, {"input": M}) == "7"
    assert rate(book, {"output": M}) == "10", "buckets it does not name keep their list price"


def test_yaml_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text("- {provider: openai, model: gpt-4o, bucket: input, unit_price: 0.1}\n")
    line = next(line for line in load_book([path]).lines() if line.layer == Layer.OPERATOR)
    assert line.unit_price == Decimal("0.1"), "read as text, never as a float"


def test_a_line_for_an_alias_holds_for_its_dated_snapshots(tmp_path: Path) -> None:
    book = book_of(tmp_path, "openai,acme-1,input,3")
    for model in ("acme-1", "ACME-1", "acme-1-2026-02-03", "acme-1-20260203", "openai/acme-1"):
        assert rate(book, {"input": M}, model=model) == "3", model
    assert rate(book, {"input": M}, model="acme-1-mini") is None


def test_a_deployment_is_priced_by_its_request_name(tmp_path: Path, make_call) -> None:
    book = book_of(tmp_path, "azure.ai.openai,prod-chat,input,4", "azure.ai.openai,prod-chat,output,8")
    named = make_call("azure.ai.openai", "gpt-4o-2024-11-20", Usage(input=M, output=0), request_model="prod-chat")
    assert book.price(named).cost == 4 * 10**12


def test_a_request_name_does_not_price_the_model_a_gateway_put_in_its_place(tmp_path: Path, make_call) -> None:
    book = book_of(tmp_path, "openai,gpt-4o,input,4")
    replaced = make_call("openai", "gpt-4o-mini", Usage(input=M, output=0), request_model="gpt-4o")
    assert book.price(replaced).cost == 150_000_000_000


def test_globs_lose_to_exact_names_and_longer_globs_win(tmp_path: Path) -> None:
    book = book_of(tmp_path, "openai,*,input,1", "openai,acme-*,input,2", "openai,acme-1,input,3")
    assert [rate(book, {"input": M}, model=name) for name in ("other", "acme-9", "acme-1")] == ["1", "2", "3"]


def test_intervals_are_closed_at_the_start_and_open_at_the_end(tmp_path: Path) -> None:
    book = book_of(
        tmp_path,
        "openai,gpt-4o,input,1,,,2026-01-01,2026-02-01T12:00:00Z,,,",
        "openai,gpt-4o,input,2,,,2026-02-01T12:00:00Z,,,,",
    )
    at = ["2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-02-01T11:59:59Z", "2026-02-01T12:00:00Z"]
    assert [rate(book, {"input": M}, timestamp=time) for time in at] == ["2.5", "1", "1", "2"]


def test_a_discount_multiplies_every_bucket_and_the_list_price_stays_beside(tmp_path: Path, make_call) -> None:
    book = book_of(tmp_path, "openai,*,*,x0.85,,,,,,,deal-7")
    priced = book.price(make_call(usage=Usage(input=1000, output=100, cache_read=500)))
    plain = load_book().price(make_call(usage=Usage(input=1000, output=100, cache_read=500)))
    assert plain.cost is not None
    assert priced.cost == plain.cost * 85 // 100
    assert priced.list_cost == plain.cost
    assert len(priced.price_ids) == len(plain.price_ids) + 1
    odd = Usage(input=1000, output=100, cache_read=500, units=(("file_searches", 0), ("web_searches", 2)))
    rare = book.price(make_call(usage=odd))
    assert rare.list_cost is not None
    assert rare.cost == rare.list_cost * 85 // 100


def test_a_negotiated_price_is_net_and_the_list_stays(tmp_path: Path, make_call) -> None:
    book = book_of(tmp_path, "openai,gpt-4o,input,2,,,,,,,deal-7")
    priced = book.price(make_call(usage=Usage(input=M, output=0)))
    assert (priced.cost, priced.list_cost) == (2 * 10**12, 25 * 10**11)


def test_a_contract_with_one_provider_says_nothing_about_who_resells_its_models(tmp_path: Path) -> None:
    book = book_of(tmp_path, "openai,*,*,x0.5", "openai,gpt-4.1,input,1", "google,*,*,x0.5")
    assert rate(book, {"input": M}) == "1.25"
    assert rate(book, {"input": M}, provider="azure.ai.openai") == "2.5"
    assert rate(book, {"input": M}, provider="azure.ai.openai", model="gpt-4.1") == "2"
    assert rate(book, {"input": M}, provider="gcp.vertex_ai", model="gemini-2.5-flash") == "0.15", "a family"


def test_a_discount_on_everything_does_not_lower_a_negotiated_price(tmp_path: Path) -> None:
    book = book_of(
        tmp_path,
        "openai,*,*,x0.85,,,,,,,deal-7",
        "openai,*,*,x0.5,,,,,batch,,deal-7",
        "openai,gpt-4o,input,2,,,,,,,deal-7",
    )
    assert rate(book, {"input": M, "output": M}) == "10.5", "2 as negotiated, 10 x 0.85"
    assert rate(book, {"input": M}, context={"batch": True}) == "1"


def test_an_operator_line_holds_in_every_context_unless_a_variant_says_otherwise(tmp_path: Path) -> None:
    plain = book_of(tmp_path, "openai,gpt-4o,input,2")
    assert rate(plain, {"input": M}, context={"batch": True}) == "2"
    varied = book_of(tmp_path, "openai,gpt-4o,input,2", "openai,gpt-4o,input,0.5,,,,,batch,,")
    assert rate(varied, {"input": M}, context={"batch": True}) == "0.5"


def test_tiers_start_at_their_minimum(tmp_path: Path) -> None:
    book = book_of(tmp_path, "openai,gpt-4o,input,1", "openai,gpt-4o,input,2,,,,,,1000,")
    assert [rate(book, {"input": size}) for size in (999, 1000)] == ["0.000999", "0.002"]
    assert rate(book, {"input": 1, "cache_read": 999}) == "0.00125075", "cached tokens count; their price is the list's"


def test_another_currency_needs_a_rate(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no rate is configured for currency 'EUR'"):
        book_of(tmp_path, "openai,gpt-4o,input,2,,EUR")
    book = book_of(tmp_path, "openai,gpt-4o,input,2,,EUR", fx={"EUR": Decimal("1.08")})
    assert rate(book, {"input": M}) == "2.16"


def test_operator_lines_may_charge_for_what_is_free_by_rule(tmp_path: Path) -> None:
    book = book_of(tmp_path, "ollama,llama3.2,input,0.1", "ollama,llama3.2,output,0.2")
    answer = book.quote(
        {
            "provider": "ollama",
            "model": "llama3.2",
            "timestamp": "2026-01-01T00:00:00Z",
            "usage": {"input": M, "output": M},
        }
    )
    assert (answer["cost_usd"], answer["cost_status"]) == ("0.3", "priced")


def test_every_fault_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(
        HEADER
        + "openai,gpt-4o,inptu,2\n"
        + "openai,gpt-4o,input,cheap\n"
        + "openai,,input,-1,0,EUR,tomorrow,,region,-3,\n"
        + "openai,gpt-4o,*,2\n"
        + "openai,gpt-4o,input,1,,,2026-02-01,2026-01-01\n"
        + "openai,gpt-4o,output,1,,,2026-01-01,2026-03-01\n"
        + "openai,gpt-4o,output,2,,,2026-02-01,\n"
    )
    faults = check_file(path)
    told = "\n".join(faults)
    for expected in (
        f"{path}:2: unknown bucket 'inptu' (did you mean 'input'?)",
        f"{path}:3: unit_price 'cheap' is not a decimal number",
        f"{path}:4: model is empty",
        f"{path}:4: unit_price '-1' is out of range",
        f"{path}:4: unit_size '0' is not a whole number of at least 1",
        f"{path}:4: no rate is configured for currency 'EUR'",
        f"{path}:4: effective_from 'tomorrow' is not an ISO 8601 date or instant",
        f"{path}:4: tier_min '-3' is not a whole number of at least 0",
        f"{path}:5: bucket '*' takes a multiplier",
        f"{path}:6: effective_from 2026-02-01 is not before effective_to 2026-01-01",
        f"{path}:8: overlaps the price of openai gpt-4o output given at {path}:7",
    ):
        assert expected in told
    with pytest.raises(ConfigError) as refused:
        load_book([path])
    assert refused.value.faults == faults


def test_an_unknown_column_hides_no_other_fault(tmp_path: Path) -> None:
    table, document = tmp_path / "prices.csv", tmp_path / "prices.yaml"
    table.write_text(
        "provider,model,bucket,unit_price,priec\nopenai,m,inptu,1,\nopenai,m,input,cheap,\nopenai,m,input,-1,,,7\n"
    )
    document.write_text("- {provider: openai, model: m, bucket: inptu, priec: 1}\n")
    assert [fault.removeprefix(f"{table}:")[:25] for fault in check_file(table)] == [
        "1: unknown column 'priec'", "2: unknown bucket 'inptu'", "3: unit_price 'cheap' is ",
        "4: more values than the 5",
        "4: unit_price '-1' is out",
    ]  # fmt: skip
    assert [fault.removeprefix(f"{document}:")[:25] for fault in check_file(document)] == [
        "1: unknown column 'priec'", "1: column 'unit_price' is", "1: unknown bucket 'inptu'",
    ]  # fmt: skip


def test_what_a_misread_column_may_tell_apart_is_no_overlap(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("provider,model,bucket,unit_price,vairant\nopenai,m,input,1,\nopenai,m,input,0.5,batch\n")
    assert check_file(path) == (f"{path}:1: unknown column 'vairant' (did you mean 'variant'?)",)


def test_every_line_within_a_long_one_overlaps_it(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(
        "provider,model,bucket,unit_price,effective_from,effective_to\n"
        "openai,m,input,1,2024-01-01,2027-01-01\n"
        "openai,m,input,2,2024-06-01,2024-07-01\n"
        "openai,m,input,3,2025-06-01,2025-07-01\n"
        "openai,m,input,4,2027-01-01,\n"
    )
    told = "overlaps the price of openai m input given at"
    assert check_file(path) == (f"{path}:3: {told} {path}:2", f"{path}:4: {told} {path}:2")


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.csv", b"provider,model,bucket\n", "column 'unit_price' is missing"),
        ("a.csv", b"provider,model,bucket,unit_price,priec\n", "unknown column 'priec'"),
        ("a.csv", b"provider,model,bucket,unit_price\nopenai,m,input,1,2,3\n", "more values than the 4 columns"),
        ("a.csv", b"\xff\xfe", "not UTF-8"),
        ("a.yaml", b"prices: [1, 2\n", "expected"),
        ("a.yaml", b"- 5\n", "expected a mapping"),
        ("a.yaml", b"a: b\n", "expected a list"),
        ("a.yaml", b"- {provider: openai, model: m, bucket: input}\n", "'unit_price' is missing"),
        ("a.txt", b"", "expected a .csv, .yaml or .yml file"),
    ],
)
def test_files_that_are_none_are_refused_by_name(tmp_path: Path, name: str, content: bytes, fault: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    (first, *_) = check_file(path)
    assert str(path) in first
    assert fault in first


def test_a_missing_file_and_an_overlap_between_two_files_are_faults(tmp_path: Path) -> None:
    assert "No such file" in check_file(tmp_path / "none.csv")[0]
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text("provider,model,bucket,unit_price\nopenai,gpt-4o,input,1\n")
    with pytest.raises(ConfigError, match=r"two.csv:2: overlaps .* given at .*one.csv:2"):
        load_book([tmp_path / "one.csv", tmp_path / "two.csv"])


def test_the_version_changes_with_the_content_and_only_with_it(tmp_path: Path) -> None:
    one, two = book_of(tmp_path, "openai,a,input,1"), book_of(tmp_path, "openai,a,input,1", "openai,b,input,1")
    turned = book_of(tmp_path, "openai,b,input,1", "openai,a,input,1")
    assert one.version != two.version == turned.version
    assert load_book().version == load_book().version != one.version


def test_find_says_which_lines_hold_at_an_instant(tmp_path: Path) -> None:
    book = book_of(tmp_path, "openai,gpt-4o,input,2,,,2026-01-01,,,,")
    before, after = (book.find("openai", "gpt-4o", datetime(year, 6, 1, tzinfo=UTC)) for year in (2025, 2026))
    assert {line.layer for line in before} == {Layer.BASE}
    assert next(line for line in after if line.bucket == "input").layer == Layer.OPERATOR
    assert book.find("openai", "no-such-model", datetime(2026, 1, 1, tzinfo=UTC)) == ()
