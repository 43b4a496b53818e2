"""What the children of a rank must not inherit of its environment.

A trial may itself use MPI, or start a program that does: it must find itself alone, and
not join the job as the rank whose child it is.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# How a launcher tells a process which rank of which job it is.
_LAUNCHERS = (
    "ALPS_APP_",
    "FLUX_PMI_",
    "FLUX_TASK_",
    "HYD",
    "JSM_NAMESPACE_",
    "MPI_LOCAL",
    "MV2_COMM_WORLD_",
    "OMPI_COMM_WORLD_",
    "OMPI_MCA_ess",
    "OMPI_MCA_orte",
    "OMPI_MCA_pmix",
    "OPAL_PROC_",
    "PALS_",
    "PMI",
    "PRTE_",
    "SLURM_PMI",
    "SLURM_SRUN_",
    "SLURM_STEP",
)
_SINGLE = {
    "FLUX_JOB_SIZE",
    "OMPI_APP_CTX_NUM_PROCS",
    "OMPI_ARGV",
    "OMPI_COMMAND",
    "OMPI_FILE_LOCATION",
    "OMPI_FIRST_RANKS",
    "OMPI_MCA_initial_wdir",
    "OMPI_MCA_num_procs",
    "OMPI_NUM_APP_CTX",
    "OMPI_TOOL_NAME",
    "OMPI_UNIVERSE_SIZE",
    "OMPI_WORLD_LOCAL_SIZE",
    "OMPI_WORLD_SIZE",
    "SLURM_GTIDS",
    "SLURM_MPI_TYPE",
    "SLURM_PROCID",
    "SLURM_TASK_PID",
}
# Allowed to root by root itself: no matter of the launcher's.
_KEPT = {"PRTE_ALLOW_RUN_AS_ROOT", "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM"}


def without_launcher(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment without what makes a process a rank of this job.

    Scheduler variables that users read (SLURM_JOB_ID, SLURM_LOCALID, ...) stay.
    """
    return {
        name: value
        for name, value in environment.items()
        if name in _KEPT or not (name.startswith(_LAUNCHERS) or name in _SINGLE)
    }
