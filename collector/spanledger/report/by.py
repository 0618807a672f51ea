"""What a report can be grouped by."""

from __future__ import annotations

from enum import StrEnum


class By(StrEnum):
    """What a report is grouped by."""

    agent = "agent"
    model = "model"
    hour = "hour"
    day = "day"
    customer = "customer"
    team = "team"
    step = "step"
    feature = "feature"
    user = "user"
    session = "session"
    run = "run"
    provider = "provider"

    @property
    def is_time(self) -> bool:
        """Ordered by time instead of cost; compared with the same slot of the period before."""
        return self in (By.hour, By.day)
