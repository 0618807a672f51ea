"""Reading JSON and Python reprs: what is found, and what is refused without harm."""

from __future__ import annotations

import time
from typing import Any

import pytest

from spanledger_processor.normalise.documents import at, from_object_repr, parse


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ('{"a": [1, null]}', {"a": [1, None]}),
        ("{'a': None, 'b': True, 'c': (1, 2)}", {"a": None, "b": True, "c": (1, 2)}),
        (" [1] ", [1]),
        ("plain words", None),
        ("", None),
        ("{", None),
        ("{'a': __import__('os').system('true')}", None),
        ("{'a': open('/etc/passwd')}", None),
        ("{'a': 2 ** 9999999}", None),
        ("{'a': " + "[" * 5000 + "]" * 5000 + "}", None),
        ('{"a": ' + "[" * 5000 + "]" * 5000 + "}", None),
        ("{'a': '" + "x" * 100_000 + "'}", None),
        ('{"a": "' + "x" * 2_000_000 + '"}', None),
        ("{'a':\x00}", None),
    ],
)
def test_parse(text: str, parsed: Any) -> None:
    assert parse(text) == parsed


def test_parsing_is_bounded_in_time() -> None:
    start = time.process_time()
    for text in ("{'" + "a" * 60_000, "{" * 65_000, "{'a': " + "-" * 60_000 + "1}", "[" * 100_000):
        assert parse(text) is None
    for text in ("usage=Usage(" + "a" * 4000, "usage=" * 600, "x(id='" + "a" * 4000, "a=" * 2000):
        from_object_repr(text)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (("a", "b"), 1),
        (("list", "1"), "y"),
        (("list", "9"), None),
        (("list", "x"), None),
        (("details", "?modality=AUDIO", "count"), 7),
        (("details", "?modality=VIDEO", "count"), None),
        (("a", "b", "c"), None),
        ((), {"a": {"b": 1}, "list": ["x", "y"], "details": [{"modality": "TEXT"}, {"modality": "AUDIO", "count": 7}]}),
    ],
)
def test_paths(path: tuple[str, ...], found: Any) -> None:
    document = {"a": {"b": 1}, "list": ["x", "y"], "details": [{"modality": "TEXT"}, {"modality": "AUDIO", "count": 7}]}
    assert at(document, path) == found


def test_what_a_model_wrote_into_a_repr_is_not_its_usage() -> None:
    text = (
        "ChatCompletion(id='chatcmpl-12345678', choices=[Choice(content='usage=CompletionUsage(prompt_tokens=9)')], "
        "usage=CompletionUsage(prompt_tokens=5, details=Details(cached_tokens=2, x=None), total_tokens=6))"
    )
    assert from_object_repr(text) == (
        {"prompt_tokens": 5, "details": {"cached_tokens": 2}, "total_tokens": 6},
        "chatcmpl-12345678",
    )


@pytest.mark.parametrize(
    "text", ["", "usage=", "usage=Usage(", "usage=Usage(a=", "usage=Usage(a=B(", "Usage(a=1)", "usage=1"]
)
def test_broken_reprs_give_nothing_and_do_not_fail(text: str) -> None:
    found, identifier = from_object_repr(text)
    assert not found or found == {"a": {}}
    assert identifier is None
