"""What launched this process: ``init()`` to begin with, ``environment()`` at any time.

Variables are asked first. Only rank 0 asks the scheduler itself, and only before MPI
starts, since that takes a child process.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from ..cluster import launchers, schedulers, walltime
from ..errors import counted
from ..output import say
from . import launch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .transport import Transport


class Environment(NamedTuple):
    """Where a process runs, and among how many.

    Attributes:
        launcher: What started it, such as "srun --mpi=pmi2" or "mpiexec of Open MPI";
            None if it was started by itself.
        scheduler: slurm, pbs, sge, lsf or flux, whose job it is in, or none.
        job_id: That job's id.
        promised: How many processes the launcher says it started; 1 where it says none.
        seen: How many ranks MPI sees, None while it has not been asked.
        rank: Which of them this is, None while MPI has not been asked.
        local_rank: Which of the processes on its host this is.
        slots: For how many ranks the job was asked, None where nothing says it.
        hosts: The job's hosts by name; none where nothing names them.
        time_left: Seconds until the job ends. None where the scheduler does not say,
            and on the ranks that do not ask it.
    """

    launcher: str | None = None
    scheduler: str = schedulers.NONE
    job_id: str | None = None
    promised: int = 1
    seen: int | None = None
    rank: int | None = None
    local_rank: int = 0
    slots: int | None = None
    hosts: tuple[str, ...] = ()
    time_left: float | None = None

    def __str__(self) -> str:
        number = self.seen or self.promised
        parts = [counted(number, "rank" if self.launcher else "process")]
        hosts = f"on {counted(len(self.hosts), 'host')}" if self.hosts else ""
        if hosts and self.launcher:
            parts.append(hosts)
        parts.append(f"started by {self.launcher or 'no launcher'}")
        if self.scheduler != schedulers.NONE:
            name = schedulers.name_of(self.scheduler)
            parts.append(f"in {name} job {self.job_id}")
            if hosts and not self.launcher:  # the job's, of which this is on one
                parts.append(hosts)
        if self.time_left is not None:
            parts.append(f"with {self.time_left:,.0f} s left")
        return " ".join(parts)


def detect(variables: Mapping[str, str]) -> Environment:
    """Find out from variables alone, without asking MPI or the scheduler."""
    launcher = launchers.launcher_of(variables)
    return Environment(
        launcher=None if launcher is None else launcher.name,
        scheduler=schedulers.scheduler_of(variables),
        job_id=schedulers.job_id(variables),
        promised=launch.told_size(variables),
        local_rank=launchers.local_rank(variables),
        slots=_slots(variables, launcher),
        hosts=schedulers.hosts(variables),
    )


def _slots(
    variables: Mapping[str, str], launcher: launchers.Launcher | None
) -> int | None:
    """Return for how many ranks the job was asked, as far as that can still be seen.

    Slurm starts the proxies of another launcher as a step, whose tasks are those.
    """
    inside = launcher is not None and not launcher.name.startswith("srun")
    if inside and "SLURM_STEP_ID" in variables:
        return None
    return schedulers.slots(variables)


def environment() -> Environment:
    """Return what launched this process, without starting MPI."""
    launch.leave_parents_launch()
    found = detect(os.environ)
    rank = launch.rank_hint() if found.launcher else None
    if transport := _adopted():
        found = found._replace(seen=transport.size, rank=transport.rank)
        rank = transport.rank
    if rank in (0, None):
        found = found._replace(time_left=walltime.left())
    return found


def init(*, quiet: bool = False) -> Environment:
    """Find out what launched this process, and connect it to the other ranks.

    Call it on every rank alike, before anything else. Rank 0 says in one line what was
    found, unless ``quiet``. A process that was started by itself starts no MPI.

    Raises:
        LaunchError: the launcher started N processes that MPI sees as N worlds of
            one, or no MPI library loads; says the line that would work.
    """
    transport = launch.connect()
    found = environment()
    if transport is None:
        found = found._replace(seen=1, rank=0)
    if found.rank == 0 and not quiet:
        say(f"experimenter_mpi: {found}{_unused(found)}")
    return found


def _unused(found: Environment) -> str:
    """Return a warning if the job asked for more ranks than were started."""
    if found.launcher is not None or (found.slots or 1) == 1:
        return ""
    return (
        f"; the job was asked for {found.slots} ranks: 'experimenter-mpi doctor' says "
        "how to start them"
    )


def _adopted() -> Transport | None:
    """Return the transport of a process that has one; nothing is loaded for it."""
    module = sys.modules.get(f"{launch.__package__}.transport")
    adopted: Transport | None = None if module is None else module.adopted()
    return adopted
