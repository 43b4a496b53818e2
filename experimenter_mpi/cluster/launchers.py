"""What started this process, told from what it set: a name for people, no role.

Which rank a process is comes from ``COMM_WORLD`` alone; see ``mpi.launch``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Launcher(NamedTuple):
    """A launcher of MPI programs, and which families of libraries it surely starts.

    Families are those of ``launch_lines``; none where nothing can be said.
    """

    name: str
    families: tuple[str, ...] = ()


_MPICH = ("mpich", "intel", "cray")
# Innermost first: what mpiexec starts inside a step of Slurm has the step's variables
# as well, and every launcher that speaks PMI or PMIx sets theirs.
_MARKS = (
    ("OMPI_COMM_WORLD_RANK", Launcher("mpiexec of Open MPI", ("openmpi",))),
    ("MV2_COMM_WORLD_RANK", Launcher("mpirun_rsh of MVAPICH", ("mpich",))),
    ("JSM_NAMESPACE_RANK", Launcher("jsrun", ("openmpi",))),
    ("PALS_RANKID", Launcher("mpiexec of PALS", _MPICH)),
    ("ALPS_APP_PE", Launcher("aprun", _MPICH)),
    # Hydra's, which Intel MPI and MPICH share.
    ("MPI_LOCALRANKID", Launcher("mpiexec of MPICH", _MPICH)),
    ("FLUX_TASK_RANK", Launcher("flux run")),
)
_SRUN_PMI = Launcher("srun --mpi=pmi2", _MPICH)
_SRUN_PMIX = Launcher("srun --mpi=pmix", ("openmpi",))
_SRUN = Launcher("srun")
_PMIX = Launcher("a launcher that speaks PMIx", ("openmpi",))
_PMI = Launcher("a launcher that speaks PMI", _MPICH)
# The shell that salloc and sbatch give is a step of Slurm's as well, of this number up.
_SPECIAL_STEPS = 0xFFFFFFF0

# Which process this is among those of its host.
_LOCAL_RANKS = (
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "MV2_COMM_WORLD_LOCAL_RANK",
    "JSM_NAMESPACE_LOCAL_RANK",
    "PALS_LOCAL_RANKID",
    "MPI_LOCALRANKID",
    "FLUX_TASK_LOCAL_ID",
)


def launcher_of(environment: Mapping[str, str] = os.environ) -> Launcher | None:
    """Tell which launcher started this process, None if none did."""
    for variable, launcher in _MARKS:
        if variable in environment:
            return launcher
    step = environment.get("SLURM_STEP_ID", "")
    if step.isdecimal() and int(step) < _SPECIAL_STEPS:
        return _srun(environment)
    if "PMIX_RANK" in environment:
        return _PMIX
    return _PMI if "PMI_RANK" in environment else None


def _srun(environment: Mapping[str, str]) -> Launcher:
    if "PMIX_RANK" in environment:
        return _SRUN_PMIX
    return _SRUN_PMI if "PMI_RANK" in environment else _SRUN


def local_rank(environment: Mapping[str, str] = os.environ) -> int:
    """Return this process's number among those of its host, 0 where nothing says it."""
    names = [*_LOCAL_RANKS, "SLURM_LOCALID"]
    if "SLURM_PROCID" not in environment:  # perhaps a child process of a worker
        names.insert(-1, "EXPERIMENTER_LOCAL_RANK")
    known = (environment.get(name, "") for name in names)
    return next((int(text) for text in known if text.isdecimal()), 0)
