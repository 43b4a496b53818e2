"""One child process for trials: start it, talk to it, end it, say how it ended.

Beside the two pipes of its wire it has two more. Nothing is ever written to its
*lifeline*, whose other end its parent holds: when the parent dies, however, the child
and all it started are killed. Into its *last words* it writes where it was when it
crashed, or when it is asked to before it is killed.
"""

from __future__ import annotations

import math
import os
import select
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..cluster.inherited import without_launcher
from ..cluster.restart import calling, interpreter
from ..errors import IsolationError
from . import exit_status as endings
from .pipe import LAST_WORDS, LIFELINE, SINK, SOURCE, TELL_AND_DIE, Wire

if TYPE_CHECKING:
    from collections.abc import Sequence

# How often to look whether the child lives, where no descriptor says so.
_LOOK_SECONDS = 0.05
# How long a child may take to say where it is, before it is killed.
_WORDS_SECONDS = 0.5
# How long a child may take to leave when its work is over.
_LEAVE_SECONDS = 5.0
# How long a killed process may take to be gone: a file server that hangs holds it.
_KILL_SECONDS = 10.0
_WORDS_BYTES = 1 << 16


class Child:
    """A running child; ``wire`` is this end of the conversation.

    ``told`` is what it wrote as it crashed or was asked: the stacks of its threads. The
    wire raises EOFError once the child has ended and all it said is read, and
    TimeoutError when ``deadline``, of the monotonic clock, has passed.

    Raises:
        IsolationError: the system starts no more processes.
    """

    def __init__(self) -> None:
        pipes = [os.pipe() for _ in range(4)]
        (source, to_child), (from_child, sink) = pipes[:2]
        (lifeline, self._lifeline), (self._words, last_words) = pipes[2:]
        ours = [to_child, from_child, self._lifeline, self._words]
        theirs = [source, sink, lifeline, last_words]
        try:
            self.pid = _spawn(theirs)
        except OSError as error:
            for descriptor in ours:
                os.close(descriptor)
            msg = f"cannot start a process for trials: {error.strerror}"
            raise IsolationError(msg) from error
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        for descriptor in (to_child, from_child, self._words):
            os.set_blocking(descriptor, False)
        self._death = _death_descriptor(self.pid)
        self.wire = Wire(from_child, to_child, self._wait)
        self._to_child = to_child
        self.deadline: float | None = None
        self.told = ""

    def has_ended(self) -> bool:
        """Whether the process is dead; it is not reaped."""
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        try:
            return os.waitid(os.P_PID, self.pid, options) is not None
        except ChildProcessError:  # reaped by somebody else
            return True

    def leave(self) -> None:
        """Wait until the child has ended by itself, then end what it has started."""
        self.wire.close()
        self.kill(_LEAVE_SECONDS)

    def stop(self) -> str:
        """Kill the child after it has told where it is, if it still can."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, TELL_AND_DIE)
        return self.kill(_WORDS_SECONDS)

    def tell(self) -> None:
        """Make the child print its stacks; it continues if it already runs trials."""
        if not self.has_ended():
            os.kill(self.pid, signal.SIGQUIT)

    def knock_down(self) -> None:
        """Kill the child and what it has started, for whoever talks to it to notice."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def kill(self, patience: float = 0.0) -> str:
        """Kill the child and what it has started, and say how it ended.

        ``patience`` are the seconds it is given to end by itself. The group is killed
        before the child is reaped: until then no other process can have its number.
        """
        self._await_end(patience)
        self.knock_down()
        ended = self._await_end(_KILL_SECONDS)
        with suppress(BlockingIOError):
            self.told = os.read(self._words, _WORDS_BYTES).decode(errors="replace")
        self.wire.close()
        for descriptor in (self._lifeline, self._words, self._death):
            if descriptor is not None:
                os.close(descriptor)
        return self._reaped() if ended else endings.UNKILLABLE

    def _await_end(self, seconds: float) -> bool:
        give_up_at = time.monotonic() + seconds
        while not self.has_ended():
            left = give_up_at - time.monotonic()
            if left <= 0:
                return False
            self._poll((), min(left, _LOOK_SECONDS))
        return True

    def _reaped(self) -> str:
        try:
            return endings.describe(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:  # by somebody else
            return endings.UNKNOWN

    def _wait(self, descriptor: int) -> None:
        """Return when the descriptor is ready; what was said comes before the end."""
        event = select.POLLOUT if descriptor == self._to_child else select.POLLIN
        wanted = [(descriptor, event)]
        while descriptor not in self._poll(wanted, self._patience()):
            # A grandchild may hold the pipes open for long after the child's death.
            if self.has_ended():
                if descriptor in self._poll(wanted, 0.0):
                    return
                raise EOFError
            if self.deadline is not None and time.monotonic() >= self.deadline:
                raise TimeoutError

    def _patience(self) -> float | None:
        """Return how long to wait before something else is to be looked at."""
        longest = None if self._death is not None else _LOOK_SECONDS
        if self.deadline is None:
            return longest
        left = max(0.0, self.deadline - time.monotonic())
        return left if longest is None else min(left, longest)

    def _poll(
        self, wanted: Sequence[tuple[int, int]], seconds: float | None
    ) -> list[int]:
        """Return which descriptors are ready; the end of the child wakes as well."""
        poll = select.poll()
        for descriptor, event in wanted:
            poll.register(descriptor, event)
        if self._death is not None:
            poll.register(self._death, select.POLLIN)
        # Rounded up: poll() rounds down, and would be called for nothing.
        milliseconds = None if seconds is None else math.ceil(seconds * 1000)
        return [ready for ready, _ in poll.poll(milliseconds)]


def _spawn(descriptors: list[int]) -> int:
    """Start the child with these as its descriptors 3, 4, 5, 6.

    By posix_spawn, which MPI permits where it forbids fork: no page is copied or made
    copy-on-write (of those, a network card may be writing some), no handler of the MPI
    library runs, and the new program takes over at once. In a process group of its own
    a Ctrl-C does not reach it, and it can be killed with all it started. What this
    process has open is not passed on; what a C library left open, the child closes.
    """
    # Above what they are copied to, so that no copy hides one that is still to be.
    high = [_above(each, LAST_WORDS) for each in descriptors]
    try:
        moves: list[Any] = [
            (os.POSIX_SPAWN_DUP2, each, number)
            for number, each in zip(
                (SOURCE, SINK, LIFELINE, LAST_WORDS), high, strict=True
            )
        ]
        # It must not compete for the terminal, which would stop it.
        nothing = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
        boot = calling("isolation.child", "main", path=_search_path())
        command = [*interpreter(), *boot]
        return os.posix_spawn(
            sys.executable,
            command,
            without_launcher(),
            file_actions=[nothing, *moves],
            setpgroup=0,
            setsigmask=[],
        )
    finally:
        for descriptor in high:
            os.close(descriptor)


def _above(descriptor: int, number: int) -> int:
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, number + 1)


def _search_path() -> list[str]:
    """Return this process's search path; its "" is where it was started."""
    return [entry or os.getcwd() for entry in sys.path]


def _death_descriptor(pid: int) -> int | None:
    """Return a descriptor that is readable when the process ends, if any."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, an old one, or a strict sandbox
        return None
