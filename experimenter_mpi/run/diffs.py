"""What a run's files hold that the commit lacks, as a unified diff."""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING

from .git import CHANGED, CLEAN, committed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Characters that are kept of it.
LONGEST_DIFF = 100_000
# A file with more bytes is named, not compared: difflib would take minutes.
_LONGEST_FILE = 1 << 20


def against_commit(
    root: str, texts: Mapping[str, bytes], states: Mapping[str, str]
) -> str:
    """Return how the files differ from the commit that is checked out.

    ``texts`` are the files as they were loaded, by their absolute paths in the
    repository at ``root``, and ``states`` says what git thinks of them. What exceeds
    100,000 characters is cut, and the last line says so.
    """
    changed = [path for path, state in states.items() if state == CHANGED]
    before = committed(root, changed)
    pieces: list[str] = []
    length = 0
    for path in sorted(path for path, state in states.items() if state != CLEAN):
        name = os.path.relpath(path, root)
        for line in _compared(name, before.get(path, b""), texts[path]):
            length += len(line)
            if length > LONGEST_DIFF:
                return "".join([*pieces, "[the rest of the diff is left out]\n"])
            pieces.append(line)
    return "".join(pieces)


def _compared(name: str, before: bytes | None, after: bytes) -> Iterator[str]:
    """Yield the lines of one file's diff; ``before`` is None where git failed."""
    if before is None:
        yield f"[git did not show {name} as it is in the commit]\n"
        return
    if max(len(before), len(after)) > _LONGEST_FILE:
        yield f"[{name} has {len(after):,} bytes and is not compared]\n"
        return
    old = _lines(before)
    source = f"a/{name}" if before else "/dev/null"
    for line in difflib.unified_diff(old, _lines(after), source, f"b/{name}"):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(text: bytes) -> list[str]:
    return text.decode("utf-8", "replace").replace("\0", "\ufffd").splitlines(True)
