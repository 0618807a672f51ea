"""Names: which provider bills, and which spellings of a model id mean the same model.

Nothing here guesses: a spelling is only derived by taking off what provably is not part of the model's name (a
publisher path, a gateway's provider prefix, an ARN), never by shortening a name until something matches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from re import IGNORECASE
from re import compile as compile_regex
from typing import Any, Final, NamedTuple

_PATHS: Final = compile_regex(
    r"^(?:projects/[^/]+/)?(?:locations/(?P<location>[^/]+)/)?publishers/(?P<maker>[^/]+)/models/|^models/"
)
_ARN: Final = compile_regex(r"^arn:[^:]*:bedrock:[^:]*:[^:]*:(?:inference-profile|foundation-model)/(.+)$", IGNORECASE)
_AT_VERSION: Final = compile_regex(r"@(\d{8}|\d{3})$")
_AT_MOVING: Final = compile_regex(r"@(?:default|latest)$")
_CONTEXT_WINDOW: Final = compile_regex(r"\[\d+m\]$")
_SNAPSHOT: Final = compile_regex(r"[-@](?:\d{8}|\d{4}-\d{2}-\d{2})(?:-v\d+(?::\d+)?)?$")
_BEDROCK_SHAPE: Final = compile_regex(
    r"^(?:(?:us|eu|apac|au|jp|in|ca|sa|global|us-gov)\.)?"
    r"(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek|openai|qwen|writer|stability|twelvelabs|luma)\."
)


class Provider(NamedTuple):
    """A provider and the provider names whose lines apply to it, most particular first."""

    name: str
    books: tuple[str, ...]
    """Whose list prices it charges: Azure sells OpenAI's models at OpenAI's."""
    own: tuple[str, ...]
    """Itself and the family it belongs to: an operator's lines for OpenAI say nothing about Azure."""


class Providers:
    """The provider map: every known spelling to its semantic-convention value.

    `others` are providers that have prices and go by one name only. `nonsense` are names that instrumentations write
    in the provider's place although they name none (frameworks, SDKs).
    """

    def __init__(
        self, table: Mapping[str, Mapping[str, Any]], others: Iterable[str] = (), nonsense: Iterable[str] = ()
    ) -> None:
        self._nonsense = frozenset(nonsense)
        self._providers = {}
        for name, row in table.items():
            families = (book for book in row["books"] if book not in table)
            self._providers[name] = Provider(name, (name, *row["books"]), (name, *families))
        self._spellings = {name: name for name in table}
        for name, row in table.items():
            for alias in row["aliases"]:
                self._spellings.setdefault(alias, name)
        for name in others:
            self._spellings.setdefault(name, name)

    def canonical(self, spelling: str) -> str:
        """The semantic-convention value of a spelling; empty if it names no provider we know."""
        return self._spellings.get(spelling.strip().lower(), "")

    def is_nonsense(self, spelling: str) -> bool:
        """Does this say nothing about who bills?"""
        name = spelling.strip().lower()
        return not name or name in self._nonsense

    def get(self, name: str) -> Provider:
        """A provider by its canonical name; an unknown one has only its own lines (an operator's)."""
        return self._providers.get(name) or Provider(name, (name,), (name,))

    def line_name(self, spelling: str) -> str:
        """The name a price line carries: families and globs stay, other spellings become canonical."""
        name = spelling.strip().lower()
        families = {book for provider in self._providers.values() for book in provider.books}
        return name if name in families else self.canonical(name) or name

    def prefix(self, model: str) -> tuple[str, str]:
        """(provider, rest) of a gateway's spelling such as `openai/gpt-4o` or `google-gla:gemini-2.5-pro`."""
        for separator in "/:":
            head, found, rest = model.partition(separator)
            if found and rest and (name := self.canonical(head)):
                return name, rest
        return "", model


def bare(model: str) -> str:
    """The id without publisher path, ARN, `@` version sign or context-window remark; lower case."""
    name = model.strip().lower()
    if arn := _ARN.match(name):
        name = arn[1]
    name = _PATHS.sub("", name)
    name = _CONTEXT_WINDOW.sub("", name)
    return _AT_VERSION.sub(r"-\1", _AT_MOVING.sub("", name))


def location(model: str) -> str:
    """The region in Vertex AI's path to a model; empty where it names none. Lower case."""
    path = _PATHS.match(model.strip().lower())
    return (path["location"] or "") if path else ""


@lru_cache(maxsize=4096)
def stem(name: str) -> str:
    """The name without the date of its snapshot; the name itself where it carries none."""
    return _SNAPSHOT.sub("", name)


def is_bedrock_id(name: str) -> bool:
    """Is this the shape only Amazon Bedrock gives to ids (`us.anthropic.…`, `amazon.nova-…`)?"""
    return bool(_BEDROCK_SHAPE.match(name))


def spellings(model: str, provider: Provider, providers: Providers) -> Iterator[str]:
    """Every spelling that means this model at this provider, the one in the span first; lower case."""
    name = model.strip().lower()
    if not name:
        return
    yield name
    plain = bare(name)
    if plain != name:
        yield plain
    path = _PATHS.match(name)
    if path and path["maker"]:
        # Vertex AI's own list calls the models of its partners by maker and name
        yield f"{path['maker']}/{plain}"
    maker, rest = providers.prefix(plain)
    if maker and (maker == provider.name or maker in provider.books or _same_house(maker, provider)):
        rest = bare(rest.removeprefix("converse/"))
        if rest != plain:
            yield rest


def _same_house(maker: str, provider: Provider) -> bool:
    """`google/gemini-…` at Vertex or Gemini: the prefix names the family, not another provider."""
    return maker.startswith("gcp.") and "google" in provider.books
