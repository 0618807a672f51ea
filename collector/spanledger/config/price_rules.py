"""Rules about prices as an operator writes them."""

from __future__ import annotations

from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from spanledger.config.section import Section

CONDITIONS: Final = ("provider", "model", "service_name", "environment")


def _as_text(value: Any) -> Any:
    """`batch: true` means the text `true`."""
    return str(value).lower() if isinstance(value, bool) else value


def _as_key(value: Any) -> Any:
    """As contexts spell it: lower case, like the conditions of a price line."""
    return value.strip().lower() if isinstance(value, str) else value


Text = Annotated[str, Field(min_length=1), BeforeValidator(_as_text)]
Key = Annotated[str, Field(min_length=1), BeforeValidator(_as_key)]


class RuleLine(Section):
    """What holds for calls that meet all conditions, which are globs. Of two rules that set one key the first wins;
    what a span or its resource says wins over both."""

    model_config = ConfigDict(validate_by_name=False, serialize_by_alias=True)

    provider: str = ""
    """Who bills: a provider, a family (`azure`, `google`) or a glob."""
    model: str = ""
    """The response or request model, as the span spells it."""
    service_name: str = ""
    """`service.name` of the process."""
    environment: str = ""
    """`deployment.environment.name` of the process."""
    set: dict[Key, Text] = Field(default={})
    """Price contexts: `{batch: true}`, `{region: eu}`, or any other key that a price line names."""
    priced_as: Annotated[str, Field(alias="as")] = ""
    """The model to price it as. A known model that answered is priced as itself, unless `model` names it in full."""

    @model_validator(mode="after")
    def _says_when_and_what(self) -> Self:
        if not any(getattr(self, name) for name in CONDITIONS):
            raise ValueError(f"needs a condition: {', '.join(CONDITIONS)}")
        if not self.set and not self.priced_as:
            raise ValueError("needs an effect: set or as")
        return self
