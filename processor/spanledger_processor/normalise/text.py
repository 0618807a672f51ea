"""What becomes of names that other people chose (DESIGN.md 4): bounded, without control characters, else untouched."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Final

MAX_BYTES: Final = 256
_HEAD_BYTES: Final = 240
_HASH_DIGITS: Final = 12
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def clean(text: str) -> str:
    """Control characters become U+FFFD; above 256 bytes it is the first 240 and a 12-digit hash of all of it."""
    if len(text) <= MAX_BYTES // 4 and text.isprintable():
        return text
    text = _CONTROL.sub("\ufffd", text)
    encoded = text.encode()
    if len(encoded) <= MAX_BYTES:
        return text
    digest = hashlib.sha256(encoded).hexdigest()[:_HASH_DIGITS]
    return encoded[:_HEAD_BYTES].decode(errors="ignore") + digest


def leaf(name: str) -> str:
    """A key's spelling without case and separators: `customerId`, `customer.id` and `customer_id` are one leaf."""
    return name.lower().replace("_", "").replace(".", "").replace("-", "")


def unquoted(text: str) -> str:
    """Some instrumentations write names JSON-encoded: `"customer-acme"`, quotes and all."""
    if len(text) > 2 and text[0] == '"' and text[-1] == '"':
        try:
            decoded = json.loads(text)
        except ValueError:
            return text
        return decoded if isinstance(decoded, str) else text
    return text
