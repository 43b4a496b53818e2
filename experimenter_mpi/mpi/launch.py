"""Whether this process is one of several ranks, asked without importing MPI in vain.

The environment only says whether it is worth asking MPI: a laptop run never imports
it. Which rank this is, and of how many, comes from ``COMM_WORLD`` alone.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .transport import Transport

# How many processes the launcher says it started. Hydra and MPICH under Slurm, Open
# MPI, MVAPICH, IBM jsrun, Flux, srun itself (PMIx gives no size, srun does).
_SIZES = (
    "PMI_SIZE",
    "OMPI_COMM_WORLD_SIZE",
    "MV2_COMM_WORLD_SIZE",
    "JSM_NAMESPACE_SIZE",
    "FLUX_JOB_SIZE",
    "PALS_SIZE",
)
# Set for each process that a launcher of MPI programs started.
_RANKS = (
    "PMI_RANK",
    "PMIX_RANK",
    "OMPI_COMM_WORLD_RANK",
    "MV2_COMM_WORLD_RANK",
    "JSM_NAMESPACE_RANK",
    "FLUX_TASK_RANK",
    "PALS_RANKID",
    "ALPS_APP_PE",
)


def launched(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a launcher started this process as one of several.

    Slurm's own variables count only inside a step of several tasks: the batch shell
    has SLURM_PROCID=0 as well.
    """
    sizes = [environment[name] for name in _SIZES if name in environment]
    if any(_number(size) > 1 for size in sizes):
        return True
    if _number(environment.get("SLURM_STEP_NUM_TASKS", "")) > 1:
        return "SLURM_STEP_ID" in environment
    return not sizes and any(name in environment for name in _RANKS)


def has_launcher(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a launcher of MPI programs started this process, alone or not."""
    return any(name in environment for name in _RANKS)


def rank_hint(environment: Mapping[str, str] = os.environ) -> int | None:
    """Which rank the launcher says this is: never to be relied on for a role."""
    for name in (*_RANKS, "SLURM_PROCID"):
        if name in environment:
            return _number(environment[name])
    return None


def _number(text: str) -> int:
    return int(text) if text.isdigit() else -1


def concerns_mpi() -> bool:
    """Whether to ask MPI: launched by it, or the script has loaded it itself."""
    return launched() or "mpi4py.MPI" in sys.modules


def connect(*, even_alone: bool = False) -> Transport | None:
    """Give this process's transport to the other ranks, None where there are none.

    Collective the first time it asks MPI, which it does only if ``concerns_mpi()``
    or ``even_alone``.

    Raises:
        LaunchError: a launcher started this process, but no MPI library loads.
    """
    if not (even_alone or concerns_mpi()):
        return None
    connected: Transport | None = _transport().connect()
    return connected


def world_rank() -> int:
    """Give this process's rank in ``COMM_WORLD``, 0 where there is but one."""
    if not concerns_mpi():
        return 0
    transport = _transport()
    known = transport.adopted()
    rank: int = transport.world().rank if known is None else known.rank
    return rank


def _transport() -> Any:
    """Import what loads MPI, after the last chance to start a child process."""
    if rank_hint() in (0, None):
        from .. import provenance, walltime

        provenance.collect_git()
        walltime.collect()
    from . import transport

    return transport
