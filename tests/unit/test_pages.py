"""What pages for contributors say of files is true: they are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "experimenter_mpi"
PAGES = ["docs/architecture.md", "docs/internals.md", "CONTRIBUTING.md"]
# What is announced and not written yet.
COMING = {"mpi/teams.py", "experiment/search.py"}


def named_files(page):
    """Return the Python files that a page names in backquotes, line by line.

    A file without a folder is in that of the file named before it, or in any.
    """
    for line in (ROOT / page).read_text().splitlines():
        folder = ""
        for name in re.findall(r"`([\w/]+\.py)`", line):
            folder = name.rpartition("/")[0] or folder
            yield name if "/" in name or not folder else f"{folder}/{name}"


@pytest.mark.parametrize("page", PAGES)
def test_the_files_that_a_page_names_are_there(page):
    missing = [
        name
        for name in named_files(page)
        if not any((root / name).exists() for root in (ROOT, PACKAGE))
        and not ("/" not in name and list(PACKAGE.rglob(name)))
    ]

    assert [name for name in missing if name not in COMING] == []


def test_every_folder_of_the_package_is_in_the_drawing():
    drawing = (ROOT / "docs/architecture.md").read_text()
    folders = [path.parent.name for path in PACKAGE.glob("*/__init__.py")]

    assert [name for name in folders if f"`{name}`" not in drawing] == []
