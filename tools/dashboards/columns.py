"""Columns that look the same in every table."""

from __future__ import annotations

from typing import Final

from tools.dashboards.panels import Column
from tools.dashboards.style import (
    CHANGE_STEPS,
    COUNT,
    FAILED_STEPS,
    SHARE,
    USD,
    agent_link,
    customer_link,
    model_link,
    trace_link,
)

ONE_UNKNOWN: Final = ((None, "text"), (1.0, "red"))

AGENT: Final = Column("agent", "Agent", links=[agent_link()])
MODEL: Final = Column("name", "Model", links=[model_link()])
CUSTOMER: Final = Column("customer", "Customer", links=[customer_link()])
TRACE: Final = Column("trace", "Trace", width=310, links=[trace_link()])
SPEND: Final = Column("spend", "Spend", USD, 2, total=True, nothing="unknown")
SPEND_FINE: Final = Column("spend", "Spend", USD, 4, total=True, nothing="unknown")
SHARE_OF_ALL: Final = Column("share", "Share", SHARE, 0, width=124, gauge=True)
CHANGE: Final = Column("change", "Change", SHARE, 0, warn=CHANGE_STEPS)
CALLS: Final = Column("made", "Calls", COUNT, total=True)
FAILED: Final = Column("failed_share", "Failed", SHARE, 1, warn=FAILED_STEPS)
UNKNOWN: Final = Column("unknown_cost", "Cost unknown", COUNT, 0, warn=ONE_UNKNOWN, total=True)
PER_SUCCESS: Final = Column("per_success", "Per successful call", USD, 4)
