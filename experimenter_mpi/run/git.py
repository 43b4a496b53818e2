"""What git says of some files: the commit, and whether it holds them as they are.

Only those files are asked about, so that the answer takes as long in a repository of
50,000 files as in one of ten. Git is a child process, and MPI forbids forking once it
has started: ``posix_spawn`` forks nothing, and is what there is where a script's first
line has started MPI.
"""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

# A file server that hangs must not hold up a run.
GIT_SECONDS = 5.0
_LOOK_SECONDS = 0.001
_KILL_SECONDS = 1.0
_STATUS = (
    *("--literal-pathspecs", "-c", "status.renames=false"),
    *("status", "--porcelain", "-z", "--untracked-files=all", "--ignored", "--"),
)
CLEAN, CHANGED, UNTRACKED = "clean", "changed", "untracked"


class Answer(NamedTuple):
    """The commit that is checked out, and the state of each file; None if unknown."""

    commit: str | None = None
    states: dict[str, str] | None = None


def repository_of(folder: str) -> str | None:
    """Return the top folder of the repository that a folder is in, if it is in one."""
    while not os.path.exists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above
    return folder


class Question:
    """Git is asked at once; ``answer`` waits for what it says."""

    def __init__(self, root: str, files: Sequence[str]) -> None:
        """Ask about ``files``, absolute paths in the repository at ``root``."""
        self._root, self._files = root, files
        self._answer: Answer | None = None
        self._head = _Git(root, "rev-parse", "HEAD")
        self._status = _Git(root, *_STATUS, *files) if files else None

    def answer(self, seconds: float = GIT_SECONDS) -> Answer:
        """Return what git says within so many seconds."""
        if self._answer is None:
            give_up_at = time.monotonic() + seconds
            head = self._head.output(give_up_at)
            status = self._status.output(give_up_at) if self._status else None
            self._answer = self._understood(head, status)
        return self._answer

    def abandon(self) -> None:
        """Leave no process behind whose answer nobody wants."""
        if self._answer is None:
            self._answer = Answer()
            for git in (self._head, self._status):
                if git is not None:
                    git.output(0.0)

    def _understood(self, head: bytes | None, status: bytes | None) -> Answer:
        if head is None:
            return Answer()
        commit = head.decode("ascii", "replace").strip()
        return Answer(commit, None if status is None else self._states(status))

    def _states(self, status: bytes) -> dict[str, str]:
        entries = [entry for entry in os.fsdecode(status).split("\0") if entry]
        untracked = tuple(e[3:] for e in entries if e[:2] in ("??", "!!"))
        changed = {e[3:] for e in entries if e[:2] not in ("??", "!!")}
        return {
            file: _state(os.path.relpath(file, self._root), untracked, changed)
            for file in self._files
        }


def _state(name: str, untracked: tuple[str, ...], changed: set[str]) -> str:
    if name in changed:
        return CHANGED
    # A folder that is untracked as a whole ends with a slash.
    folders = tuple(each for each in untracked if each.endswith("/"))
    return UNTRACKED if name in untracked or name.startswith(folders) else CLEAN


def committed(root: str, files: Sequence[str]) -> dict[str, bytes | None]:
    """Return what the commit has of each file; None where git does not say it."""
    asked = {
        file: _Git(root, "cat-file", "blob", f"HEAD:{os.path.relpath(file, root)}")
        for file in files
    }
    give_up_at = time.monotonic() + GIT_SECONDS
    return {file: git.output(give_up_at) for file, git in asked.items()}


class _Git:
    """A git that runs in the background; ``output`` is None if it does not work."""

    def __init__(self, folder: str, *arguments: str) -> None:
        self._output, sink = os.pipe()
        try:
            self._pid = _spawn(["git", "-C", folder, *arguments], sink)
        except (OSError, ValueError):  # there is none; too many files; a NUL in one
            self._pid = 0
        finally:
            os.close(sink)

    def output(self, give_up_at: float) -> bytes | None:
        """Return what it prints. To be called once."""
        try:
            read = _read_all(self._output, give_up_at) if self._pid else None
        finally:
            os.close(self._output)
        if not self._pid:
            return None
        code = _exit_code(self._pid, 0.0 if read is None else give_up_at)
        if code is None:
            with suppress(OSError):
                os.killpg(self._pid, signal.SIGKILL)
            # Killed, it is gone at once, unless its file server does not answer.
            _exit_code(self._pid, time.monotonic() + _KILL_SECONDS)
        return read if code == 0 else None


def _spawn(command: list[str], sink: int) -> int:
    return os.posix_spawnp(
        command[0],
        command,
        {**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, sink, 1),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ],
        setpgroup=0,
    )


def _read_all(descriptor: int, give_up_at: float) -> bytes | None:
    """Read to the end; None if that does not come in time."""
    pieces: list[bytes] = []
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while poll.poll(max(0.0, give_up_at - time.monotonic()) * 1000):
        piece = os.read(descriptor, 1 << 16)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
    return None


def _exit_code(pid: int, give_up_at: float) -> int | None:
    """Wait for a process and return how it ended, None if it does not in time."""
    while True:
        try:
            ended, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # somebody else has waited for it
            return -1
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > give_up_at:
            return None
        time.sleep(_LOOK_SECONDS)
