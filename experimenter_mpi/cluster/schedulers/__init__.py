"""Which scheduler's job this process is in; one file for each scheduler.

Nobody is asked, and nothing but the job's own files is read: see ``walltime`` for what
only the scheduler itself knows.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .description import Scheduler

NONE = "none"
SCHEDULERS = ("slurm", "pbs", "sge", "lsf", "flux")
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


def described(scheduler: str) -> Scheduler:
    """Return what is known of a scheduler; its file is loaded when it is asked for."""
    from importlib import import_module

    found: Scheduler = import_module(f".{scheduler}", __name__).SCHEDULER
    return found


def name_of(scheduler: str) -> str:
    """Return the name of a scheduler for people, such as "Grid Engine"."""
    return described(scheduler).name


def jobs(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the schedulers whose jobs this process is in, and their ids for them."""
    found: dict[str, str] = {}
    for scheduler, variable in _JOB_IDS:
        if environment.get(variable):
            found.setdefault(scheduler, environment[variable])
    if not any(environment.get(name) for name in _SGE_ITSELF):
        found.pop("sge", None)
    return found


def scheduler_of(environment: Mapping[str, str] = os.environ) -> str:
    """Return the scheduler: slurm, pbs, sge, lsf, flux, or none."""
    return next(iter(jobs(environment)), NONE)


def job_id(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the scheduler's id of the job this process belongs to."""
    return next(iter(jobs(environment).values()), None)


def slots(environment: Mapping[str, str] = os.environ) -> int | None:
    """Return for how many ranks the job was asked, None where nothing says it."""
    scheduler = scheduler_of(environment)
    if scheduler == NONE:
        return None
    return described(scheduler).variables.slots(environment)


def hosts(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the job's hosts, each once; none where nothing names them."""
    scheduler = scheduler_of(environment)
    if scheduler == NONE:
        return ()
    return tuple(dict.fromkeys(described(scheduler).variables.hosts(environment)))
