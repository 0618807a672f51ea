"""What a call costs: the price book, its layers, and the exact arithmetic on them (docs/prices.md)."""

from spanledger_processor.pricing.book import PriceBook, check_file, load_book
from spanledger_processor.pricing.diff import Difference, diff
from spanledger_processor.pricing.explain import Proof, Term, explain
from spanledger_processor.pricing.lines import Layer, PriceLine
from spanledger_processor.pricing.rules import PriceRule

__all__ = [
    "Difference",
    "Layer",
    "PriceBook",
    "PriceLine",
    "PriceRule",
    "Proof",
    "Term",
    "check_file",
    "diff",
    "explain",
    "load_book",
]
