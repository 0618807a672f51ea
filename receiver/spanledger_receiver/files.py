"""OTLP requests from files, for `replay`: what the OpenTelemetry Collector and captures leave on disk."""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, cast

from spanledger_core.errors import InvalidRequest
from spanledger_core.facts import Refusal
from spanledger_core.otlp import parse_traces
from spanledger_receiver.otlp_json import load_object, read_traces

MAX_REQUEST_BYTES: Final = 256 << 20
"""Of one request, unpacked. More than over the network: the file exporter can write large batches."""

_GZIP: Final = ".gz"
_OTHER_SIGNALS: Final = {
    "resourceMetrics": "metrics",
    "resource_metrics": "metrics",
    "resourceLogs": "logs",
    "resource_logs": "logs",
    "resourceProfiles": "profiles",
}
_TRACE_KEYS: Final = ("resourceSpans", "resource_spans")
_SUFFIXES: Final = (".pb", ".json", ".jsonl")


class FileRequest(NamedTuple):
    """One request read from a file."""

    path: Path
    line: int
    """Counted from 1; 1 for files that hold one request."""
    request: Any
    """A TracesRequest."""
    refusals: tuple[Refusal, ...]
    bytes_done: int
    """Bytes on disk read so far, over all paths: compare with `total_bytes`."""


class SkippedFile(NamedTuple):
    """A file, or one line of it, that holds no trace request, and why."""

    path: Path
    line: int
    """0: the whole file. Lines of other signals are told once per file, with the first of them."""
    reason: str
    bytes_done: int


FileItem = FileRequest | SkippedFile


def expand(paths: Sequence[Path]) -> list[Path]:
    """The files behind paths: directories recursively in name order, other paths in the order given.

    Raises `FileNotFoundError` for a path that does not exist.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files.extend(sorted(found for found in path.rglob("*") if found.is_file()))
        elif path.exists():
            files.append(path)
        else:
            raise FileNotFoundError(path)
    return files


def total_bytes(files: Iterable[Path]) -> int:
    """Bytes on disk, for a progress bar."""
    return sum(path.stat().st_size for path in files)


def read_requests(paths: Sequence[Path]) -> Iterator[FileItem]:
    """Every trace request in the files behind `paths`. What is not OTLP is named with the reason, never fatal."""
    done = 0
    for path in expand(paths):
        try:
            yield from _read_file(path, done)
        except (OSError, EOFError, zlib.error) as error:
            yield SkippedFile(path, 0, f"cannot be read: {error}", done)
        except _NotOtlp as error:
            yield SkippedFile(path, 0, str(error), done)
        done += path.stat().st_size


class _NotOtlp(Exception):
    """The whole file holds something else."""


class _OtherSignal(Exception):
    """A request of a signal that is not traces."""


def _read_file(path: Path, before: int) -> Iterator[FileItem]:
    name = path.name.lower()
    suffix = Path(name.removesuffix(_GZIP)).suffix
    if suffix not in _SUFFIXES:
        raise _NotOtlp("the name ends in none of .pb, .json, .jsonl (.gz may follow)")
    with path.open("rb") as raw:
        content = cast("IO[bytes]", gzip.GzipFile(fileobj=raw) if name.endswith(_GZIP) else raw)
        if suffix == ".pb":
            request = _decode_protobuf(_bounded(content.read(MAX_REQUEST_BYTES + 1)))
            yield FileRequest(path, 1, request, (), before + raw.tell())
        else:
            for item in _read_json(path, content, one_per_line=suffix == ".jsonl"):
                yield item._replace(bytes_done=before + raw.tell())


def _decode_protobuf(body: bytes) -> Any:
    try:
        return parse_traces(body)
    except InvalidRequest:
        raise _NotOtlp("not an ExportTraceServiceRequest") from None


def _read_json(path: Path, content: IO[bytes], one_per_line: bool) -> Iterator[FileItem]:
    """One object, or one per line: the Collector's file exporter writes lines whatever the file is called."""
    others: Counter[str] = Counter()
    first_other = 0
    for line, body in _pieces(content, one_per_line):
        try:
            request, refusals = read_traces(_trace_object(body))
            yield FileRequest(path, line, request, refusals, 0)
        except _OtherSignal as error:
            others[str(error)] += 1
            first_other = first_other or line
        except InvalidRequest as error:
            if line == 1:  # what begins with something else is something else
                raise _NotOtlp(str(error)) from None
            yield SkippedFile(path, line, str(error), 0)
    for signal, requests in others.items():
        yield SkippedFile(path, first_other, f"{requests} requests hold {signal}, not traces", 0)


def _pieces(content: IO[bytes], one_per_line: bool) -> Iterator[tuple[int, bytes]]:
    """(line, one JSON document) of a file."""
    first = _bounded(content.readline(MAX_REQUEST_BYTES + 1))
    if not one_per_line and not _is_document(first):
        yield 1, _bounded(first + content.read(MAX_REQUEST_BYTES + 1 - len(first)))
        return
    line = 1
    text = first
    while text:
        if text.strip():
            yield line, text
        text = _bounded(content.readline(MAX_REQUEST_BYTES + 1))
        line += 1


def _is_document(text: bytes) -> bool:
    try:
        load_object(text)
    except InvalidRequest:
        return False
    return True


def _trace_object(body: bytes) -> dict[str, Any]:
    document = load_object(body)
    if not any(key in document for key in _TRACE_KEYS):
        for key, signal in _OTHER_SIGNALS.items():
            if key in document:
                raise _OtherSignal(signal)
        raise InvalidRequest("a JSON object without resourceSpans, so not OTLP")
    return document


def _bounded(body: bytes) -> bytes:
    if len(body) > MAX_REQUEST_BYTES:
        raise _NotOtlp(f"a request beyond {MAX_REQUEST_BYTES} bytes")
    return body
