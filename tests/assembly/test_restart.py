"""Crash and replay: records replayed one by one, their changes dropped up to the last one the store confirmed."""

from __future__ import annotations

import random

import pytest

from spanledger_processor.assembly.assembler import Assembler
from spanledger_processor.assembly.definition import calls_of


@pytest.mark.parametrize("part", range(4))
def test_a_restart_at_any_record_gives_the_rows_of_no_restart(tools, part: int) -> None:
    for seed in range(part, 80, 4):
        rnd = random.Random(seed)
        facts = tools.Generator(rnd).facts(rnd.randint(5, 60))
        rnd.shuffle(facts)
        records = tools.cut(rnd, facts)
        died = rnd.randint(0, len(records))
        confirmed = rnd.randint(0, died)
        ledger = tools.Ledger()
        lost = Assembler()
        for number, record in enumerate(records[:died]):
            changes = lost.add(record, float(number))
            if number < confirmed:
                ledger.apply(changes)
            elif number == confirmed:  # the store took a part of this record's changes and never said so
                ledger.apply(changes[: rnd.randint(0, len(changes))])
        again = Assembler()
        for number, record in enumerate(records):
            changes = again.add(record, float(number))
            if number >= confirmed:
                ledger.apply(changes, strict=False)
        assert ledger.by_span() == calls_of(facts)


def test_the_changes_of_a_record_are_a_function_of_the_records_before_it(tools) -> None:
    for seed in range(40):
        rnd = random.Random(seed)
        facts = tools.Generator(rnd).facts(40)
        records = tools.cut(rnd, facts)
        one, two = Assembler(), Assembler()
        assert [one.add(record, 0.0) for record in records] == [two.add(record, 0.0) for record in records]
