"""The variables of the boards: what can be picked."""

from __future__ import annotations

from typing import Final

from tools.dashboards.model import DATA_SOURCE, Json, query_of
from tools.dashboards.sections import Filter, fill, sections

TENANT: Final = Filter("tenant", "tenant_id", "Tenant")
ENVIRONMENT: Final = Filter("environment", "environment", "Environment")
AGENT: Final = Filter("agent", "agent_id", "Agent")
MODEL: Final = Filter("model", "model", "Model")
TEAM: Final = Filter("team", "team", "Team")
CUSTOMER: Final = Filter("customer", "customer_id", "Customer")

CALLS: Final = (TENANT, ENVIRONMENT, AGENT, MODEL)
"""What `hourly` and `calls` can be filtered by."""
CUSTOMERS: Final = (TENANT, TEAM, CUSTOMER, AGENT)
"""What `hourly_customer` can be filtered by."""

TRACE_URL: Final[Json] = {
    "name": "trace_url",
    "label": "Trace store URL",
    "description": "Put before a trace id to open it, e.g. https://tempo.example.com/trace/",
    "type": "textbox",
    "query": "",
    "current": {"selected": True, "text": "", "value": ""},
    "hide": 0,
}


def one_of(name: str, label: str, board: str, section: str) -> Json:
    """A variable with one value, its first, offered by a section of the board's file."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATA_SOURCE,
        "query": query_of(name, fill(sections(board)[section])),
        "multi": False,
        "includeAll": False,
        "current": {},
        "refresh": 2,
        "sort": 0,
        "hide": 0,
    }
