"""The protobuf JSON mapping, reading direction, driven by descriptors.

The library's own `json_format` cannot be used: it reads ids as base64, repeats values in its errors, and stops at the
first fault of a request. Rules: protobuf.dev, "ProtoJSON Format".
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

MAX_DEPTH: Final = 64
"""Objects inside one another. Protobuf readers stop at 100 messages, and what is read here is read again."""

_KEY_VALUE: Final = "opentelemetry.proto.common.v1.KeyValue"
_HEX_FIELDS: Final = frozenset({"trace_id", "span_id", "parent_span_id"})
_INTEGER: Final = re.compile(r"-?[0-9]{1,20}")
_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE: Final = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_LONGEST_NUMBER: Final = 400

Read: TypeAlias = Callable[[Any], Any]
Store: TypeAlias = Callable[[Any, Any, int], None]
"""Puts a JSON value into one field of a message; the number is how much deeper it may go."""
Plan: TypeAlias = dict[str, Store]
"""What to do with each key of a JSON object, in both spellings; other keys are ignored."""


class Malformed(Exception):
    """A value of the wrong type: where it is and what should be there. The place grows outwards as it is raised."""

    def __init__(self, expected: str, place: str = "") -> None:
        super().__init__(expected)
        self.expected = expected
        self.place = place

    def inside(self, outer: str) -> None:
        """Say in which field or element the place is."""
        joint = "." if self.place and not self.place.startswith("[") else ""
        self.place = f"{outer}{joint}{self.place}"

    def __str__(self) -> str:
        return f"{self.place or 'the body'} is not {self.expected}"


def fill(message: Any, data: Any, plan: Plan, depth: int = MAX_DEPTH) -> None:
    """Set the fields of a message from a JSON object. Raises `Malformed`; the message is half filled then."""
    if type(data) is not dict:
        raise Malformed("an object")
    if depth <= 0:
        raise Malformed(f"nested at most {MAX_DEPTH} deep")
    for key, value in data.items():
        store = plan.get(key)
        if store is None or value is None:
            continue
        try:
            store(message, value, depth - 1)
        except Malformed as error:
            error.inside(key)
            raise


def plan_of(descriptor: Descriptor, without: str = "") -> Plan:
    """How to read one type of message; the field `without` is left to the caller."""
    if without:
        skipped = descriptor.fields_by_name[without]
        return {
            key: store for key, store in plan_of(descriptor).items() if key not in (skipped.name, skipped.json_name)
        }
    known = _PLANS.get(descriptor.full_name)
    if known is not None:
        return known
    plan = _PLANS[descriptor.full_name] = {}  # registered before it is complete: AnyValue holds itself
    for field in descriptor.fields:
        plan[field.json_name] = plan[field.name] = _store(field)
    return plan


_PLANS: Final[dict[str, Plan]] = {}


def _store(field: FieldDescriptor) -> Store:
    if field.message_type is not None:
        inner = plan_of(field.message_type)
        if field.is_repeated:
            store = _store_messages(field.name, inner, attributes=field.message_type.full_name == _KEY_VALUE)
        else:
            store = _store_message(field.name, inner)
    else:
        read = _reader(field)
        store = _store_scalars(field.name, read) if field.is_repeated else _store_scalar(field.name, read)
    return store if field.containing_oneof is None else _store_once(store, field.containing_oneof.name)


def _store_scalar(name: str, read: Read) -> Store:
    def store(message: Any, value: Any, depth: int) -> None:
        setattr(message, name, read(value))

    return store


def _store_scalars(name: str, read: Read) -> Store:
    def store(message: Any, value: Any, depth: int) -> None:
        target = getattr(message, name)
        for index, element in enumerate(_list(value)):
            try:
                target.append(read(element))
            except Malformed as error:
                error.inside(f"[{index}]")
                raise

    return store


def _store_message(name: str, inner: Plan) -> Store:
    def store(message: Any, value: Any, depth: int) -> None:
        target = getattr(message, name)
        target.SetInParent()
        fill(target, value, inner, depth)

    return store


def _store_messages(name: str, inner: Plan, *, attributes: bool) -> Store:
    def store(message: Any, value: Any, depth: int) -> None:
        add = getattr(message, name).add
        for index, element in enumerate(_list(value)):
            if attributes and _add_text_attribute(add, element):
                continue
            try:
                fill(add(), element, inner, depth)
            except Malformed as error:
                error.inside(f"[{index}]")
                raise

    return store


def _add_text_attribute(add: Any, element: Any) -> bool:
    """Most of a trace request are attributes that are text: a short cut for exactly `{key, value: {stringValue}}`."""
    if type(element) is not dict or len(element) != 2:
        return False
    key, value = element.get("key"), element.get("value")
    if type(key) is not str or type(value) is not dict or len(value) != 1:
        return False
    text = value.get("stringValue")
    if type(text) is not str:
        return False
    attribute = add()
    attribute.key = key
    attribute.value.string_value = text
    return True


def _store_once(store: Store, oneof: str) -> Store:
    def store_once(message: Any, value: Any, depth: int) -> None:
        if message.WhichOneof(oneof) is not None:
            raise Malformed("alone: only one kind of value may be given")
        store(message, value, depth)

    return store_once


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise Malformed("a list")
    return value


def _reader(field: FieldDescriptor) -> Read:
    if field.enum_type is not None:
        return _enum(field.enum_type)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _hex if field.name in _HEX_FIELDS else _base64
    return _READERS[field.type]


def _integer(low: int, high: int) -> Read:
    def read(value: Any) -> int:
        if type(value) is int:
            number = value
        elif (type(value) is str and _INTEGER.fullmatch(value)) or (type(value) is float and value.is_integer()):
            number = int(value)
        else:
            raise Malformed("an integer")
        if not low <= number <= high:
            raise Malformed(f"an integer between {low} and {high}")
        return number

    return read


def _double(value: Any) -> float:
    if type(value) is float or type(value) is int:
        return float(value)
    if type(value) is str:
        if value in _NOT_FINITE:
            return _NOT_FINITE[value]
        if len(value) <= _LONGEST_NUMBER and _NUMBER.fullmatch(value):
            return float(value)
    raise Malformed("a number")


def _string(value: Any) -> str:
    if type(value) is not str:
        raise Malformed("a string")
    return value


def _bool(value: Any) -> bool:
    if type(value) is not bool:
        raise Malformed("true or false")
    return value


def _hex(value: Any) -> bytes:
    try:
        return binascii.unhexlify(_string(value))
    except ValueError:
        raise Malformed("an id in hex digits") from None


def _base64(value: Any) -> bytes:
    text = _string(value).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError:
        raise Malformed("bytes in base64") from None


def _enum(enum: EnumDescriptor) -> Read:
    number = _integer(-(1 << 31), (1 << 31) - 1)
    names = {value.name: value.number for value in enum.values}

    def read(value: Any) -> int:
        known = names.get(value) if type(value) is str else None
        if known is not None:
            return known
        try:
            return int(number(value))
        except Malformed:
            raise Malformed(f"a {enum.name}") from None

    return read


_INT32: Final = _integer(-(1 << 31), (1 << 31) - 1)
_UINT32: Final = _integer(0, (1 << 32) - 1)
_INT64: Final = _integer(-(1 << 63), (1 << 63) - 1)
_UINT64: Final = _integer(0, (1 << 64) - 1)
_READERS: Final[dict[int, Read]] = {
    FieldDescriptor.TYPE_STRING: _string,
    FieldDescriptor.TYPE_BOOL: _bool,
    FieldDescriptor.TYPE_DOUBLE: _double,
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_UINT32: _UINT32,
    FieldDescriptor.TYPE_FIXED32: _UINT32,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_FIXED64: _UINT64,
    FieldDescriptor.TYPE_UINT64: _UINT64,
}
