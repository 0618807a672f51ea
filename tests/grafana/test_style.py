"""Colours that people who see red and green alike can tell apart, on light and dark ground; metrics that exist."""

from __future__ import annotations

import itertools
import json
import re

import pytest
from prometheus_client import CollectorRegistry

from spanledger_core.metrics import Metrics
from tools.dashboards.alerts import RULES
from tools.dashboards.asking import GRAFANA
from tools.dashboards.style import RANKS, REST

Colour = tuple[float, float, float]

# Viénot, Brettel and Mollon 1999: how linear RGB is seen without one kind of cone.
PROTAN = ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0))
DEUTAN = ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0))
NORMAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
GROUNDS = {"dark": "#181B1F", "light": "#FFFFFF"}


def linear(code: str) -> Colour:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (int(code[at : at + 2], 16) / 255 for at in (1, 3, 5))
    )
    return red, green, blue


def seen(code: str, by: tuple[Colour, Colour, Colour]) -> Colour:
    """CIE Lab of a colour as seen."""
    rgb = linear(code)
    red, green, blue = (sum(part * value for part, value in zip(row, rgb, strict=True)) for row in by)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    fx, fy, fz = (max(value, 0) ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116 for value in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def apart(one: Colour, other: Colour) -> float:
    return float(sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5)


@pytest.mark.parametrize("by", [NORMAL, PROTAN, DEUTAN], ids=["normal", "protan", "deutan"])
def test_ranks_are_told_apart(by: tuple[Colour, Colour, Colour]) -> None:
    """Neighbours in the stack by far, all others by enough; a difference of 2.3 is just seen."""
    colours = [*RANKS, REST]
    for one, other in itertools.combinations(colours, 2):
        assert apart(seen(one, by), seen(other, by)) > 16, (one, other)
    for one, other in itertools.pairwise(colours):
        assert apart(seen(one, by), seen(other, by)) > 45, (one, other)


def luminance(code: str) -> float:
    red, green, blue = linear(code)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("ground", GROUNDS)
def test_ranks_stand_out_from_the_ground(ground: str) -> None:
    for code in (*RANKS, REST):
        lighter, darker = sorted((luminance(code), luminance(GROUNDS[ground])), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) > 1.7, code


def test_thresholds_never_use_green() -> None:
    """Good is the colour of text: red and green beside each other say nothing to one man in twelve."""
    for path in (GRAFANA / "dashboards").glob("*.json"):
        named = set(re.findall(r'"color": "([a-z-]+)"', path.read_text()))
        assert named <= {"text", "blue", "orange", "red"}, path.name


def expressions() -> list[str]:
    found = [rule.query for rule in RULES if rule.prometheus]
    for path in (GRAFANA / "dashboards").glob("*.json"):
        panels = json.loads(path.read_text())["panels"]
        found += [target["expr"] for panel in panels for target in panel.get("targets", []) if "expr" in target]
    return found


def test_metrics_that_boards_and_alerts_use_exist_with_their_labels() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    known = {name for family in registry.collect() for name in (family.name, f"{family.name}_total")}
    known |= {f"{family.name}_bucket" for family in registry.collect() if family.type == "histogram"}
    labels = {
        metric._name: set(metric._labelnames)  # the library tells them nowhere else
        for attribute, metric in vars(metrics).items()
        if attribute != "registry"
    }
    assert expressions()
    for expression in expressions():
        (name,) = set(re.findall(r"spanledger_\w+", expression))
        assert name in known, expression
        by = set(re.findall(r"\w+", "".join(re.findall(r"by \(([^)]*)\)", expression)))) - {"le"}
        family = re.sub(r"_(total|bucket)$", "", name)
        assert by <= labels[family], expression
        if "histogram" not in expression and name.endswith("_total"):
            assert "rate(" in expression or "increase(" in expression, "a counter is only ever growing"
