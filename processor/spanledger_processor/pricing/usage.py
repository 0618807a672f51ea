"""From totals to disjoint buckets: what is counted once, with the one price that fits it.

A span reports totals (cached, cache-written and audio tokens inside `input`; reasoning and audio inside `output`).
Prices are for disjoint amounts. Pure arithmetic; never negative.
"""

from __future__ import annotations

from spanledger_core.facts import Usage

Quantities = dict[str, int]
"""Bucket -> amount, non-zero ones only."""


class Contradiction(ValueError):
    """The figures of a span cannot all be true."""


def disjoint(usage: Usage) -> Quantities:
    """Disjoint buckets of a span's totals.

    Where cached and audio tokens together exceed the input, the excess can only be cached audio. Raises
    `Contradiction` where the parts still exceed their total, or a figure is negative.
    """
    total, output, cached, written, hourly, reasoning, audio_in, audio_out, units, _, _ = usage
    counted = dict(units)
    cached_audio = min(counted.pop("cache_read_audio", 0), cached, audio_in)
    text = (total or 0) - cached - written - hourly - audio_in - counted.get("input_image", 0) + cached_audio
    answer = (output or 0) - reasoning - audio_out - counted.get("output_image", 0)
    if total is None:
        text = 0
    elif text < 0:
        overlap = min(-text, cached - cached_audio, audio_in - cached_audio)
        cached_audio, text = cached_audio + overlap, text + overlap
    if output is None:
        answer = 0
    quantities = {
        "input": text,
        "cache_read": cached - cached_audio,
        "cache_write_5m": written,
        "cache_write_1h": hourly,
        "output": answer,
        "reasoning": reasoning,
        "input_audio": audio_in - cached_audio,
        "cache_read_audio": cached_audio,
        "output_audio": audio_out,
        **counted,
    }
    if min(quantities.values()) < 0:
        raise Contradiction(", ".join(f"{name} {amount}" for name, amount in quantities.items() if amount < 0))
    return {name: amount for name, amount in quantities.items() if amount}
