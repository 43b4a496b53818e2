"""Find the processes of one launch, whoever became their parent.

Neither the session nor the parents tell: MPICH gives every rank a session of its own,
and ranks whose mpiexec was killed belong to init. So a launch carries a mark in its
environment, which all its processes inherit and `/proc` shows.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MARK = "EXPERIMENTER_TEST_LAUNCH"
# Hydra (MPICH) sets the first, Open MPI the second, other PMIx launchers the third.
_RANK_VARIABLES = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK")


@dataclass(frozen=True, slots=True)
class Process:
    """A living process of a launch; `rank` is None for the launcher and its proxies."""

    pid: int
    parent: int
    is_python: bool
    rank: int | None


def of_launch(mark: str) -> list[Process]:
    """Return the living processes that carry the mark, zombies not among them."""
    found = (_read(folder, mark) for folder in Path("/proc").glob("[0-9]*"))
    return [process for process in found if process]


def ranks_among(processes: Iterable[Process]) -> list[int]:
    """Return the pids of the Python ranks in the order of their ranks."""
    of_ranks = [p for p in processes if p.is_python and p.rank is not None]
    parents = {p.pid: p.rank for p in of_ranks}
    # A rank's own children inherit its variables; they are not ranks.
    tops = [p for p in of_ranks if parents.get(p.parent) != p.rank]
    return [p.pid for p in sorted(tops, key=lambda p: (p.rank or 0, p.pid))]


def send(processes: Iterable[Process], signal_number: int) -> None:
    """Signal every process that is still there."""
    for process in processes:
        try:
            os.kill(process.pid, signal_number)
        except ProcessLookupError:
            continue


def gone(mark: str, timeout: float, *, only_python: bool = False) -> bool:
    """Wait until no process of the launch is left; say whether that happened."""
    deadline = time.monotonic() + timeout
    while any(p.is_python or not only_python for p in of_launch(mark)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def handles(pid: int, signal_number: int) -> bool:
    """Whether a process would not die of this signal, but call a handler."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    [mask] = re.findall(r"^SigCgt:\s*(\w+)$", status, re.MULTILINE) or ["0"]
    return bool(int(mask, 16) >> (signal_number - 1) & 1)


def _read(folder: Path, mark: str) -> Process | None:
    try:
        text = (folder / "environ").read_bytes().decode(errors="replace")
        variables = dict(item.partition("=")[::2] for item in text.split("\0"))
        if variables.get(MARK) != mark:
            return None
        # The name in parentheses may hold spaces; the parent is the second field after.
        parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        program = (folder / "exe").readlink().name
    except OSError:
        return None  # it ended meanwhile, or belongs to somebody else
    ranks = [variables[name] for name in _RANK_VARIABLES if name in variables]
    return Process(
        pid=int(folder.name),
        parent=int(parent),
        is_python=program.startswith("python"),
        rank=int(ranks[0]) if ranks else None,
    )
