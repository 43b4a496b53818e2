"""Find the terminal that a person watches, also from behind ``mpirun``."""

from __future__ import annotations

import os
import sys
from textwrap import TextWrapper
from typing import TextIO

from ..cluster import processes

_LAUNCHERS = {"mpiexec", "mpirun", "mpiexec.hydra", "prterun", "orterun", "srun"}
_FURTHEST = 8


def width_of(stream: TextIO) -> int | None:
    """Return the width in columns of the terminal that shows ``stream``, else None.

    A rank's own streams are pipes to its launcher; what the launcher does with its
    end can be seen where both run on one host.
    """
    try:
        if stream.isatty():
            return os.get_terminal_size(stream.fileno()).columns
        return _launchers_width(stream.fileno())
    except (OSError, ValueError, IndexError, AttributeError):  # closed, or no file
        return None


def wrapped(text: str, stream: TextIO, hanging: int = 0) -> str:
    """Return text whose lines end between words, if a terminal shows ``stream``.

    ``hanging`` is by how many columns the lines that follow a first one are indented.
    """
    width = width_of(stream)
    if not width:
        return text
    wrapper = TextWrapper(
        width,
        subsequent_indent=" " * hanging,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
        replace_whitespace=False,
    )
    return "\n".join("\n".join(wrapper.wrap(line)) for line in text.split("\n"))


def passes_on_whole_lines() -> bool:
    """Whether our launcher keeps what it is given until the line has an end.

    The mpirun of Open MPI 5 does: a bar, which is one long line, would be shown when
    the run has ended.
    """
    try:
        _, name = _launcher()
    except OSError:
        return False
    return name == "prterun"


def _launchers_width(number: int) -> int | None:
    pid, name = _launcher()
    return _width_of_device(f"/proc/{pid}/fd/{number}") if name else None


def _launcher() -> tuple[int, str]:
    """Return the process that launched this rank, and its name; "" if none did."""
    pid = os.getppid()
    for _ in range(_FURTHEST):
        if pid <= 1:
            break
        process = processes.stat(pid)
        if process.name in _LAUNCHERS:
            return pid, process.name
        pid = process.parent
    return 0, ""


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
