from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spanledger_core import otlp
from spanledger_core.clock import ManualClock
from spanledger_core.facts import Fact, FactBatch
from spanledger_processor.normalise.normaliser import Normaliser
from spanledger_processor.normalise.settings import NormaliserSettings

NOW_NS = 1_790_000_000_000_000_000
TRACE_ID = bytes(range(1, 17))
SPAN_ID = bytes(range(1, 9))
ROOT = Path(__file__).resolve().parents[2]


def set_value(target: Any, value: Any) -> None:
    """Fill an AnyValue; None leaves it empty."""
    if isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, int):
        target.int_value = value
    elif isinstance(value, float):
        target.double_value = value
    elif isinstance(value, bytes):
        target.bytes_value = value
    elif isinstance(value, dict):
        target.kvlist_value.SetInParent()
        for key, element in value.items():
            set_value(target.kvlist_value.values[key], element)
    elif isinstance(value, (list, tuple)):
        target.array_value.SetInParent()
        for element in value:
            set_value(target.array_value.values.add(), element)
    else:
        target.SetInParent()


def make_span(name: str = "chat gpt-4o", attributes: dict[str, Any] | None = None, **fields: Any) -> Any:
    span = otlp.Span(
        trace_id=TRACE_ID,
        span_id=SPAN_ID,
        name=name,
        start_time_unix_nano=NOW_NS - 2_000_000_000,
        end_time_unix_nano=NOW_NS - 1_000_000_000,
    )
    for field, value in fields.items():
        if field == "status":
            span.status.code = value
        elif field == "message":
            span.status.message = value
        else:
            setattr(span, field, value)
    for key, value in (attributes or {}).items():
        set_value(span.attributes[key], value)
    return span


def make_request(*spans: Any, scope: str = "test", version: str = "", resource: dict[str, Any] | None = None) -> Any:
    request = otlp.TracesRequest()
    group = request.resource_spans.add()
    for key, value in (resource or {"service.name": "shop"}).items():
        set_value(group.resource.attributes[key], value)
    part = group.scope_spans.add()
    part.scope.name, part.scope.version = scope, version
    for span in spans:
        part.spans.append(span if isinstance(span, bytes) else span.SerializeToString())
    return otlp.parse_traces(request.SerializeToString())


class Reader:
    """A normaliser, and short ways to use it."""

    def __init__(self, settings: NormaliserSettings | None = None) -> None:
        self.normaliser = Normaliser(settings or NormaliserSettings(), ManualClock(NOW_NS))

    def batch(self, *spans: Any, tenant: str | None = None, **request: Any) -> FactBatch:
        return self.normaliser.batch(make_request(*spans, **request), tenant)

    def fact(self, name: str, attributes: dict[str, Any], *, scope: str = "test", **fields: Any) -> Fact:
        version = fields.pop("version", "")
        resource = fields.pop("resource", None)
        batch = self.batch(make_span(name, attributes, **fields), scope=scope, version=version, resource=resource)
        assert not batch.refusals
        return batch.facts[0]


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def reader_with() -> Callable[..., Reader]:
    return lambda **settings: Reader(NormaliserSettings(**settings))


@pytest.fixture
def span() -> Callable[..., Any]:
    return make_span


@pytest.fixture
def now_ns() -> int:
    return NOW_NS


@pytest.fixture(scope="session")
def small_corpus() -> Path:
    return ROOT / "tests" / "data" / "corpus"


@pytest.fixture(scope="session")
def whole_corpus() -> Path:
    corpus = ROOT.parent / "shared" / "corpus" / "dev"
    if not corpus.is_dir():
        pytest.skip(f"the captured corpus is not beside the checkout ({corpus})")
    return corpus
