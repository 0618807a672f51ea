"""`spanledger prices explain` and `prices unpriced`: why a call costs what it costs, and what has no price."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spanledger.cli.options import ConfigFile, StoreOption, configuration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spanledger.reprice.explanation import Explanation


class Form(StrEnum):
    """How a proof is written."""

    table = "table"
    json = "json"


FormOption = Annotated[Form, typer.Option("--format", help="How to write it.")]


def explain(
    trace_id: Annotated[str, typer.Argument(metavar="TRACE_ID", help="32 hex digits.")],
    span_id: Annotated[str, typer.Argument(metavar="SPAN_ID", help="16 hex digits; a twin's leads to its call.")],
    *,
    store: StoreOption = None,
    form: FormOption = Form.table,
    config: ConfigFile = None,
) -> None:
    """Prove the cost of a booked call: quantity times rate, line by line.

    \b
    The lines are those the call was priced with, from the table price_lines, whatever the book says today.
    Exit status 1 if there is no such call, or if its lines do not add up to its cost.

    \b
    Example:
      spanledger prices explain 0af7651916cd43dd8448eb211c80319c b7ad6b7169203331
    """
    from spanledger.cli.target import open_target, rows
    from spanledger.configured_prices import price_book
    from spanledger.reprice.explanation import explain_row
    from spanledger_core.errors import SpanledgerError
    from spanledger_exporter.sql import query_text

    configured = configuration(config, store)
    asked = {"trace": trace_id.strip().lower(), "span": span_id.strip().lower()}
    with open_target(configured) as target:
        found = rows(target, query_text("explain_call"), asked)
        if not found:
            raise SpanledgerError(f"no call is booked for span {asked['span']} of trace {asked['trace']}")
        (row,) = found
        ids = ",".join(row["price_ids"])
        lines = rows(target, query_text("explain_lines"), {"ids": ids}) if ids else []
    explained = explain_row(row, lines, price_book(configured).same_rules(row["provider"], row["model"]))
    _print_json(row, explained) if form is Form.json else _print_table(row, explained)
    if not explained.adds_up:
        raise SpanledgerError("these lines do not add up to the cost of the row: report it with what is printed above")


def _print_json(row: Mapping[str, Any], explained: Explanation) -> None:
    import json

    from spanledger_processor.pricing.quote import dollars

    document = {
        "trace_id": row["trace_id"],
        "span_id": row["span_id"],
        "model": row["model"],
        "cost_usd": dollars(explained.cost),
        "cost_status": row["cost_status"],
        "price_book": row["price_book"],
        "terms": [
            term._asdict()
            | {
                "amount": dollars(term.amount),
                "sources": [explained.lines[price_id].source for price_id in term.price_ids],
            }
            for term in explained.terms
        ],
        "missing": list(explained.missing),
    }
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2))


def _print_table(row: Mapping[str, Any], explained: Explanation) -> None:
    from spanledger.cli.price_lines import stacked
    from spanledger.cli.terminal import cell, output, table, visible
    from spanledger.reprice.explanation import REASONS, picodollars
    from spanledger_processor.pricing.diff import interval
    from spanledger_processor.pricing.quote import dollars

    console = output()

    def say(text: str) -> None:
        console.print(visible(text), markup=False, highlight=False, soft_wrap=True)

    named = row["model"] or row["response_model"] or row["request_model"] or "no model"
    say(f"{named} of {row['provider'] or 'an unknown provider'}, ended {row['ended']} UTC, agent {row['agent_id']}")
    if explained.terms:
        made = table(
            [
                ("part", "left"), ("bucket", "left"), ("quantity", "right"), ("rate", "left"), ("USD", "right"),
                ("valid", "left"), ("layer", "left"), ("source", "left"), ("price id", "left"),
            ]
        )  # fmt: skip
        for term in explained.terms:
            lines = [explained.lines[price_id] for price_id in term.price_ids]
            made.add_row(
                cell(term.part), cell(term.bucket), cell(f"{term.quantity:,}"), cell(term.rate),
                cell(dollars(term.amount)), *(stacked(texts) for texts in (
                    [interval(line) or "always" for line in lines], [line.layer.label for line in lines],
                    [line.source for line in lines], term.price_ids,
                )),
            )  # fmt: skip
        made.add_section()
        total = sum(term.amount for term in explained.terms)
        made.add_row(cell("all", "bold"), *map(cell, ("", "", "")), cell(dollars(total), "bold"))
        console.print(made)
    cost = dollars(explained.cost)
    say(f"cost_usd {cost or 'unknown'}, {row['cost_status']}, price book {row['price_book']}")
    if reason := REASONS.get(row["cost_status"]):
        say(reason)
    for label, amount in (
        ("at list prices", row["list_cost_usd"]),
        ("saved by the cache", row["cache_savings_usd"]),
        ("would have cost", row["estimated_cost_usd"]),
        ("the span reported", row["reported_cost_usd"]),
    ):
        if amount and picodollars(amount) != explained.cost:
            say(f"{label}: {dollars(picodollars(amount))} USD")
    if explained.missing and row["cost_status"] != "priced":
        say(f"without a price: {', '.join(explained.missing)}; the cost is a lower bound")
    elif row["cost_status"] == "partial":
        silent = [name for name in ("input_tokens", "output_tokens") if row[name] is None]
        say(f"the span does not say its {' and '.join(silent)}; the cost is a lower bound")
    if int(row["generation"]):
        say(f"moved {row['generation']} times by reprice")


def unpriced(
    *,
    last: Annotated[
        str,
        typer.Option("--last", metavar="PERIOD", help="90m, 24h, 7d, 4w up to now; today, yesterday, month or all."),
    ] = "30d",
    store: StoreOption = None,
    form: FormOption = Form.table,
    config: ConfigFile = None,
) -> None:
    """Models without a price, and how much of the traffic has one.

    \b
    What is priced is a lower bound of what was spent. Add a line for a model to a file under prices.files,
    then let reprice fix history. The views unpriced_models and price_coverage say the same in SQL.

    \b
    Example:
      spanledger prices unpriced --last 7d
    """
    from datetime import UTC, datetime, timedelta

    from spanledger.cli.target import open_target, rows
    from spanledger.report import period
    from spanledger_core.clock import SystemClock
    from spanledger_exporter.sql import query_text

    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    try:
        asked = period.last(last, epoch + timedelta(microseconds=SystemClock().now_ns() // 1000))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--last") from None
    given = {
        "start": (asked.start - epoch) // timedelta(microseconds=1),
        "end": (asked.end - epoch) // timedelta(microseconds=1),
    }
    with open_target(configuration(config, store)) as target:
        models = rows(target, query_text("unpriced"), given)
        (coverage,) = rows(target, query_text("coverage"), given)
    if form is Form.json:
        import json

        typer.echo(json.dumps({"models": models, "coverage": coverage}, ensure_ascii=False, indent=2, default=str))
    else:
        _print_unpriced(models, coverage)


def _print_unpriced(models: list[dict[str, Any]], coverage: Mapping[str, Any]) -> None:
    from spanledger.cli.terminal import cell, output, table

    console = output()
    if models:
        made = table(
            [
                ("provider", "left"), ("model", "left"), ("calls", "right"), ("tokens", "right"),
                ("first seen", "left"), ("last seen", "left"),
            ]
        )  # fmt: skip
        for each in models:
            made.add_row(
                cell(each["provider"] or "(none)"), cell(each["model"] or "(none)"), cell(f"{int(each['calls']):,}"),
                cell(f"{int(each['tokens']):,}"), cell(each["first_seen"]), cell(each["last_seen"]),
            )  # fmt: skip
        console.print(made)
    calls, tokens = _share(coverage, "calls"), _share(coverage, "tokens")
    console.print(f"priced: {calls} of calls, {tokens} of tokens; at least {coverage['at_least_usd'] or 0} USD")
    if partial := int(coverage["partial_calls"]):
        console.print(f"{partial:,} priced in part: something of theirs has no price, or was not counted by the span")


def _share(coverage: Mapping[str, Any], what: str) -> str:
    from decimal import Decimal

    of = int(coverage[what])
    return f"{Decimal(100 * int(coverage[f'priced_{what}'])) / of:.2f} %" if of else "nothing"
