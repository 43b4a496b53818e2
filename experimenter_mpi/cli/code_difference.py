"""What changed in the code from one run to another."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_COLUMNS = {
    "commit": "git_commit",
    "script": "script",
    "command line": "command_line",
    "python": "python_version",
    "experimenter_mpi": "package_version",
    "MPI library": "mpi_library",
}
_HASH_LENGTH = 12


class CodeChange(NamedTuple):
    """One thing that differs: its name, and what it was in each of the two runs."""

    what: str
    before: str | None
    after: str | None


def differences(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[CodeChange]:
    """Return what differs between two rows of ``runs``; files by their SHA-256."""
    pairs = [(name, before[c], after[c]) for name, c in _COLUMNS.items()]
    pairs.append(("uncommitted changes", _yes(before), _yes(after)))
    for column, kind in (("sources", "file"), ("packages", "package")):
        old, new = _entries(before[column]), _entries(after[column])
        names = dict.fromkeys([*old, *new])
        pairs += [(f"{kind} {name}", old.get(name), new.get(name)) for name in names]
    return [CodeChange(*pair) for pair in pairs if pair[1] != pair[2]]


def script_diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return a unified diff of the two scripts; empty where a text was not kept."""
    old, new = before["script_text"], after["script_text"]
    if old is None or new is None:
        return ""
    source, target = (f"run {row['id']}: {row['script']}" for row in (before, after))
    lines = old.splitlines(), new.splitlines()
    return "\n".join(difflib.unified_diff(*lines, source, target, lineterm=""))


def _yes(row: Mapping[str, Any]) -> str | None:
    return None if row["git_dirty"] is None else "yes" if row["git_dirty"] else "no"


def _entries(text: str | None) -> dict[str, str]:
    """Read a run's files or packages; a stranger's database may hold anything."""
    try:
        found = json.loads(text or "{}")
        return {str(name): _short(about) for name, about in found.items()}
    except (ValueError, RecursionError, AttributeError):
        return {}


def _short(about: Any) -> str:
    """Return how a file's SHA-256 begins, or a package's version."""
    if isinstance(about, dict):
        return str(about.get("sha256"))[:_HASH_LENGTH]
    return str(about)
