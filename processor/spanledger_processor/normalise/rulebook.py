"""Reads the attributes of spans by the rules of one dialect: one dictionary look-up per attribute.

What repeats over spans (models, operations, agents) comes back as the same small object for the same bytes, so that a
combination of such values is recognised by identity and interpreted once (`spanledger_processor.normalise.reading`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from spanledger_processor.normalise.documents import at, first, leaves, load
from spanledger_processor.normalise.rules import ABOUT, DETAIL, FIGURE, IDENTITY, IGNORE, Atom, Rule, Rules
from spanledger_processor.normalise.schema import Document, Tables
from spanledger_processor.normalise.text import clean
from spanledger_processor.normalise.wire import (
    BAD,
    INT_TAG,
    KEY_TAG,
    VALUE_TAG,
    OddLayout,
    canonical,
    figure_of,
    seconds_of,
    text_of,
    value_of,
)

_SECONDS: Final = "unit.audio_seconds"
_MAX_UNKNOWN_KEYS: Final = 4096
_MAX_ATOMS: Final = 32768
_MAX_KNOWN: Final = 8192
_MAX_REMEMBERED_BYTES: Final = 200
_MAX_DOCUMENTS: Final = 2048
_MAX_REMEMBERED_DOCUMENT: Final = 2048
_MAX_SETTINGS: Final = 1 << 18
_TWO_BYTE_COUNT: Final = bytes((VALUE_TAG, 3, INT_TAG))
NOTHING: Final = b""
"""Stands for an attribute that says nothing; false, so that `filter` drops it."""

Parts = list[Atom | Rule]
"""Atoms, and the rules of figures, details and documents: all that the interpretation of a span depends on."""
Values = list[Any]
"""One value per figure or detail among the parts, in their order."""
Said = list[Rule | bytes | str]
"""Identities, in pairs: a rule and its attribute (bytes) or its value (text)."""
Known = Atom | tuple[Rule | bytes | str, ...] | bytes
"""What a whole attribute says: a value of `About`, an identity, or `NOTHING`."""
Gathered = tuple[Parts, Values, Said, list[bytes]]
"""The last: one attribute per usage document among the parts, in their order."""


class RuleBook:
    """The rules of one dialect, and what was read by them. Shared by threads; all it remembers is bounded."""

    def __init__(self, tables: Tables, rules: Rules) -> None:
        self._tables = tables
        self.rules = rules
        self.dialect = rules.dialect
        self._by_key = dict(rules.exact)
        self._counts = {
            bytes((KEY_TAG, len(key))) + key + _TWO_BYTE_COUNT: rule
            for key, rule in rules.exact.items()
            if rule.kind == FIGURE and len(key) < 128
        }
        """Figures from 128 to 16383, which most counts of tokens are, by all of their attribute but these two bytes."""
        self._unknown = 0
        self._kept_names: dict[bytes, str] = {}
        self._renew()

    def gather(self, pieces: Sequence[bytes]) -> Gathered:
        """Read the attributes of one span.

        Raises `OddLayout` (or IndexError) where a piece is not laid out as usual, and
        `google.protobuf.message.DecodeError` where it is no KeyValue.
        """
        parts: Parts = []
        values: Values = []
        said: Said = []
        documents: list[bytes] = []
        told: Iterator[Any] = map(self._known.get, pieces, pieces)
        rules, counts = self._by_key.get, self._counts.get
        # the look-up of whole attributes and the dropping of what says nothing run without the interpreter
        for piece in filter(None, told):
            if not isinstance(piece, bytes):
                if isinstance(piece, Atom):
                    parts.append(piece)
                else:
                    said += piece
                continue
            if piece[-3] == INT_TAG:
                rule = counts(piece[:-2])
                if rule is not None and piece[-2] > 127 >= piece[-1]:
                    parts.append(rule)
                    values.append(piece[-2] & 127 | piece[-1] << 7)
                    continue
            end = piece[1] + 2
            rule = rules(piece[2:end]) or self._resolve(piece, end)
            kind = rule.kind
            if kind == IGNORE:
                if rule.room:
                    self._remember(rule, piece, NOTHING)
            elif kind == FIGURE:
                number = figure_of(piece, end)
                if number == BAD and rule.field == _SECONDS:
                    number = seconds_of(piece, end)
                if number is not None:
                    parts.append(rule)
                    values.append(number)
            else:
                self._told((parts, values, said, documents), rule, piece, end)
        return parts, values, said, documents

    def atom(self, rule: Rule, text: str) -> Atom | None:
        """The one object for this value; None if the value is none."""
        if self.is_no_value(text):
            return None
        value = clean(text)
        atom = self._atoms.get((rule, value))
        if atom is None:
            if len(self._atoms) >= _MAX_ATOMS:
                self._renew()
            atom = self._atoms.setdefault((rule, value), Atom(rule, value))
        return atom

    def is_no_value(self, text: str) -> bool:
        """True for what instrumentations write where there is nothing."""
        no_values = self._tables.attributes.no_values
        return text in no_values.exact or text.startswith(no_values.prefixes)

    def kept(self, pieces: Sequence[bytes]) -> list[tuple[str, str]]:
        """The attributes the operator asked for, content excepted."""
        found = []
        for piece in pieces:
            key = piece[2 : piece[1] + 2] if len(piece) > 1 else b""
            name = self._kept_names.get(key)
            if name is None:
                name = self.rules.kept_name(key.decode("utf-8", "replace"))
                if len(self._kept_names) < _MAX_UNKNOWN_KEYS:
                    self._kept_names[key] = name
            usual = canonical(piece) if name else None
            value = text_of(usual, usual[1] + 2) if usual else None
            if value is not None:
                found.append((name, clean(value)))
        return found

    # ------------------------------------------------------------------ memory

    def _renew(self) -> None:
        """Start remembering anew. Other threads finish their span with what they hold."""
        for rule in list(self._by_key.values()):
            rule.reset()
        self._known: dict[bytes, Known] = {}
        self._atoms: dict[tuple[Rule, str], Atom] = {}
        self._documents: dict[bytes, tuple[Parts, Said]] = {}

    def _remember(self, rule: Rule, piece: bytes, known: Known) -> None:
        if not rule.room or len(piece) > _MAX_REMEMBERED_BYTES:
            return
        if len(self._known) >= _MAX_KNOWN:
            self._renew()
        rule.room -= 1
        self._known[piece] = known

    def _resolve(self, piece: bytes, end: int) -> Rule:
        """The rule of a name not seen before."""
        if piece[0] != KEY_TAG or end > 129:
            raise OddLayout
        encoded = piece[2:end]
        rule = self.rules.resolve(encoded.decode("utf-8", "replace"))
        if self._unknown < _MAX_UNKNOWN_KEYS:
            self._unknown += 1
            self._by_key[encoded] = rule
        return rule

    # ------------------------------------------------------------------ values

    def _told(self, gathered: Gathered, rule: Rule, piece: bytes, end: int) -> None:
        """What is neither a count nor nothing; `end` is where the value begins."""
        parts, values, said, documents = gathered
        kind = rule.kind
        if kind == DETAIL:
            value = value_of(piece, end)
            if value is not None and value != "":
                parts.append(rule)
                values.append(value)
        elif piece[end] != VALUE_TAG:
            raise OddLayout
        elif kind == IDENTITY:
            said += (rule, piece)
            self._remember(rule, piece, (rule, piece))
        else:
            self._interpreted(parts, said, documents, rule, piece)

    def _interpreted(self, parts: Parts, said: Said, documents: list[bytes], rule: Rule, piece: bytes) -> None:
        """What the interpretation depends on: a value of `About`, or a document.

        A usage document is read later, if the attributes leave a gap; settings are read at once.
        """
        if rule.kind == ABOUT:
            text = text_of(piece, piece[1] + 2)
            atom = None if text is None else self.atom(rule, text)
            self._remember(rule, piece, NOTHING if atom is None else atom)
            if atom is not None:
                parts.append(atom)
        elif rule.field == "usage":
            parts.append(rule)
            documents.append(piece)
        else:
            settings = self._settings(rule, piece)
            parts += settings[0]
            said += settings[1]

    def _settings(self, rule: Rule, piece: bytes) -> tuple[Parts, Said]:
        found = self._documents.get(piece)
        if found is None:
            assert rule.document is not None
            found = self._settings_of(rule.document, piece)
            if len(piece) <= _MAX_REMEMBERED_DOCUMENT:
                if len(self._documents) >= _MAX_DOCUMENTS:
                    self._documents = {}
                self._documents[piece] = found
        return found

    def _settings_of(self, document: Document, piece: bytes) -> tuple[Parts, Said]:
        """The atoms and identities in a document of kind `settings`."""
        parts: Parts = []
        said: Said = []
        if len(piece) > _MAX_SETTINGS or (document.needles and not any(needle in piece for needle in document.needles)):
            return parts, said
        parsed = load(piece)
        if not isinstance(parsed, dict) or not all(key in parsed for key in document.requires):
            return parts, said
        for kind, fields in ((ABOUT, document.about), (IDENTITY, document.identity)):
            for field, paths in fields.items():
                self._say(parts, said, self.rules.of_document(kind, field), first(parsed, paths))
        for mark, paths in document.marks.items():
            self._say(parts, said, self.rules.of_document(ABOUT, "", mark), first(parsed, paths))
        for path in document.leaves:
            for name, value in leaves(at(parsed, path)):
                rule = self.rules.leaf(name)
                if rule is not None:
                    self._say(parts, said, rule, value)
        return parts, said

    def _say(self, parts: Parts, said: Said, rule: Rule, value: object) -> None:
        if not isinstance(value, (str, int, float)):
            return
        text = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
        if rule.kind == IDENTITY:
            said += (rule, text)
            return
        atom = self.atom(rule, text)
        if atom is not None:
            parts.append(atom)
