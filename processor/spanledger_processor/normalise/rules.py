"""The declared attributes compiled for one dialect: which name is what."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from typing import Final

from spanledger_processor.normalise.schema import Dialect, Document, Tables, globs
from spanledger_processor.normalise.settings import NormaliserSettings
from spanledger_processor.normalise.text import clean, leaf

IGNORE: Final = 0
ABOUT: Final = 1
FIGURE: Final = 2
DETAIL: Final = 3
IDENTITY: Final = 4
DOCUMENT: Final = 5

VALUES_PER_RULE: Final = 512
IGNORED_PER_RULE: Final = 64
_AFTER_ATTRIBUTES: Final = 1000


class Rule:
    """What to do with one attribute name. Compared by identity."""

    __slots__ = ("document", "field", "key", "kind", "rank", "room", "strong")

    def __init__(
        self, kind: int, field: str, key: str, rank: int = 0, *, strong: bool = True, document: Document | None = None
    ) -> None:
        self.kind = kind
        self.field = field
        """Field of attributes.yaml; empty for marks, which go by their own name."""
        self.key = key
        self.rank = rank
        """Of two attributes for one field the lower rank wins."""
        self.strong = strong
        """False: says nothing about a model call by itself, such as an HTTP status."""
        self.document = document
        self.room = 0
        """How many more of its values may be remembered."""
        self.reset()

    def reset(self) -> None:
        """Nothing of it is remembered any more."""
        self.room = IGNORED_PER_RULE if self.kind == IGNORE else VALUES_PER_RULE

    def named(self, key: str, rank: int) -> Rule:
        """The same for another attribute name."""
        return Rule(self.kind, self.field, key, rank, strong=self.strong, document=self.document)


class Atom:
    """One value of one `ABOUT` rule. Compared by identity: equal values are one object until memory is renewed."""

    __slots__ = ("rule", "strong", "value")

    def __init__(self, rule: Rule, value: str) -> None:
        self.rule = rule
        self.value = value
        self.strong = rule.strong


class Rules:
    """All rules of one dialect, by attribute name."""

    def __init__(self, tables: Tables, dialect: Dialect, scope_name: str, settings: NormaliserSettings) -> None:
        self._tables = tables
        self._settings = settings
        self.dialect = dialect
        self.agent_names = (*settings.attributes.get("agent", ()), *tables.agents.names)
        self.exact: dict[bytes, Rule] = {}
        self._globs: list[tuple[re.Pattern[str], Rule]] = []
        self._leaves: dict[str, Rule] = {}
        self._documents: dict[tuple[int, str, str], Rule] = {}
        self._keep = globs(settings.keep_attributes)
        self._compile_attributes()
        self._compile_leaves()
        self._compile_documents(scope_name)
        for key in dialect.ignore:
            self.exact[key.encode()] = Rule(IGNORE, "", key)

    @property
    def keeps(self) -> bool:
        """True if the operator asked to keep any attribute."""
        return self._keep is not None

    def kept_name(self, key: str) -> str:
        """Under which name an attribute goes into a row: empty unless the operator asked for it; never content,
        nor in plain what is to be hashed.
        """
        asked = self._keep is not None and self._keep.match(key) is not None
        if not asked or self._tables.content.match(key):
            return ""
        rule = self.exact.get(key.encode()) or self.resolve(key)
        is_hashed = rule.kind == IDENTITY and rule.field in self._settings.hash_identifiers
        return "" if is_hashed else clean(key)

    def resolve(self, key: str) -> Rule:
        """The rule for a name that has none of its own: a family's, a pattern's, or one that ignores it."""
        for order, prefix in enumerate(self._tables.attributes.families):
            if key.startswith(prefix):
                found = self._leaves.get(leaf(key[len(prefix) :]))
                return (
                    found.named(key if found.field else found.key, found.rank * 10 + order) if found else _ignore(key)
                )
        for pattern, rule in self._globs:
            if pattern.match(key):
                return rule.named(key, rule.rank)
        return _ignore(key)

    def leaf(self, name: str) -> Rule | None:
        """The rule for a key in a map of the application's own."""
        return self._leaves.get(leaf(name))

    def of_document(self, kind: int, field: str, mark: str = "") -> Rule:
        """The rule of a field or mark read from a document: after every attribute for it."""
        key = (kind, field, mark)
        return self._documents.get(key) or self._documents.setdefault(
            key, Rule(kind, field, mark or field, _AFTER_ATTRIBUTES)
        )

    # ------------------------------------------------------------------ compiling

    def _compile_attributes(self) -> None:
        table, settings = self._tables.attributes, self._settings
        marks = (*self.dialect.fields_.get("mark", ()), *settings.attributes.get("agent", ()), *table.about["marks"])
        self._add(ABOUT, "", marks)
        for section, kind, fields in (
            ("about", ABOUT, table.about),
            ("about_if_relevant", ABOUT, table.about_if_relevant),
            ("usage", FIGURE, table.usage),
            ("details", DETAIL, table.details),
        ):
            for field, keys in fields.items():
                if field != "marks":
                    self._add(kind, field, self._ordered(section, field, keys), strong=section != "about_if_relevant")
        self._add(ABOUT if settings.agent_id_is_key else DETAIL, "agent_id", self._tables.agents.ids)
        for field, names in table.identity.items():
            own = (*settings.attributes.get(field, ()), *self._ordered("identity", field, names.exact))
            # a mark stays one: the reading hands it on as an identity
            self._add(IDENTITY, field, [key for key in own if key not in table.about["marks"]])

    def _compile_leaves(self) -> None:
        for field, names in self._tables.attributes.identity.items():
            for rank, name in enumerate(names.leaves):
                self._leaves[name] = Rule(IDENTITY, field, name, _AFTER_ATTRIBUTES + rank)
        for name, key in self._tables.attributes.family_leaves.items():
            self._leaves[name] = self.exact.get(key.encode()) or Rule(ABOUT, "", key)

    def _compile_documents(self, scope_name: str) -> None:
        for order, document in enumerate(self._tables.documents.documents):
            if document.scopes is None or document.scopes.match(scope_name):
                for key in document.attributes:
                    self._set(key, Rule(DOCUMENT, document.kind, key, order, document=document))

    def _ordered(self, section: str, field: str, keys: tuple[str, ...]) -> tuple[str, ...]:
        own = self.dialect.fields_.get(f"{section}.{field}", ())
        front = self.dialect.prefer.get(field, ())
        return (*own, *front, *(key for key in keys if key not in front))

    def _add(self, kind: int, field: str, keys: Iterable[str], strong: bool = True) -> None:
        for rank, key in enumerate(keys):
            self._set(key, Rule(kind, field, key, rank, strong=strong))

    def _set(self, key: str, rule: Rule) -> None:
        if "*" in key:
            self._globs.append((re.compile(translate(key)), rule))
        else:
            self.exact[key.encode()] = rule


def _ignore(key: str) -> Rule:
    return Rule(IGNORE, "", key)
