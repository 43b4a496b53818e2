"""Where results came from: host, command line, versions, git commit.

Git is a child process, and MPI forbids forking once it has started: ``collect_git``
is called before that.
"""

from __future__ import annotations

import os
import platform
import shlex
import socket
import sys
from typing import Any, NamedTuple

from .cluster.schedulers import job_id

GIT_SECONDS = 5


class GitState(NamedTuple):
    """The commit that is checked out, and whether tracked files differ from it."""

    commit: str | None = None
    dirty: bool | None = None


_collected: list[GitState] = []


def collect_git() -> GitState:
    """Ask git, once per process; after MPI has started nothing can be known."""
    if not _collected:
        mpi_started = "mpi4py.MPI" in sys.modules
        _collected.append(GitState() if mpi_started else _ask_git(_folder()))
    return _collected[0]


def _folder() -> str:
    """Give the folder of the script that runs, else the current one."""
    for argument in sys.argv:
        is_script = argument.endswith(".py") and os.path.isfile(argument)
        if is_script and os.path.basename(argument) != "__main__.py":
            return os.path.dirname(os.path.abspath(argument))
    return os.getcwd()


def _ask_git(folder: str) -> GitState:
    head = _git(folder, "rev-parse", "HEAD")
    if head is None:
        return GitState()
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return GitState(head, None if changes is None else bool(changes))


def _git(folder: str, *arguments: str) -> str | None:
    import subprocess

    try:
        done = subprocess.run(  # noqa: S603 - git, with arguments of ours
            ["git", "-C", folder, *arguments],  # noqa: S607 - whichever git there is
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def facts(mode: str, ranks: int, mpi_library: str | None) -> dict[str, Any]:
    """Give what the ``runs`` table records of a run as it starts."""
    git = collect_git()
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
        "git_commit": git.commit,
        "git_dirty": git.dirty,
    }


def _package_version() -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(__package__ or "")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return None
