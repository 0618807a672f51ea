"""Alert rules for Grafana's own alerting, as provisioning files.

A rule is one query and one bound. Grafana's table form of alerts wants exactly one number a row and makes labels of
all texts; `$` in labels of a provisioning file would be taken for an environment variable, and there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import yaml

from tools.dashboards.model import PLUGIN_VERSION, Board, Json, panels_of, uid
from tools.dashboards.sections import fill, sections

CLICKHOUSE_UID: Final = "spanledger-clickhouse"
PROMETHEUS_UID: Final = "spanledger-prometheus"
"""Rules take no variables: the provisioned data sources have these uids."""


@dataclass(frozen=True)
class Rule:
    """One alert rule."""

    name: str
    title: str
    query: str
    """A section of alerts.sql, or a PromQL expression."""
    comparison: Literal["gt", "lt"]
    bound: float
    wait: str
    """How long the bound must be passed."""
    severity: Literal["info", "warning", "critical"]
    summary: str
    """One line, with Grafana's template words."""
    description: str
    """What to do."""
    board: str
    panel: str
    """Where to look: a panel of a board, by title."""
    prometheus: bool = False
    no_data: Literal["OK", "Alerting"] = "OK"

    @property
    def sql(self) -> str:
        """The query of a rule on the store."""
        return fill(sections("alerts")[self.query])


_BUDGET: Final = "{{ $labels.scope }} {{ $labels.name }}"
_PERCENT: Final = "{{ humanizePercentage $values.A.Value }}"
_LOOK: Final = "Look at the board Budgets and pace: who spends it, and how far the period is. "


def _budget(part: int, severity: Literal["info", "warning", "critical"]) -> Rule:
    return Rule(
        f"budget-{part}", f"{part} % of a budget used", "used", "gt", part / 100, "0s", severity,
        f"{_BUDGET}: {_PERCENT} of the {{{{ $labels.period }}}}'s budget is used.",
        _LOOK + "Raise the budget or stop the spender.", "budgets", "Budgets",
    )  # fmt: skip


RULES: Final[Sequence[Rule]] = (
    Rule(
        "budget-pace", "Budget spent too fast", "pace", "gt", 2, "0s", "warning",
        f'{_BUDGET} spends its {{{{ $labels.period }}}}\'s budget {{{{ printf "%.1f" $values.A.Value }}}} times as '
        "fast as it lasts.",
        _LOOK + "At least a quarter is used. Work that is done at the start of every period belongs into a longer one.",
        "budgets", "Budgets",
    ),
    _budget(50, "info"),
    _budget(80, "warning"),
    _budget(100, "critical"),
    Rule(
        "spend-high", "Agent spends far more than usual", "spend_high", "gt", 3, "0s", "warning",
        '{{ $labels.agent }}: the last full hour is {{ printf "%.1f" $values.A.Value }} sigmas above its usual one.',
        "Against the same hours of the week in its last four weeks. The board Hourly and runaway shows minutes, loops "
        "and models.", "hourly", "Is this usual?",
    ),
    Rule(
        "spend-low", "Agent spends far less than usual", "spend_low", "lt", -3, "1h", "warning",
        '{{ $labels.agent }}: the last full hours are {{ printf "%.1f" $values.A.Value }} sigmas below the usual ones.',
        "It may be down, or its spans no longer arrive: the board Collector health shows whether others do.",
        "hourly", "Is this usual?",
    ),
    Rule(
        "model-mix", "Agent moved to a costlier model", "model_mix", "gt", 0.3, "15m", "warning",
        f"{{{{ $labels.agent }}}}: {_PERCENT} more of its calls than before go to models that cost over twice its "
        "usual call.", "Look at its board, panel Why the spend changed. A default model may have been changed.",
        "agent", "Why the spend changed",
    ),
    Rule(
        "cost-per-success", "Cost per successful call doubled", "per_success", "gt", 2, "1h", "warning",
        '{{ $labels.agent }} pays {{ printf "%.1f" $values.A.Value }} times its usual cost for a call that succeeds.',
        "Failures that are paid for, longer prompts, fewer cache hits or a dearer model: its board shows which.",
        "agent", "Cost per successful call",
    ),
    Rule(
        "unpriced", "Calls without a price", "unpriced", "gt", 0, "15m", "warning",
        '{{ $labels.vendor }} {{ $labels.model_name }}: {{ printf "%.0f" $values.A.Value }} calls of the last hour '
        "have no full price.", "They are missing from every sum. Add a price (prices.files), then run spanledger "
        "reprice.", "quality", "Cost unknown or incomplete, by model",
    ),
    Rule(
        "missing-usage", "Calls without usage", "without_usage", "gt", 0.05, "15m", "warning",
        f"{{{{ $labels.service }}}}, {{{{ $labels.scope }}}}: {_PERCENT} of the calls state no usage that can be "
        "true.", "Their cost is unknown. Often streaming without include_usage; spanledger doctor says what to switch "
        "on.", "quality", "What each instrumentation sends",
    ),
    Rule(
        "silence", "No rows arrive", "silence", "gt", 900, "0s", "critical",
        'No call was written for {{ printf "%.0f" $values.A.Value }} seconds.',
        "The collector is down, cannot reach the store, or nobody sends. Fleets that pause at night raise the bound.",
        "health", "Since the last row", no_data="Alerting",
    ),
    Rule(
        "delay", "Rows arrive late", "delay", "gt", 300, "10m", "warning",
        'One row in twenty is written more than {{ printf "%.0f" $values.A.Value }} seconds after its call ended.',
        "The collector is behind, or applications export late.", "health", "From the end of a call to its row",
    ),
    Rule(
        "refused", "Spans are refused", "sum by (reason) (increase(spanledger_refused_spans_total[15m]))", "gt", 0,
        "0s", "warning", '{{ printf "%.0f" $values.A.Value }} spans were refused in 15 minutes: {{ $labels.reason }}.',
        "What is refused is in no sum. The collector's log has an example of each reason.", "health",
        "Spans refused a second", prometheus=True,
    ),
    Rule(
        "lag", "Booking lags behind", "max(spanledger_booking_lag_seconds)", "gt", 600, "5m", "critical",
        'The oldest span that is not in the store waits for {{ printf "%.0f" $values.A.Value }} seconds.',
        "The store does not take rows, or is too slow. Nothing is lost while the spool has room.", "health",
        "Age of the oldest fact not in the store", prometheus=True,
    ),
)  # fmt: skip


def render(boards: Sequence[Board]) -> str:
    """The provisioning file. Raises `KeyError` for a rule whose panel does not exist."""
    panels = {(board.name, panel["title"]): panel["id"] for board in boards for panel in panels_of(board.build())}
    rules = [_rule(rule, panels[rule.board, rule.panel]) for rule in RULES]
    group = {"orgId": 1, "name": "spanledger", "folder": "LLM cost", "interval": "1m", "rules": rules}
    head = "# Generated by python -m tools.dashboards. Copy to provisioning/alerting/ of Grafana.\n"
    text = yaml.dump(
        {"apiVersion": 1, "groups": [group]}, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True
    )
    return head + text


class _Dumper(yaml.SafeDumper):
    """Statements as blocks of lines."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _rule(rule: Rule, panel: int) -> Json:
    return {
        "uid": f"spanledger-{rule.name}",
        "title": rule.title,
        "condition": "B",
        "for": rule.wait,
        "data": [_query(rule), _bound(rule)],
        "noDataState": rule.no_data,
        "execErrState": "Error",
        "isPaused": False,
        "labels": {"severity": rule.severity, "team": "finops"},
        "annotations": {
            "summary": rule.summary,
            "description": rule.description,
            "__dashboardUid__": uid(rule.board),
            "__panelId__": str(panel),
        },
    }


def _query(rule: Rule) -> Json:
    model: Json = {"refId": "A", "intervalMs": 60000, "maxDataPoints": 43200}
    if rule.prometheus:
        model |= {"expr": rule.query, "instant": True, "range": False, "editorMode": "code"}
    else:
        model |= {
            "editorType": "sql",
            "format": 1,
            "queryType": "table",
            "pluginVersion": PLUGIN_VERSION,
            "rawSql": rule.sql,
        }
    source = PROMETHEUS_UID if rule.prometheus else CLICKHOUSE_UID
    return {"refId": "A", "datasourceUid": source, "relativeTimeRange": {"from": 3600, "to": 0}, "model": model}


def _bound(rule: Rule) -> Json:
    condition = {
        "type": "query",
        "evaluator": {"type": rule.comparison, "params": [rule.bound]},
        "operator": {"type": "and"},
        "query": {"params": ["A"]},
        "reducer": {"type": "last", "params": []},
    }
    model = {
        "refId": "B",
        "type": "threshold",
        "expression": "A",
        "datasource": {"type": "__expr__", "uid": "__expr__"},
        "conditions": [condition],
    }
    at = {"from": 0, "to": 0}
    return {"refId": "B", "datasourceUid": "__expr__", "relativeTimeRange": at, "model": model}
