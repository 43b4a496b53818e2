"""Which launcher started a process, told from what real ones set."""

from __future__ import annotations

import pytest

from experimenter_mpi.cluster.launchers import launcher_of, local_rank
from unit.mpi.test_launch import ALONE, BATCH, HYDRA, OPEN_MPI, PMIX, STEP

PMI2 = {"PMI_RANK": "3", "PMI_SIZE": "4", "PMI_FD": "8", "PMI_JOBID": "17.0"}

STARTED = {
    "mpiexec of MPICH": [
        HYDRA,
        {**STEP, **HYDRA, "PMI_JOBID": "17.0"},
        # Hydra's proxy is a task of its own step.
        {**ALONE, **HYDRA},
    ],
    "mpiexec of Open MPI": [OPEN_MPI, {**BATCH, **OPEN_MPI}, {**STEP, **OPEN_MPI}],
    "srun --mpi=pmi2": [{**STEP, **PMI2}],
    "srun --mpi=pmix": [{**STEP, **PMIX}],
    "srun": [STEP, ALONE],
    "flux run": [{"FLUX_TASK_RANK": "3", "FLUX_JOB_SIZE": "4", "PMI_RANK": "3"}],
    "jsrun": [{"JSM_NAMESPACE_RANK": "3", "PMIX_RANK": "3"}],
    "mpiexec of PALS": [{"PALS_RANKID": "3", "PMI_RANK": "3"}],
    "aprun": [{"ALPS_APP_PE": "3"}],
    "mpirun_rsh of MVAPICH": [{"MV2_COMM_WORLD_RANK": "3", "PMI_RANK": "3"}],
    "a launcher that speaks PMIx": [{"PMIX_RANK": "3"}],
    "a launcher that speaks PMI": [{"PMI_RANK": "3"}],
}


@pytest.mark.parametrize(
    ("name", "environment"),
    [(name, each) for name, found in STARTED.items() for each in found],
)
def test_a_launcher_is_known_by_what_it_sets(name, environment):
    assert name == launcher_of(environment).name


@pytest.mark.parametrize(
    "environment",
    [{}, BATCH, {**ALONE, "SLURM_STEP_ID": "4294967290"}, {"JOB_ID": "4"}],
)
def test_a_shell_of_a_job_was_started_by_none(environment):
    """Also that of salloc, which is a step of its own kind."""
    assert launcher_of(environment) is None


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (HYDRA, 1),
        ({**STEP, **HYDRA, "SLURM_LOCALID": "0"}, 1),
        ({"OMPI_COMM_WORLD_LOCAL_RANK": "2", "SLURM_LOCALID": "0"}, 2),
        ({**STEP, "SLURM_LOCALID": "3"}, 3),
        ({"EXPERIMENTER_LOCAL_RANK": "2", "SLURM_LOCALID": "0"}, 2),
        ({**STEP, "SLURM_LOCALID": "3", "EXPERIMENTER_LOCAL_RANK": "2"}, 3),
        ({"MPI_LOCALRANKID": "3", "EXPERIMENTER_LOCAL_RANK": "2"}, 3),
        ({"FLUX_TASK_LOCAL_ID": "5"}, 5),
        ({"MPI_LOCALRANKID": "first"}, 0),
        ({}, 0),
    ],
)
def test_the_rank_among_those_of_the_host_is_the_launchers(environment, expected):
    """Slurm's own is that of Hydra's proxy, the same for every rank of a host."""
    assert expected == local_rank(environment)
