"""Sampling probability from the W3C trace state (OpenTelemetry probability sampling)."""

from __future__ import annotations

from typing import Final

_BITS: Final = 56
_DIGITS: Final = 14


def probability_of(trace_state: bytes) -> float | None:
    """With which probability this span was kept: `ot=th:HEX` (rejection threshold of 56 bits) or the older `ot=p:N`.

    None where nothing readable is said, or where everything was kept.
    """
    for member in trace_state.decode("utf-8", "replace").split(","):
        name, _, value = member.strip().partition("=")
        if name == "ot":
            fields = dict(field.partition(":")[::2] for field in value.split(";"))
            try:
                return _by_threshold(fields["th"]) if "th" in fields else _by_exponent(fields.get("p", ""))
            except ValueError:
                return None
    return None


def _by_threshold(digits: str) -> float | None:
    threshold = int(digits, 16) << 4 * (_DIGITS - len(digits)) if 0 < len(digits) <= _DIGITS else 0
    return 1 - threshold / (1 << _BITS) if 0 < threshold < 1 << _BITS else None


def _by_exponent(digits: str) -> float | None:
    exponent = int(digits) if digits else 0
    return 1 / (1 << exponent) if 0 < exponent < 63 else None
