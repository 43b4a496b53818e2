"""Where results came from: the code, host, command line, versions, git commit."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import socket
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from ..cluster.schedulers import job_id
from . import sources
from .git import CLEAN, Question, repository_of
from .package_versions import imported_by

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_SCRIPT = 1 << 20


class Code(NamedTuple):
    """The files that the code of a run comes from, and what git says of them.

    ``files`` says of each, by its path as seen from the script's folder, the SHA-256
    of what was loaded and its state in git. ``dirty`` is whether the commit lacks any
    of them as it is; None where that is not known. ``packages`` are the versions of
    the installed packages that the files import.
    """

    script: str | None
    text: bytes | None
    files: dict[str, dict[str, str | None]]
    commit: str | None
    dirty: bool | None
    packages: dict[str, str]
    diff: str | None = None

    def facts(self) -> dict[str, Any]:
        """Return what the ``runs`` table records of it."""
        text = self.text
        return {
            "script": self.script,
            "script_hash": None if text is None else _hash(text),
            "script_text": None if text is None else _shown(text),
            "sources": json.dumps(self.files),
            "git_commit": self.commit,
            "git_dirty": self.dirty,
            "git_diff": self.diff,
            "packages": json.dumps(self.packages),
        }


# The last question to git, and which texts of which files it was about.
_asked: dict[str, tuple[Any, Question | None]] = {}


def code(more: Iterable[str] = (), *, keep_diff: bool = False) -> Code:
    """Return where the code comes from that is loaded, and ``more`` files of it.

    With ``keep_diff`` also how it differs from the commit, where there is one.
    """
    script = sources.script_path()
    texts = sources.used(script, more)
    question = _ask(script, texts)
    commit, states = question.answer() if question else (None, None)
    folder = os.getcwd() if script is None else os.path.dirname(script)
    files = {
        os.path.relpath(path, folder): {
            "sha256": _hash(text),
            "git": None if states is None else states.get(path),
        }
        for path, text in sorted(texts.items())
    }
    dirty = any(state != CLEAN for state in states.values()) if states else None
    text = None if script is None else texts.get(script)
    diff = None
    if keep_diff and states:
        from .diffs import against_commit

        diff = against_commit(sources.root_of(script), texts, states)
    packages = imported_by(texts)
    return Code(script, text, files, commit, dirty, packages, diff)


def _ask(script: str | None, texts: dict[str, bytes]) -> Question | None:
    """Ask git, unless it was asked about the same; None outside of a repository."""
    key = script, {path: _hash(text) for path, text in texts.items()}
    known = _asked.get("last")
    if known is not None and known[0] == key:
        return known[1]
    if known is not None and known[1] is not None:
        known[1].abandon()
    root = sources.root_of(script)
    question = None
    if repository_of(root) == root:
        within = {path: repository_of(os.path.dirname(path)) for path in texts}
        mine = [path for path in sorted(texts) if within[path] == root]
        question = Question(root, mine)
    _asked["last"] = key, question
    return question


def _hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _shown(text: bytes) -> str | None:
    if len(text) > LONGEST_SCRIPT:
        return None
    return text.decode("utf-8", "replace").replace("\0", "\ufffd")


def facts(mode: str, ranks: int, mpi_library: str | None) -> dict[str, Any]:
    """Return what the ``runs`` table records of a run, but for its code."""
    return {
        "mode": mode,
        "ranks": ranks,
        "mpi_library": mpi_library,
        "hostname": socket.gethostname(),
        "pid": os.getpid(),
        "job_id": job_id(),
        "command_line": shlex.join(sys.orig_argv),
        "python_version": platform.python_version(),
        "package_version": _package_version(),
    }


def _package_version() -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(__name__.partition(".")[0])
    except PackageNotFoundError:  # run from a checkout that was never installed
        return None
