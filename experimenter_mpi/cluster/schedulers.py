"""What the variables of a scheduler say of the job that this process is in.

Nobody is asked, and nothing but the job's own files is read: see ``walltime`` for what
only the scheduler itself knows.
"""

from __future__ import annotations

import itertools
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NONE = "none"
# Which variable holds the job's id, innermost first: Flux is often started inside a job
# of another scheduler. JOB_ID is a name that others use too.
_JOB_IDS = (
    ("flux", "FLUX_JOB_ID"),
    ("flux", "FLUX_ENCLOSING_ID"),
    ("slurm", "SLURM_JOB_ID"),
    ("pbs", "PBS_JOBID"),
    ("lsf", "LSB_JOBID"),
    ("sge", "JOB_ID"),
)
_SGE_ITSELF = ("SGE_ROOT", "SGE_TASK_ID", "SGE_O_WORKDIR", "PE_HOSTFILE")

NAMES = {
    "slurm": "Slurm",
    "pbs": "PBS",
    "sge": "Grid Engine",
    "lsf": "LSF",
    "flux": "Flux",
}


def jobs(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Give the schedulers whose jobs this process is in, and their ids for them."""
    found: dict[str, str] = {}
    for scheduler, variable in _JOB_IDS:
        if environment.get(variable):
            found.setdefault(scheduler, environment[variable])
    if not any(environment.get(name) for name in _SGE_ITSELF):
        found.pop("sge", None)
    return found


def scheduler_of(environment: Mapping[str, str] = os.environ) -> str:
    """Name the scheduler: slurm, pbs, sge, lsf, flux, or none."""
    return next(iter(jobs(environment)), NONE)


def job_id(environment: Mapping[str, str] = os.environ) -> str | None:
    """Give the scheduler's id of the job this process belongs to."""
    return next(iter(jobs(environment).values()), None)


def slots(environment: Mapping[str, str] = os.environ) -> int | None:
    """Give for how many ranks the job was asked, None where nothing says it."""
    scheduler = scheduler_of(environment)
    if scheduler == "pbs":
        return len(_lines(environment.get("PBS_NODEFILE"))) or None
    for variable in _SLOTS.get(scheduler, ()):
        if environment.get(variable, "").isdecimal():
            return int(environment[variable])
    return None


_SLOTS = {
    "slurm": ("SLURM_NTASKS", "SLURM_NPROCS"),
    "sge": ("NSLOTS",),
    "lsf": ("LSB_DJOB_NUMPROC",),
    "flux": ("FLUX_JOB_SIZE",),
}


def hosts(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Give the job's hosts, each once; none where nothing names them."""
    match scheduler_of(environment):
        case "slurm":
            names = expanded(environment.get("SLURM_JOB_NODELIST", ""))
        case "pbs":
            names = _lines(environment.get("PBS_NODEFILE"))
        case "sge":
            lines = _lines(environment.get("PE_HOSTFILE"))
            names = [line.split()[0] for line in lines]
        case "lsf":
            names = _lines(environment.get("LSB_DJOB_HOSTFILE"))
            names = names or environment.get("LSB_HOSTS", "").split()
        case _:
            names = []
    return tuple(dict.fromkeys(names))


def expanded(nodes: str) -> list[str]:
    """Expand Slurm's short form: ``n[08-10],login`` is n08, n09, n10, login."""
    names = re.findall(r"(?:[^,\[]|\[[^\]]*\])+", nodes)
    return [host for name in names for host in _hosts_of(name)]


def _hosts_of(name: str) -> Iterator[str]:
    pieces = re.split(r"\[([^\]]*)\]", name)
    choices = [
        list(_numbers(piece)) if place % 2 else [piece]
        for place, piece in enumerate(pieces)
    ]
    return map("".join, itertools.product(*choices))


def _numbers(ranges: str) -> Iterator[str]:
    for piece in ranges.split(","):
        first, _, last = piece.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal()):
            yield piece
            continue
        for number in range(int(first), int(last or first) + 1):
            yield f"{number:0{len(first)}}"


def _lines(path: str | None) -> list[str]:
    if not path:
        return []
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return [line.strip() for line in file if line.strip()]
    except OSError:  # on another host than the one it was written for
        return []
