"""The encoded span as the normaliser reads it: attributes stay bytes until somebody wants one.

A span's attributes are declared `repeated bytes`: protobuf then only cuts the span into pieces, and the key of an
attribute is a slice of its piece. Reading 16 of 22 attributes this way costs less than half of what the map of
`spanledger_core.otlp` costs. The layout assumed by the slices is what every encoder writes (key first, one-byte key
length, then the value); pieces of any other layout are brought to it by protobuf itself.
"""

from __future__ import annotations

import re
import struct
from itertools import islice
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from spanledger_core import otlp

KEY_TAG: Final = 0x0A
VALUE_TAG: Final = 0x12
STRING_TAG: Final = 0x0A
INT_TAG: Final = 0x18
DOUBLE_TAG: Final = 0x21
ARRAY_TAG: Final = 0x2A
_SIGN: Final = 1 << 63
_WRAP: Final = 1 << 64
_DOUBLE: Final = struct.Struct("<d")
_MAX_ELEMENTS: Final = 256
"""Elements of an array or map that are looked at."""
_MAX_DEPTH: Final = 8
_MAX_SECONDS: Final = 1e10

BAD: Final = -1
"""Stands for a figure that is no count: a fraction, an infinity, a text like `1e999`."""
_NUMBER: Final = re.compile(r"\s*[+-]?\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,3})?\s*", re.ASCII)

Scalar = str | int | float | bool | None


def _messages() -> tuple[Any, Any, Any]:
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="spanledger/pieces.proto", package="spanledger.pieces", syntax="proto3"
    )
    span = file.message_type.add(name="Span")
    for name, number, kind, label in (
        ("trace_id", 1, field.TYPE_BYTES, field.LABEL_OPTIONAL),
        ("span_id", 2, field.TYPE_BYTES, field.LABEL_OPTIONAL),
        ("trace_state", 3, field.TYPE_BYTES, field.LABEL_OPTIONAL),
        ("parent_span_id", 4, field.TYPE_BYTES, field.LABEL_OPTIONAL),
        ("name", 5, field.TYPE_BYTES, field.LABEL_OPTIONAL),
        ("start_time_unix_nano", 7, field.TYPE_FIXED64, field.LABEL_OPTIONAL),
        ("end_time_unix_nano", 8, field.TYPE_FIXED64, field.LABEL_OPTIONAL),
        ("attributes", 9, field.TYPE_BYTES, field.LABEL_REPEATED),
        ("dropped_attributes_count", 10, field.TYPE_UINT32, field.LABEL_OPTIONAL),
        ("status", 15, field.TYPE_BYTES, field.LABEL_OPTIONAL),
    ):
        span.field.add(name=name, number=number, type=kind, label=label)
    scope = file.message_type.add(name="ScopeSpans")
    scope.field.add(
        name="spans", number=2, type=field.TYPE_MESSAGE, label=field.LABEL_REPEATED, type_name=".spanledger.pieces.Span"
    )
    pair = file.message_type.add(name="Pair")
    for name, number in (("key", 1), ("value", 2)):
        pair.field.add(name=name, number=number, type=field.TYPE_BYTES, label=field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return tuple(  # type: ignore[return-value]
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"spanledger.pieces.{name}"))
        for name in ("Span", "ScopeSpans", "Pair")
    )


# Made at run time, so the type checker sees `Any`; the fields are those of `_messages`.
Span, _ScopeSpans, Pair = _messages()


def spans_of(scope_spans: bytes) -> Any:
    """The spans of an encoded ScopeSpans as `Span`s. Raises `google.protobuf.message.DecodeError` if one is malformed.

    One by one they are dearer to parse, and worse: protobuf gives memory back to the system each time it has freed
    10,000 blocks (`malloc_trim`), and a message is a handful of blocks however many spans are in it.
    """
    return _ScopeSpans.FromString(scope_spans).spans


class OddLayout(Exception):
    """An attribute is not laid out as every encoder does it: `canonical` brings it there."""


def canonical(piece: bytes) -> bytes | None:
    """The same KeyValue in the usual layout; None where its key is empty or too long to be one we know.

    Raises `google.protobuf.message.DecodeError` if the bytes are no KeyValue.
    """
    pair = Pair.FromString(piece)
    if not 0 < len(pair.key) < 128:
        return None
    value = otlp.AnyValue.FromString(pair.value).SerializeToString()
    return bytes(Pair(key=pair.key, value=value).SerializeToString()) if value else None


def value_of(piece: bytes, end: int) -> Scalar:
    """The value of a KeyValue whose key ends at `end`. Arrays give their first scalar; maps and bytes None.

    Raises `google.protobuf.message.DecodeError` if the bytes are no AnyValue.
    """
    length = piece[end + 1]
    if piece[end] != VALUE_TAG:
        raise OddLayout
    if 1 < length < 128 and end + 2 + length == len(piece):
        tag = piece[end + 2]
        if tag == STRING_TAG and piece[end + 3] == length - 2 and length > 1:
            return piece[end + 4 :].decode("utf-8", "replace")
        if tag == INT_TAG and length == 2 and piece[end + 3] < 128:
            return piece[end + 3]
        if tag == DOUBLE_TAG and length == 9:
            number: float = _DOUBLE.unpack_from(piece, end + 3)[0]
            return number
    return scalar(otlp.AnyValue.FromString(Pair.FromString(piece).value))


def figure_of(piece: bytes, end: int) -> int | None:
    """A value as a count: `BAD` for numbers that are none, None for what is no number. Small integers come cheap."""
    if piece[end] == VALUE_TAG and piece[end + 2] == INT_TAG:
        size = len(piece) - end
        low = piece[end + 3]
        if low < 128:
            if size == 4:
                return low
        elif size == 5:
            high = piece[end + 4]
            if high < 128:
                return low & 127 | high << 7
    if ARRAY_TAG in piece[end + 2 : end + 4] and _is_list(piece):
        return None
    return count_of(value_of(piece, end))


def _is_list(piece: bytes) -> bool:
    """Several counts are none, and nobody knows which is meant."""
    return len(otlp.AnyValue.FromString(Pair.FromString(piece).value).array_value.values) > 1


def count_of(value: object) -> int | None:
    """A figure as an integer: `BAD` for numbers that are no count, None for what is no number."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value) if set("eE.") & set(value) else int(value)
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if abs(value) < 1e18 and value == int(value) else BAD
    return None


def seconds_of(piece: bytes, end: int) -> int:
    """A duration that `figure_of` finds `BAD`: the nearest second, as it is billed, and no fraction for nothing."""
    value = value_of(piece, end)
    seconds = float(value) if isinstance(value, (str, float)) else 0.0
    return max(1, round(seconds)) if 0 < seconds < _MAX_SECONDS else BAD


def scalar(value: Any) -> Scalar:
    """The scalar in an AnyValue; of an array its first one."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        for element in value.array_value.values[:_MAX_ELEMENTS]:
            found = scalar(element)
            if found is not None:
                return found
        return None
    if kind in (None, "kvlist_value", "bytes_value"):
        return None
    plain: Scalar = getattr(value, kind)
    return plain


def text_of(piece: bytes, end: int) -> str | None:
    """The value as text: numbers in decimal, booleans as `true` and `false`."""
    value = value_of(piece, end)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def document_value(piece: bytes) -> Any:
    """A text, or a map or list value as plain Python within bounds; None for other values."""
    end = piece[1] + 2
    if piece[end + 2 : end + 3] == b"\n":
        return text_of(piece, end)
    return _plain(otlp.AnyValue.FromString(Pair.FromString(piece).value), _MAX_DEPTH)


def _plain(value: Any, depth: int) -> Any:
    kind = value.WhichOneof("value")
    if kind == "kvlist_value" and depth:
        pairs = islice(value.kvlist_value.values.items(), _MAX_ELEMENTS)
        return {key: _plain(element, depth - 1) for key, element in pairs}
    if kind == "array_value" and depth:
        return [_plain(element, depth - 1) for element in value.array_value.values[:_MAX_ELEMENTS]]
    return scalar(value)


def status_code(status: bytes) -> int:
    """The code of an encoded Status: 0 unset, 1 ok, 2 error."""
    if not status:
        return 0
    if status[-2:-1] == b"\x18" and (len(status) == 2 or (status[0] == VALUE_TAG and status[1] == len(status) - 4)):
        return status[-1]
    code: int = otlp.Span.FromString(b"\x7a" + _varint(len(status)) + status).status.code
    return code


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
