"""Grafana dashboards and alert rules as code: `python -m tools.dashboards` writes grafana/."""
