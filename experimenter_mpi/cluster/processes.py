"""What Linux says of a process: the one reader of ``/proc/PID/stat``."""

from __future__ import annotations

import os
from typing import NamedTuple


class Process(NamedTuple):
    """A process as ``/proc/PID/stat`` has it (proc_pid_stat(5)).

    Attributes:
        name: The file name of its program, cut to 15 characters.
        state: One letter, such as R, S or Z.
        parent: The parent's pid.
        started: When it started, in clock ticks since boot.
    """

    name: str
    state: str
    parent: int
    started: int

    @property
    def has_ended(self) -> bool:
        """Whether it is a zombie: only its parent has not yet asked how it ended."""
        return self.state in ("Z", "X")


def stat(pid: int) -> Process:
    """Return what Linux says of a process.

    Raises:
        OSError: there is no such process, or no ``/proc``.
    """
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        head, _, tail = file.read().rpartition(")")
    fields = tail.split()
    # The name in brackets may itself hold spaces and brackets: count after it.
    return Process(head.partition("(")[2], fields[0], int(fields[1]), int(fields[19]))


def began(pid: int) -> int | None:
    """Return what tells a process from others that have its pid later, if known."""
    try:
        return stat(pid).started
    except (OSError, ValueError, IndexError):
        return None


def lives(pid: int, since: int | None = None) -> bool:
    """Whether a process has not ended, as far as is known; ``since`` is from ``began``.

    Where nobody can tell, it lives.
    """
    try:
        process = stat(pid)
    except FileNotFoundError:
        return not os.path.exists("/proc/self")
    except (OSError, ValueError, IndexError):
        return True
    return not process.has_ended and since in (None, process.started)


def started_at(process: Process) -> float:
    """Return when a process started, in seconds since the epoch."""
    with open("/proc/stat", encoding="utf-8") as file:
        booted = next(float(line.split()[1]) for line in file if line[:5] == "btime")
    return booted + process.started / os.sysconf("SC_CLK_TCK")
