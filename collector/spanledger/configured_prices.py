"""The price book that the configuration asks for. Apart from the other stages: it is asked for without them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spanledger.config.model import Config
from spanledger_processor.pricing.book import PriceBook, load_book
from spanledger_processor.pricing.rules import PriceRule


def price_book(config: Config, more: Sequence[Path] = ()) -> PriceBook:
    """The book in force: built in, then the operator's files and rules. Raises `ConfigError`."""
    prices = config.prices
    rules = [
        PriceRule(
            line.provider, line.model, line.service_name, line.environment, tuple(line.set.items()), line.priced_as
        )
        for line in prices.rules
    ]
    return load_book([*prices.files, *more], fx=prices.fx, reported=prices.reported, rules=rules)
