"""When the job ends, in the words of each scheduler."""

from __future__ import annotations

import os
import time

import pytest

from experimenter_mpi.cluster import processes, walltime
from experimenter_mpi.cluster.schedulers import sge

# As printed by Slurm 22.05, OpenPBS 23.06 and Son of Grid Engine 8.1.9, shortened.
QSTAT_PBS = """Job Id: 12.head
    Job_Name = sweep
    resources_used.cput = 00:00:41
    resources_used.walltime = 00:10:30
    job_state = R
    Resource_List.select = 1:ncpus=4:mpiprocs=4
    Resource_List.walltime = 02:00:00
    Variable_List = PBS_O_HOME=/home/me,PBS_O_LANG=C.UTF-8,
"""
QSTAT_SGE = """==============================================================
job_number:                 7
exec_file:                  job_scripts/7
owner:                      me
hard resource_list:         h_rt=3600,h_vmem=2G
parallel environment:  mpi range: 4
"""


@pytest.fixture
def now(monkeypatch):
    monkeypatch.setattr(walltime.time, "time", lambda: 1_800_000_000.0)
    return 1_800_000_000.0


def saying(text):
    asked = []

    def ask(*command):
        asked.append(command)
        return text

    ask.asked = asked
    return ask


def nobody(*command):
    pytest.fail(f"{command} was asked in vain")


def test_outside_a_job_nobody_is_asked():
    assert None is walltime.end_time({"HOME": "/root"}, nobody)


def test_slurm_says_it_in_the_environment_where_it_is_new_enough(now):
    environment = {"SLURM_JOB_ID": "3", "SLURM_JOB_END_TIME": "1800003600"}

    assert 1_800_003_600 == walltime.end_time(environment, nobody)


@pytest.mark.parametrize(("said", "left"), [("1:00:00", 3600), (None, None)])
def test_an_end_that_has_passed_is_not_believed(said, left, now):
    """The job was given more time, or a shell has outlived it."""
    environment = {"SLURM_JOB_ID": "3", "SLURM_JOB_END_TIME": "1799990000"}

    end = walltime.end_time(environment, saying(said))

    assert left == (None if end is None else end - now)


@pytest.mark.parametrize("said", ["1e400", "1:nan", "9" * 400, "99999999-00:00:00"])
def test_an_end_that_no_clock_has_is_none(said):
    known = {"SLURM_JOB_ID": "3", "SLURM_JOB_END_TIME": "9" * 400}

    assert None is walltime.end_time(known, nobody)
    assert None is walltime.end_time({"SLURM_JOB_ID": "3"}, saying(said))


@pytest.mark.parametrize(
    ("said", "left"),
    [("1-02:00:05\n", 93605), ("59:30\n", 3570), ("2:00:00\n", 7200), ("0:07\n", 7)],
)
def test_slurm_says_what_is_left_when_it_is_asked(now, said, left):
    ask = saying(said)

    assert now + left == walltime.end_time({"SLURM_JOB_ID": "3"}, ask)
    assert [("squeue", "--noheader", "--jobs", "3", "--format", "%L")] == ask.asked


def test_slurm_is_asked_for_this_task_of_an_array_alone(now):
    """The task that bears the array's number would hear of all the others as well."""
    task = {"SLURM_ARRAY_JOB_ID": "3", "SLURM_ARRAY_TASK_ID": "8", "SLURM_JOB_ID": "3"}
    ask = saying("2:00:00\n")

    assert now + 7200 == walltime.end_time(task, ask)
    assert [("squeue", "--noheader", "--jobs", "3_8", "--format", "%L")] == ask.asked


@pytest.mark.parametrize("said", ["UNLIMITED\n", "INVALID\n", "NOT_SET\n", "", None])
def test_a_slurm_job_without_an_end_has_none(said):
    assert None is walltime.end_time({"SLURM_JOB_ID": "3"}, saying(said))


def test_pbs_says_what_was_asked_for_and_what_is_used(now):
    ask = saying(QSTAT_PBS)

    end = walltime.end_time({"PBS_JOBID": "12.head"}, ask)

    assert now + 2 * 3600 - 630 == end
    assert [("qstat", "-f", "12.head")] == ask.asked


def test_grid_engine_says_how_long_from_the_start_of_the_jobs_shell(monkeypatch):
    monkeypatch.setattr(sge, "_started", lambda: 1000.0)

    end = walltime.end_time({"JOB_ID": "7", "SGE_ROOT": "/sge"}, saying(QSTAT_SGE))

    assert 4600 == end


@pytest.mark.parametrize(
    ("said", "left"),
    [("1:30 L\n", 5400), ("0:05 L", 300), ("100:00 L", 360_000)],
)
def test_lsf_says_hours_and_minutes_to_the_run_limit(now, said, left):
    ask = saying(said)

    assert now + left == walltime.end_time({"LSB_JOBID": "7"}, ask)
    assert [("bjobs", "-noheader", "-o", "time_left", "7")] == ask.asked


@pytest.mark.parametrize("said", ["0:30 E\n", "-\n", "", None])
def test_an_lsf_job_without_a_limit_has_no_end(said):
    """E is an estimate, which ends nothing."""
    assert None is walltime.end_time({"LSB_JOBID": "7"}, saying(said))


@pytest.mark.parametrize("variable", ["FLUX_JOB_ID", "FLUX_ENCLOSING_ID"])
@pytest.mark.parametrize(("said", "left"), [("3599\n", 3599), ("infinity\n", None)])
def test_flux_says_the_seconds_that_are_left(now, variable, said, left):
    end = walltime.end_time({variable: "f1"}, saying(said))

    assert (None if left is None else now + left) == end


def test_of_jobs_inside_one_another_the_first_to_end_counts(now):
    """Flux that was started in a Slurm job knows no limit of its own."""
    environment = {
        "FLUX_ENCLOSING_ID": "f1",
        "SLURM_JOB_ID": "3",
        "SLURM_JOB_END_TIME": "1800003600",
    }

    assert 1_800_003_600 == walltime.end_time(environment, saying("infinity\n"))
    assert now + 60 == walltime.end_time(environment, saying("60\n"))


def test_another_programs_job_id_is_no_job_of_grid_engine():
    assert None is walltime.end_time({"JOB_ID": "7"}, nobody)


@pytest.mark.parametrize(
    "variable", ["SLURM_JOB_ID", "PBS_JOBID", "JOB_ID", "LSB_JOBID", "FLUX_JOB_ID"]
)
@pytest.mark.parametrize("said", [None, "", "error: no such job\n", "1:x\n", "9" * 400])
def test_words_that_nobody_understands_are_no_end(variable, said):
    environment = {variable: "3", "SGE_ROOT": "/sge"}

    assert walltime.end_time(environment, saying(said)) in (None, float("inf"))


def test_the_start_of_a_process_is_read_from_the_kernel():
    """Grid Engine's shepherd is nobody's parent here; its child's start would be."""
    first, me = processes.stat(1), processes.stat(os.getpid())

    assert first.started <= me.started
    assert processes.started_at(me) <= time.time() + 1  # ticks are rounded
    assert None is sge._started()


def test_an_mpi_that_has_started_forbids_to_ask(monkeypatch):
    monkeypatch.setitem(walltime.sys.modules, "mpi4py.MPI", object())
    monkeypatch.setattr(walltime, "_known", [])
    monkeypatch.setattr(walltime, "_ask", nobody)
    monkeypatch.setenv("SLURM_JOB_ID", "3")
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)

    assert None is walltime.left()


def test_a_scheduler_that_is_not_there_keeps_nobody_from_starting(monkeypatch):
    monkeypatch.setenv("PATH", "")

    assert None is walltime._ask("squeue")


def test_a_command_that_fails_says_nothing():
    assert None is walltime._ask("false")
    assert "3\n" == walltime._ask("echo", "3")
