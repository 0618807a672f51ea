"""Coverage-guided fuzzing: `python -m tests.fuzz.run protobuf|json [--seconds N] [--keep FOLDER]`.

Begins with the committed inputs and the captured requests under tests/data; ends with status 0 when the time is over
and with the input that broke a rule in the current folder otherwise. Needs atheris.
"""

from __future__ import annotations

import argparse
import base64
import json
import logging
import sys
import tempfile
from pathlib import Path

import atheris
import structlog

HERE = Path(__file__).parent
CAPTURED = HERE.parent / "data/corpus"

with atheris.instrument_imports(
    include=["spanledger", "spanledger_core", "spanledger_receiver", "spanledger_processor"]
):
    from google.protobuf import json_format
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    from spanledger_processor.normalise.tables import tables
    from tests.fuzz.target import MAX_BYTES, feed


def _seeds(encoding: str, folder: Path) -> None:
    """The captured requests, without what a fuzzer would only wade through."""
    for path in sorted(CAPTURED.glob("*/request-*.pb")):
        body = path.read_bytes()
        if encoding == "json":
            body = _as_otlp_json(body)
        if len(body) <= MAX_BYTES:
            (folder / f"{path.parent.name}-{path.stem}").write_bytes(body)


def _as_otlp_json(body: bytes) -> bytes:
    """OTLP/JSON differs from protobuf's own JSON in the ids, which are hex."""
    request = json_format.MessageToDict(ExportTraceServiceRequest.FromString(body))
    for group in request.get("resourceSpans", []):
        for part in group.get("scopeSpans", []):
            for span in part.get("spans", []):
                for key in {"traceId", "spanId", "parentSpanId"} & span.keys():
                    span[key] = base64.b64decode(span[key]).hex()
    return json.dumps(request).encode()


def _dictionary(file: Path) -> None:
    """Attribute names and what stands in their values: nobody guesses `gen_ai.usage.input_tokens`."""
    found = tables().attributes
    sections = (found.about, found.about_if_relevant, found.usage, found.details)
    words = {key for section in sections for keys in section.values() for key in keys}
    words |= {key for identity in found.identity.values() for key in identity.exact}
    words |= {"traceId", "spanId", "resourceSpans", "scopeSpans", "intValue", "stringValue", "chat", "gpt-4o", "-1"}
    file.write_text("".join(f'"{word}"\n' for word in sorted(words) if word.isascii() and '"' not in word))


def main() -> None:
    """Fuzz one way in."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoding", choices=["protobuf", "json"])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", type=Path, help="where inputs go that reach something new")
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as scratch:
        seeds, words = Path(scratch, "seeds"), Path(scratch, "words")
        seeds.mkdir()
        _seeds(asked.encoding, seeds)
        _dictionary(words)
        new = asked.keep or Path(scratch, "new")
        new.mkdir(exist_ok=True)
        options = [
            sys.argv[0], f"-max_total_time={asked.seconds}", f"-max_len={MAX_BYTES}", f"-dict={words}", "-timeout=10",
            "-rss_limit_mb=2048", "-print_final_stats=1", str(new), str(HERE / "corpus" / asked.encoding), str(seeds),
        ]  # fmt: skip
        atheris.Setup(options, lambda body: feed(body, asked.encoding) and None)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
