"""Errors in ClickHouse's terms: a numeric code, a name, a text, and the HTTP status clients expect with them."""

from __future__ import annotations

import re
from typing import Final

from spanledger_core.errors import SpanledgerError

_NAMES: Final = {
    6: "CANNOT_PARSE_TEXT",
    36: "BAD_ARGUMENTS",
    48: "NOT_IMPLEMENTED",
    60: "UNKNOWN_TABLE",
    62: "SYNTAX_ERROR",
    73: "UNKNOWN_FORMAT",
    81: "UNKNOWN_DATABASE",
    115: "UNKNOWN_SETTING",
    159: "TIMEOUT_EXCEEDED",
    164: "READONLY",
    167: "TOO_DEEP_AST",
    194: "REQUIRED_PASSWORD",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    210: "NETWORK_ERROR",
    372: "SESSION_NOT_FOUND",
    396: "TOO_MANY_ROWS_OR_BYTES",
    452: "SETTING_CONSTRAINT_VIOLATION",
    456: "UNKNOWN_QUERY_PARAMETER",
    457: "BAD_QUERY_PARAMETER",
    497: "ACCESS_DENIED",
    516: "AUTHENTICATION_FAILED",
    734: "SESSION_ID_EMPTY",
    1001: "STD_EXCEPTION",
}
_STATUS: Final = {
    400: (6, 26, 27, 36, 38, 41, 43, 44, 53, 56, 62, 69, 72, 117, 162, 167, 168, 306, 307, 427, 456, 457, 675, 676),
    401: (194,),
    403: (164, 192, 193, 497, 516),
    404: (46, 47, 50, 60, 63, 73, 81, 115, 152, 372),
    408: (159,),
    413: (223,),
    501: (48,),
    503: (202, 203, 210),
}
_STATUS_OF: Final = {code: status for status, codes in _STATUS.items() for code in codes}
_ENGINE_ERROR: Final = re.compile(r"Code: (\d+)\. (?:DB::Exception: )?(.*)", re.DOTALL)
_NAME_AT_END: Final = re.compile(r"\s*\(([A-Z][A-Z0-9_]+)\)\s*$")
# The text is parsed inside a query of ours, whose words mean nothing to the client.
_OUR_SCOPE: Final = re.compile(r": In scope (?:WITH|SELECT) .*", re.DOTALL)
_LONGEST_TEXT: Final = 4000
_REPEATED_CODE: Final = re.compile(r"^(?:Code: \d+\. )?(?:DB::Exception: )+")


class SqlError(SpanledgerError):
    """A query that was refused or failed; `str()` is the body of the reply."""

    def __init__(self, code: int, text: str, name: str = "", status: int = 0) -> None:
        self.code = code
        self.text = text
        self.name = name or _NAMES.get(code, "UNKNOWN_EXCEPTION")
        self.status = status or _STATUS_OF.get(code, 500)
        super().__init__(f"Code: {code}. DB::Exception: {text} ({self.name})")


def refused(text: str) -> SqlError:
    """What the endpoint does not allow (497)."""
    return SqlError(497, text)


def from_engine(error: Exception, *, while_parsing: bool = False) -> SqlError:
    """The engine's own error, taken from the text of the exception that the binding raises."""
    text = str(error)
    match = _ENGINE_ERROR.search(text)
    if match is None:
        return SqlError(1001, text.strip())
    code, rest = int(match[1]), _REPEATED_CODE.sub("", match[2].strip())
    named = _NAME_AT_END.search(rest)
    name = named[1] if named else ""
    rest = _NAME_AT_END.sub("", rest)
    if while_parsing:
        rest = _OUR_SCOPE.sub("", rest)
    # The engine quotes whole statements.
    return SqlError(code, rest if len(rest) <= _LONGEST_TEXT else rest[:_LONGEST_TEXT] + "...", name)
