"""What beside the model changes a price, from what a call says (docs/prices.md lists where each comes from)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_STANDARD_TIERS: Final = frozenset(
    {"", "auto", "default", "standard", "standard_only", "on_demand", "on-demand", "ondemand", "none"}
)
_NO: Final = frozenset({"", "false", "0", "no", "none"})
_STANDARD_SPEEDS: Final = frozenset({"", "standard", "default", "normal"})


def call_context(service_tier: str, price_context: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The context of a call: lower-case values, standard tiers and speeds left out.

    The tier of the response (`service_tier`) wins over one in `price_context`. A batch call has no tier beside. Azure
    says batch in the type of the deployment (`DataZoneBatch`), which also says the data zone.
    """
    context = {key: value.strip() for key, value in price_context}
    tier = (service_tier or context.pop("service_tier", "")).strip().lower()
    context.pop("service_tier", None)
    deployment = context.get("deployment_type", "").lower()
    batch = context.pop("batch", "").lower() not in _NO or tier == "batch" or "batch" in deployment
    if context.get("speed", "").lower() in _STANDARD_SPEEDS:
        context.pop("speed", None)
    if batch:
        context["batch"] = "true"
    elif tier not in _STANDARD_TIERS:
        context["service_tier"] = tier
    return {key: value.lower() for key, value in context.items() if value}
