"""What every group of keys has in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


def without_empty(value: Any) -> Any:
    """A key left empty in YAML means its default."""
    return {key: each for key, each in value.items() if each is not None} if isinstance(value, dict) else value


class Section(BaseModel):
    """A group of keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_means_default(cls, value: Any) -> Any:
        return without_empty(value)
