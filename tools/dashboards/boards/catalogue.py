"""All boards."""

from __future__ import annotations

from tools.dashboards.boards import agent, budgets, cache, customer, health, hourly, model, overview, quality
from tools.dashboards.model import Board


def boards() -> list[Board]:
    """In the order people meet them."""
    return [each.board() for each in (overview, agent, model, hourly, customer, cache, budgets, quality, health)]
