"""Pages made from data are what their generators make."""

from __future__ import annotations

import pytest

from bench import instrumentations


@pytest.mark.corpus
def test_the_instrumentation_page_is_what_the_corpus_says() -> None:
    if not (instrumentations.CORPUS / "dev").is_dir():
        pytest.skip(f"no corpus at {instrumentations.CORPUS}")
    assert instrumentations.PAGE.read_text() == instrumentations.page(), "run python -m bench.instrumentations"
