"""What doctor says of the job and the launcher."""

from __future__ import annotations

from experimenter_mpi.doctor import scheduler as job
from experimenter_mpi.mpi.detection import Environment

SLURM = Environment(scheduler="slurm", job_id="17", slots=4, hosts=("n1", "n2"))


def test_a_job_is_named_with_what_it_was_asked_for():
    assert "Slurm job 17 for 4 ranks on n1, n2" == job.scheduler(SLURM).text
    assert "none: this is not a job" == job.scheduler(Environment()).text


def test_of_many_hosts_the_first_are_named():
    many = SLURM._replace(hosts=tuple(f"n{i}" for i in range(100)))

    assert job.scheduler(many).text.endswith("on n0, n1, n2, n3 and 96 more")


def test_the_time_left_is_said_as_schedulers_write_it():
    (found,) = job.time_left(SLURM._replace(time_left=7199.6))

    assert ("ok", "2:00:00; a run stops by itself before that") == found[1:3]


def test_a_job_that_is_at_its_end_runs_nothing():
    (found,) = job.time_left(SLURM._replace(time_left=0.0))

    assert "problem" == found.state and "stop at once" in found.remedy


def test_a_scheduler_that_keeps_the_end_to_itself_is_no_problem():
    (found,) = job.time_left(SLURM)

    assert "note" == found.state and "--time-limit" in found.remedy
    assert [] == list(job.time_left(Environment()))


def test_a_launcher_is_named_with_what_it_promised():
    found = job.launcher(Environment(launcher="srun", promised=4))

    assert "srun, which says 4 processes" == found.text
    assert job.launcher(Environment()).text.startswith("none: ")


def test_ranks_that_a_job_was_asked_for_and_nobody_started_are_missed():
    found = job.start(4, "'srun -n 4 python'")

    expected = "the job was asked for 4 ranks, and this is one process"
    assert ("note", expected, "launch with 'srun -n 4 python'") == found[1:]
    assert "ok" == job.start(1, "'mpiexec -n 4 python'").state
