"""The MPI library: whether one loads and starts, what it can, and its mpiexec."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from ..cluster.installed import family_of_mpiexec
from ..cluster.launch_lines import library_of
from .findings import NOTE, OK, PROBLEM, Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECK = "MPI library"
WITHOUT = "without it 'run' works only with --mode serial and multithreaded"
_FAMILIES = {"openmpi": "Open MPI", "mpich": "MPICH or a relative of it"}
# What chooses the library that mpi4py loads.
_CHOICES = ("MPI4PY_LIBMPI", "MPI4PY_MPIABI")


def library(
    version: str | None,
    error: str | None,
    died: str = "",
    variables: Mapping[str, str] = os.environ,
    *,
    is_needed: bool = True,
) -> Finding:
    """Name the library, or why there is none; ``died``: last words of starting it."""
    chosen = [f"{name}={variables[name]}" for name in _CHOICES if variables.get(name)]
    said = f" ({' '.join(chosen)})" if chosen else ""
    if version is None:
        reason, _, remedy = (error or died or "no message").partition("; ")
        if chosen:
            remedy = (
                f"unset {' '.join(c.partition('=')[0] for c in chosen)}, or {remedy}"
            )
        remedy = f"{remedy or 'reinstall mpi4py'}; {WITHOUT}"
        state = PROBLEM if is_needed else NOTE
        return Finding(CHECK, state, f"{reason}{said}", remedy)
    text = f"{short(version)}{said}"
    if died:
        text = f"{text} does not start here: {died}"
        remedy = "on a login node that forbids it, run doctor inside a job"
        return Finding(CHECK, PROBLEM, text, remedy)
    return Finding(CHECK, OK, text)


def short(version: str) -> str:
    """Return the name and number of a library, without what comes after."""
    return " ".join(version.partition(",")[0].split())


def threads(level: str) -> Finding:
    """Report the thread level and what it allows."""
    if level == "multiple":
        return Finding("threads", OK, "several threads of a rank may use MPI at once")
    text = f"one thread of a rank at a time (level {level})"
    remedy = "HeterogeneousMode and DistributedMode need a library with 'multiple'"
    return Finding("threads", NOTE, text, remedy)


def fault_tolerance(family: str, *, enabled: bool, is_launched: bool) -> Finding:
    """Report what the death of a rank does to a run."""
    if enabled:
        text = "enabled: when a rank dies, the run continues with the others"
        return Finding("rank deaths", OK, text)
    text = "the death of a rank ends the job; rerun the same command to continue"
    if family != "openmpi":
        return Finding("rank deaths", OK, f"{text}. Trials that crash: --isolate")
    how = "not enabled: " if is_launched else ""
    text = f"{text}, but under 'mpiexec --with-ft ulfm' ({how}Open MPI 5 has it)"
    return Finding("rank deaths", OK, text)


def spawn(obstacle: str | None) -> Finding:
    """Report whether DistributedMode can start workers by itself."""
    if obstacle is None:
        return Finding("spawn", OK, "MPI can start workers from a single process")
    text = f"MPI cannot start workers from a single process: {obstacle}"
    return Finding("spawn", NOTE, text, "use mpiexec, or srun, rather than --workers")


def mpiexec(family: str, *, scheduler_launches: bool) -> Finding:
    """Compare the mpiexec on PATH with the library: another's makes worlds of one."""
    path = shutil.which("mpiexec")
    beside = os.path.join(os.path.dirname(sys.executable), "mpiexec")
    hint = f"call it by its path, {beside}" if os.path.exists(beside) else ""
    if path is None:
        instead = hint or "load the module of the MPI that is used"
        state = NOTE if hint or scheduler_launches else PROBLEM
        return Finding("mpiexec", state, "there is none on PATH", instead)
    theirs = family_of_mpiexec(path)
    if theirs is None or _relatives(theirs) == _relatives(family):
        return Finding("mpiexec", OK, path)
    text = (
        f"{path} is that of {_FAMILIES[_relatives(theirs)]}, and starts no ranks of "
        "the library that is loaded"
    )
    remedy = hint or "load the module of only one MPI, so that its mpiexec comes first"
    return Finding("mpiexec", PROBLEM, text, remedy)


def _relatives(family: str) -> str:
    return "openmpi" if family == "openmpi" else "mpich"


def family_of(version: str | None) -> str:
    """Return the family of a library, that of the wheel beside Python if none loads."""
    if version is not None:
        return library_of(version)
    folder = os.path.dirname(sys.executable)
    return "openmpi" if os.path.exists(os.path.join(folder, "prterun")) else "mpich"
