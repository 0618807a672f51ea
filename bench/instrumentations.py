"""Generate docs/instrumentations.md from the captured corpus: `python -m bench.instrumentations`.

Needs the corpus beside the checkout; the page is checked in, and a test holds it equal where the corpus is present.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from bench.accuracy import CORPUS, ROOT
from spanledger_core import otlp
from spanledger_core.clock import SystemClock
from spanledger_core.facts import SpanClass
from spanledger_processor.normalise.normaliser import Normaliser
from spanledger_processor.normalise.settings import NormaliserSettings
from spanledger_processor.normalise.tables import tables

PAGE = ROOT / "docs" / "instrumentations.md"
SHOWN_BESIDE = re.compile(
    r"^(openai|anthropic|google-genai|boto3|mistralai|groq|cohere|ollama|langchain|langgraph|openai-agents|litellm|"
    r"pydantic-ai-slim|crewai|autogen-agentchat|agno|smolagents|strands-agents|google-adk|llama-index-core|ai|"
    r"@mastra/core|claude-agent-sdk|semantic-kernel|agent-framework-core|ag2|haystack-ai)$"
)
INTRODUCTION = """\
# Instrumentation

What each library loses, what to switch on, and what was measured on captured traffic of unmodified releases. Generated
by `python -m bench.instrumentations` from the dialect tables (`processor/spanledger_processor/normalise/data/`) and the
captures. `spanledger doctor` says the same about your own traffic.

What a library loses nobody can restore from its spans: such a call is a row without a price (`no_usage`), or one whose
cached or reasoning tokens are billed as plain ones.

| library | versions seen | what its spans do not tell | what to do |
| --- | --- | --- | --- |
"""
MEASURED = """
## Measured

By the scopes that reported model calls. *Usage reported*: input and output stand somewhere in the spans. *Lost by it*:
the provider sent usage and no span has it. *Not sent to it*: streams without usage, broken streams, calls billed in
other units. *Details lost*: parts of input or output that it does not tell apart. *Agent named*: of the calls whose
application named an agent, those where a span does.

| reported by | seen with | calls | usage reported | lost by it | not sent to it | details lost | agent named |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


def reporters(folder: Path, normaliser: Normaliser) -> str:
    """The instrumentation scopes that reported model calls in a scenario, with the version each claims."""
    scopes: dict[str, str] = {}
    for path in sorted(folder.glob("request-*.pb")):
        for fact in normaliser.batch(otlp.parse_traces(path.read_bytes())).facts:
            about = fact.about
            if about.span_class == SpanClass.LLM or fact.usage is not None:
                scopes[about.scope_name] = about.scope_version
    return ", ".join(f"{name} {version}".strip() for name, version in sorted(scopes.items())) or "(no model call)"


def beside(folder: Path) -> str:
    """The frameworks and client libraries of a scenario."""
    versions: dict[str, str | None] = json.loads((folder / "meta.json").read_text())["versions"]
    named = {name: version for name, version in versions.items() if version and SHOWN_BESIDE.match(name)}
    return ", ".join(f"{name} {version}" for name, version in sorted(named.items()))


def _share(part: int, whole: int) -> str:
    return "-" if not whole else "all" if part == whole else "none" if not part else f"{part} of {whole}"


def rows() -> Iterable[str]:
    """One line of the table for each set of reporters."""
    normaliser = Normaliser(NormaliserSettings(retention_days=36_500), SystemClock())
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    seen_with: dict[str, set[str]] = defaultdict(set)
    details: dict[str, Counter[str]] = defaultdict(Counter)
    for path in sorted((CORPUS / "dev").glob("*/meta.json")):
        name = reporters(path.parent, normaliser)
        seen_with[name].add(beside(path.parent))
        for call in json.loads(path.with_name("visible.json").read_text())["calls"]:
            if call["cls"] == "not_billed":
                continue
            count = counts[name]
            count["calls"] += 1
            count["usage"] += call["cls"] in ("visible", "aggregate", "library_wrong")
            count["lost"] += call["cls"] == "lost"
            count["not sent"] += call["cls"] in ("not_on_wire", "no_token_usage")
            named = call["agent_reason"] != "no agent name was given"
            count["agents"] += named
            count["agents seen"] += named and call["agent_visible"]
            details[name].update(bucket for bucket in call.get("buckets_lost", {}))
    for name in sorted(counts):
        count = counts[name]
        lost = ", ".join(sorted(details[name])) or "none"
        yield (
            f"| {name} | {'; '.join(sorted(filter(None, seen_with[name]))) or '-'} | {count['calls']} | "
            f"{_share(count['usage'], count['calls'])} | {count['lost'] or 'none'} | {count['not sent'] or 'none'} | "
            f"{lost} | {_share(count['agents seen'], count['agents'])} |"
        )


def dialect_rows() -> Iterable[str]:
    """One line for each library the dialect tables know: what is lost and what to switch on."""
    for dialect in tables().dialects.dialects:
        if dialect.instrumentation:
            lost = "; ".join(dialect.loses) or "nothing seen"
            yield f"| {dialect.instrumentation} | {dialect.seen or '-'} | {lost} | {dialect.advice or '-'} |"


def page() -> str:
    """The whole text."""
    return INTRODUCTION + "\n".join(dialect_rows()) + "\n" + MEASURED + "\n".join(rows()) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
