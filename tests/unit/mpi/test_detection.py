"""``cluster.init()`` and ``environment()``: faked variables, and real launches."""

from __future__ import annotations

import pytest

from experimenter_mpi import cluster
from experimenter_mpi.mpi import detection
from experimenter_mpi.mpi.detection import Environment, detect
from support.fakes import WITH_PACKAGE
from unit.mpi.test_launch import BATCH, HYDRA, PMIX, STEP


def test_a_laptop_has_neither_launcher_nor_scheduler():
    assert Environment() == detect({"HOME": "/root"})
    assert "1 process started by no launcher" == str(detect({}))


def test_a_step_of_slurm_is_described_by_its_variables():
    variables = {**STEP, **PMIX, "SLURM_LOCALID": "1", "SLURM_JOB_NODELIST": "n[1-2]"}

    found = detect(variables)

    assert found == Environment(
        launcher="srun --mpi=pmix",
        scheduler="slurm",
        job_id="17",
        promised=4,
        local_rank=1,
        slots=4,
        hosts=("n1", "n2"),
    )
    assert "4 ranks on 2 hosts started by srun --mpi=pmix in Slurm job 17" == str(found)


def test_a_process_is_not_said_to_be_on_all_hosts_of_its_job():
    variables = {**BATCH, "SLURM_JOB_NODELIST": "n[1-2]"}

    expected = "1 process started by no launcher in Slurm job 17 on 2 hosts"
    assert expected == str(detect(variables))


def test_hydra_in_a_batch_job_is_what_says_how_many_it_started():
    """Slurm's step is that of Hydra's proxies, one for each host."""
    variables = {**STEP, **HYDRA, "PMI_SIZE": "16", "SLURM_STEP_NUM_TASKS": "2"}
    found = detect(variables)

    assert ("mpiexec of MPICH", 16) == (found.launcher, found.promised)
    # SLURM_NTASKS is the number of proxies then.
    assert found.slots is None


def test_a_batch_shell_was_started_by_no_launcher():
    found = detect(BATCH)

    assert (None, 1, 4) == (found.launcher, found.promised, found.slots)


@pytest.mark.parametrize(("rank", "expected"), [("0", 60.0), ("3", None)])
def test_only_rank_0_asks_the_scheduler(monkeypatch, rank, expected):
    monkeypatch.setattr(detection.walltime, "left", lambda: 60.0)
    monkeypatch.setenv("PMI_SIZE", "4")
    monkeypatch.setenv("PMI_RANK", rank)

    assert expected == cluster.environment().time_left


def test_a_name_that_is_none_is_refused():
    with pytest.raises(AttributeError, match="create_condor_template"):
        cluster.create_condor_template  # noqa: B018
    assert {"init", "environment"} <= set(dir(cluster))


SCRIPT = """
import sys
from experimenter_mpi import cluster
found = cluster.init()
again = cluster.environment()
assert (found.rank, found.seen) == (again.rank, again.seen) or found.seen == 1
print(found.rank, found.seen, found.promised, found.local_rank, found.launcher)
print("mpi4py.MPI" in sys.modules)
"""


def test_alone_no_mpi_is_started(serial):
    done = serial("-c", SCRIPT, env=WITH_PACKAGE).expect(0)

    assert ["0 1 1 0 None", "False"] == done.stdout.splitlines()
    assert done.stderr.startswith("experimenter_mpi: 1 process started by no launcher")


def test_alone_in_a_job_for_several_ranks_the_ranks_are_missed(serial):
    done = serial("-c", SCRIPT, env={**WITH_PACKAGE, **BATCH}).expect(0)

    assert "in Slurm job 17; the job was asked for 4 ranks" in done.stderr


@pytest.mark.parametrize("library", ["mpich", "openmpi"])
def test_under_mpiexec_each_rank_learns_who_it_is(mpirun, library):
    done = mpirun(3, "-c", SCRIPT, library=library, env=WITH_PACKAGE).expect(0)

    name = {"mpich": "MPICH", "openmpi": "Open MPI"}[library]
    expected = [f"{r} 3 3 {r} mpiexec of {name}" for r in range(3)] + ["True"] * 3
    assert sorted(expected) == sorted(done.stdout.splitlines())
    assert 1 == done.stderr.count(f"3 ranks started by mpiexec of {name}\n")


def test_worlds_of_one_are_refused_with_the_line_that_would_work(serial, tmp_path):
    """With ``srun --mpi=none`` each of four would take itself for the only one."""
    (tmp_path / "exp.py").write_text(SCRIPT)
    environment = {**WITH_PACKAGE, **STEP, "SLURM_PROCID": "0"}

    done = serial("exp.py", env=environment).expect(3)

    assert "srun started 4 processes" in done.stderr
    assert "Launch with 'srun --mpi=pmi2 -n 4 python exp.py' or '" in done.stderr
    assert 1 == len(done.stderr.splitlines())
