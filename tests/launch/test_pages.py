"""Pages for users are run, as the README is."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.pages import check_consoles, check_snippets

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.launches
@pytest.mark.parametrize(
    "name", ["random-numbers.md", "what-to-try.md", "extending.md", "schema.md"]
)
def test_a_page_shows_what_happens(name, tmp_path):
    check_consoles(DOCS / name, tmp_path)
    check_snippets(DOCS / name, tmp_path)
