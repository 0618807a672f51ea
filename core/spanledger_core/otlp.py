"""The OTLP trace request as this project reads it, built at import time: no generated code.

Two deviations from the published .proto make reading cheap and keep the wire format identical:
spans stay raw bytes until somebody asks (`ScopeSpans.spans` is `repeated bytes`), so that one malformed span does
not spoil its request; and attributes are declared as `map<string, AnyValue>`, because a KeyValue is encoded exactly
like a map entry and a map is read by key without building a Python object per attribute.
Field numbers: opentelemetry-proto 1.x, trace/v1/trace.proto.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from spanledger_core.errors import InvalidRequest

_F = descriptor_pb2.FieldDescriptorProto
_PACKAGE: Final = "spanledger.otlp"

_SCHEMA: Final[dict[str, tuple[tuple[str, int, int, str], ...]]] = {
    # message: (field, number, type, message type or "" ; a leading * means repeated, ~ map, ? member of oneof)
    "AnyValue": (
        ("?string_value", 1, _F.TYPE_STRING, ""),
        ("?bool_value", 2, _F.TYPE_BOOL, ""),
        ("?int_value", 3, _F.TYPE_INT64, ""),
        ("?double_value", 4, _F.TYPE_DOUBLE, ""),
        ("?array_value", 5, _F.TYPE_MESSAGE, "ArrayValue"),
        ("?kvlist_value", 6, _F.TYPE_MESSAGE, "KeyValueList"),
        ("?bytes_value", 7, _F.TYPE_BYTES, ""),
    ),
    "ArrayValue": (("*values", 1, _F.TYPE_MESSAGE, "AnyValue"),),
    "KeyValueList": (("~values", 1, _F.TYPE_MESSAGE, "AnyValue"),),
    "Resource": (("~attributes", 1, _F.TYPE_MESSAGE, "AnyValue"),),
    "Scope": (
        ("name", 1, _F.TYPE_STRING, ""),
        ("version", 2, _F.TYPE_STRING, ""),
        ("~attributes", 3, _F.TYPE_MESSAGE, "AnyValue"),
    ),
    "Status": (("message", 2, _F.TYPE_STRING, ""), ("code", 3, _F.TYPE_INT32, "")),
    "Event": (
        ("name", 2, _F.TYPE_STRING, ""),
        ("time_unix_nano", 1, _F.TYPE_FIXED64, ""),
        ("~attributes", 3, _F.TYPE_MESSAGE, "AnyValue"),
    ),
    "Span": (
        ("trace_id", 1, _F.TYPE_BYTES, ""),
        ("span_id", 2, _F.TYPE_BYTES, ""),
        ("trace_state", 3, _F.TYPE_STRING, ""),
        ("parent_span_id", 4, _F.TYPE_BYTES, ""),
        ("name", 5, _F.TYPE_STRING, ""),
        ("kind", 6, _F.TYPE_INT32, ""),
        ("start_time_unix_nano", 7, _F.TYPE_FIXED64, ""),
        ("end_time_unix_nano", 8, _F.TYPE_FIXED64, ""),
        ("~attributes", 9, _F.TYPE_MESSAGE, "AnyValue"),
        ("dropped_attributes_count", 10, _F.TYPE_UINT32, ""),
        ("*events", 11, _F.TYPE_MESSAGE, "Event"),
        ("status", 15, _F.TYPE_MESSAGE, "Status"),
    ),
    "ScopeSpans": (
        ("scope", 1, _F.TYPE_MESSAGE, "Scope"),
        ("*spans", 2, _F.TYPE_BYTES, ""),
        ("schema_url", 3, _F.TYPE_STRING, ""),
    ),
    "ResourceSpans": (
        ("resource", 1, _F.TYPE_MESSAGE, "Resource"),
        ("*scope_spans", 2, _F.TYPE_MESSAGE, "ScopeSpans"),
        ("schema_url", 3, _F.TYPE_STRING, ""),
    ),
    "TracesRequest": (("*resource_spans", 1, _F.TYPE_MESSAGE, "ResourceSpans"),),
}


def _map_entry(owner: descriptor_pb2.DescriptorProto, field: str, value_type: str) -> str:
    """Declare the nested entry message protobuf wants behind `map<string, value_type> field`."""
    entry = owner.nested_type.add(name=field.title().replace("_", "") + "Entry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_F.TYPE_STRING, label=_F.LABEL_OPTIONAL)
    entry.field.add(
        name="value",
        number=2,
        type=_F.TYPE_MESSAGE,
        label=_F.LABEL_OPTIONAL,
        type_name=f".{_PACKAGE}.{value_type}",
    )
    return f".{_PACKAGE}.{owner.name}.{entry.name}"


def _declare(file: descriptor_pb2.FileDescriptorProto, name: str) -> None:
    owner = file.message_type.add(name=name)
    for spelled, number, kind, target in _SCHEMA[name]:
        mark, field = (spelled[0], spelled[1:]) if spelled[0] in "*~?" else ("", spelled)
        added = owner.field.add(name=field, number=number, type=kind)
        added.label = _F.LABEL_REPEATED if mark in ("*", "~") else _F.LABEL_OPTIONAL
        if mark == "~":
            added.type_name = _map_entry(owner, field, target)
        elif target:
            added.type_name = f".{_PACKAGE}.{target}"
        if mark == "?":
            if not owner.oneof_decl:
                owner.oneof_decl.add(name="value")
            added.oneof_index = 0


def _messages() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="spanledger/otlp.proto", package=_PACKAGE, syntax="proto3")
    for name in _SCHEMA:
        _declare(file, name)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _SCHEMA}


_CLASSES: Final = _messages()
# The classes are made at run time, so the type checker sees `Any`; the names say what they are.
TracesRequest: Any = _CLASSES["TracesRequest"]
ResourceSpans: Any = _CLASSES["ResourceSpans"]
ScopeSpans: Any = _CLASSES["ScopeSpans"]
Resource: Any = _CLASSES["Resource"]
Scope: Any = _CLASSES["Scope"]
Span: Any = _CLASSES["Span"]
AnyValue: Any = _CLASSES["AnyValue"]


def parse_traces(body: bytes) -> Any:
    """An ExportTraceServiceRequest with its spans still encoded. Raises `InvalidRequest` if the envelope is broken."""
    try:
        return TracesRequest.FromString(body)
    except message.DecodeError as error:
        raise InvalidRequest(
            f"the body is not an ExportTraceServiceRequest ({error}); check the exporter's protocol and content type"
        ) from error


def count_spans(request: Any) -> int:
    """How many spans a request holds."""
    return sum(len(part.spans) for group in request.resource_spans for part in group.scope_spans)
