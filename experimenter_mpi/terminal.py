"""Find the terminal that a person watches, also from behind ``mpirun``."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from .cluster import processes

_LAUNCHERS = {"mpiexec", "mpirun", "mpiexec.hydra", "prterun", "orterun", "srun"}
_FURTHEST = 8


def width_of(stream: TextIO) -> int | None:
    """Give the width in columns of the terminal that shows ``stream``, else None.

    A rank's own streams are pipes to its launcher; what the launcher does with its
    end can be seen where both run on one host.
    """
    try:
        if stream.isatty():
            return os.get_terminal_size(stream.fileno()).columns
        return _launchers_width(stream.fileno())
    except (OSError, ValueError, IndexError):  # closed, or something without a file
        return None


def _launchers_width(number: int) -> int | None:
    pid = os.getppid()
    for _ in range(_FURTHEST):
        if pid <= 1:
            return None
        process = processes.stat(pid)
        if process.name in _LAUNCHERS:
            return _width_of_device(f"/proc/{pid}/fd/{number}")
        pid = process.parent
    return None


def _width_of_device(path: str) -> int | None:
    if not os.readlink(path).startswith(("/dev/pts/", "/dev/tty")):
        return None
    device = os.open(path, os.O_RDONLY | os.O_NOCTTY)
    try:
        return os.get_terminal_size(device).columns
    finally:
        os.close(device)


def is_interactive() -> bool:
    """Whether somebody's notebook or prompt would go down with this process."""
    return hasattr(sys, "ps1") or bool(sys.flags.interactive)
