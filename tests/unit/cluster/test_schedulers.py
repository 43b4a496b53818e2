"""Which job this process is in, told from what schedulers set."""

from __future__ import annotations

import pytest

from experimenter_mpi.cluster import schedulers
from experimenter_mpi.cluster.schedulers.slurm import expanded

# As seen on Slurm 22.05, OpenPBS 23.06 and Son of Grid Engine 8.1.9; LSF and Flux as
# their manuals have it.
JOBS = {
    "slurm": {
        "SLURM_JOB_ID": "17",
        "SLURM_NTASKS": "4",
        "SLURM_JOB_NODELIST": "n[1-2]",
        "SLURM_PROCID": "0",
    },
    "pbs": {"PBS_JOBID": "17", "PBS_NODEFILE": "nodes", "NCPUS": "4"},
    "sge": {"JOB_ID": "17", "NSLOTS": "4", "PE_HOSTFILE": "pe", "SGE_ROOT": "/sge"},
    "lsf": {"LSB_JOBID": "17", "LSB_DJOB_NUMPROC": "4", "LSB_DJOB_HOSTFILE": "nodes"},
    "flux": {"FLUX_JOB_ID": "17", "FLUX_JOB_SIZE": "4", "FLUX_URI": "local:///x"},
}


@pytest.fixture(autouse=True)
def files_of_the_job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nodes").write_text("n1\nn1\nn2\nn2\n")
    (tmp_path / "pe").write_text("n1 2 all.q@n1 UNDEFINED\nn2 2 all.q@n2 UNDEFINED\n")


@pytest.mark.parametrize("scheduler", JOBS)
def test_a_job_is_known_with_its_ranks_and_hosts(scheduler):
    environment = JOBS[scheduler]

    assert scheduler == schedulers.scheduler_of(environment)
    assert ("17", 4) == (
        schedulers.job_id(environment),
        schedulers.slots(environment),
    )
    # Flux names no hosts to the processes of a job.
    expected = () if scheduler == "flux" else ("n1", "n2")
    assert expected == schedulers.hosts(environment)


@pytest.mark.parametrize(
    "environment", [{}, {"SLURM_JOB_ID": ""}, {"JOB_ID": "17"}, {"HOME": "/root"}]
)
def test_outside_a_job_there_is_none(environment):
    """A JOB_ID alone is another program's."""
    assert "none" == schedulers.scheduler_of(environment)
    assert (None, None, ()) == (
        schedulers.job_id(environment),
        schedulers.slots(environment),
        schedulers.hosts(environment),
    )


def test_flux_inside_a_slurm_job_is_what_starts_ranks_there():
    environment = {**JOBS["slurm"], "FLUX_ENCLOSING_ID": "f1", "FLUX_URI": "local:///x"}

    assert {"flux": "f1", "slurm": "17"} == schedulers.jobs(environment)
    assert "flux" == schedulers.scheduler_of(environment)


def test_a_job_that_was_asked_for_no_number_of_ranks_has_none():
    """Slurm sets none where neither --ntasks nor --ntasks-per-node was given."""
    assert schedulers.slots({"SLURM_JOB_ID": "17"}) is None


def test_a_node_file_of_another_host_is_no_error():
    environment = {"PBS_JOBID": "17", "PBS_NODEFILE": "/var/spool/pbs/aux/17"}

    assert (None, ()) == (schedulers.slots(environment), schedulers.hosts(environment))


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ("n1", ["n1"]),
        ("n1,m2", ["n1", "m2"]),
        ("n[08-10],login", ["n08", "n09", "n10", "login"]),
        ("n[1-2,7]", ["n1", "n2", "n7"]),
        ("r[1-2]c[0-1]", ["r1c0", "r1c1", "r2c0", "r2c1"]),
        ("", []),
        ("n[a-b]", ["na-b"]),
    ],
)
def test_slurms_short_form_of_hosts_is_expanded(nodes, expected):
    assert expected == expanded(nodes)
