"""Walking the configuration model by key path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from spanledger.config.yaml_file import KeyPath


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The section behind an annotation (`Tls | None`, `tuple[Token, ...]`), if there is one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, UnionType, Annotated, tuple):
        return next((found for part in get_args(annotation) if (found := section_of(part))), None)
    return None


def keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys of a section as a file spells them, in the order of declaration."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def child(model: type[BaseModel], path: KeyPath) -> Any:
    """The annotation a key path leads to, or None if there is no such key."""
    annotation: Any = model
    for part in path:
        section = section_of(annotation)
        if section is not None:
            if isinstance(part, int):
                continue
            field = keys(section).get(part)
            if field is None:
                return None
            annotation = field.annotation
        elif get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        elif not isinstance(part, int):
            return None
    return annotation


def paths(model: type[BaseModel], prefix: KeyPath = ()) -> Iterator[KeyPath]:
    """Every key path of the model, sections included, in the order of declaration."""
    for name, field in keys(model).items():
        here = (*prefix, name)
        yield here
        section = section_of(field.annotation)
        if section is not None:
            yield from paths(section, here)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two trees of values as one; where both have a value, `above` wins. Lists are replaced, not joined."""
    result = dict(below)
    for key, value in above.items():
        under = result.get(key)
        result[key] = merged(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return result
