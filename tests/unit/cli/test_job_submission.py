"""``job --submit``: what the scheduler is asked, and what is said of its answers."""

from __future__ import annotations

import os
import subprocess

import pytest

from experimenter_mpi.cluster.schedulers import SCHEDULERS
from experimenter_mpi.cluster.submitting import by_hand
from support.desk import ASK, SUBMITS, install


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_submitted_job_gives_its_number_and_how_to_follow_it(scheduler, job, here):
    name, does = SUBMITS[scheduler]
    install(here, name, does)

    code, out, err = job(scheduler, *ASK, "--submit")

    number = {"pbs": "17.server", "flux": "f17Abc"}.get(scheduler, "17")
    assert (0, f"{number}\n") == (code, out)
    assert f"{number}\n" in err.partition("follow it: ")[2]
    assert f"wrote exp.{scheduler}.sh" in err
    # LSF reads directives from standard input only.
    arguments, _, read = (here / "asked.txt").read_text().partition("\n")
    assert (scheduler == "lsf") == ("#BSUB" in read)
    assert (scheduler == "lsf") == (f"exp.{scheduler}.sh" not in arguments)


@pytest.mark.parametrize(
    ("scheduler", "waits"),
    [
        ("slurm", "--dependency=afterany:17 exp-array.slurm-merge.sh"),
        ("pbs", "-W depend=afterany:17.server exp-array.pbs-merge.sh"),
        ("sge", "-hold_jid 17 exp-array.sge-merge.sh"),
        ("lsf", "-w ended(17)"),
        ("flux", "--dependency=afterany:f17Abc --dependency=afterany:f17Abc exp"),
    ],
)
def test_what_merges_waits_for_the_array(scheduler, waits, job, here):
    install(here, *SUBMITS[scheduler])

    code, _, _ = job(scheduler, *ASK, "--array", "2", "--submit")

    assert 0 == code
    assert waits in (here / "asked.txt").read_text()


def test_flux_which_knows_no_arrays_is_given_the_script_once_for_each_share(job, here):
    install(here, *SUBMITS["flux"])

    job("flux", *ASK, "--array", "2", "--submit")

    asked = (here / "asked.txt").read_text()
    assert (
        1 == asked.count("EXPERIMENTER_SHARE=1") == asked.count("EXPERIMENTER_SHARE=2")
    )


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("echo 'sbatch: error: no such partition' >&2; exit 1", "no such partition"),
        ("exit 7", "exit code 7"),
        ("echo thank you", "printed no job id: thank you"),
    ],
)
def test_what_the_scheduler_says_against_it_is_said(does, said, job, here):
    install(here, "sbatch", does)

    code, out, err = job("slurm", *ASK, "--submit")

    assert (3, "") == (code, out)
    assert said in err


@pytest.mark.parametrize(
    ("scheduler", "refused", "line"),
    [
        ("slurm", "*merge*", "scancel 17"),
        ("flux", "*SHARE=2*", "flux cancel f17Abc"),
    ],
)
def test_what_was_submitted_is_named_when_what_follows_it_is_refused(
    scheduler, refused, line, job, here
):
    name, does = SUBMITS[scheduler]
    install(here, name, f'case "$*" in {refused}) exit 7 ;; esac\n{does}')

    code, out, err = job(scheduler, *ASK, "--array", "2", "--submit")

    assert (3, does.removeprefix("echo ")) == (code, out.strip())
    assert f"end it: {line}\n" in err and "exit code 7" in err


@pytest.mark.parametrize(
    ("scheduler", "follow", "end"),
    [
        ("slurm", "squeue --jobs 17,17", "scancel 17 17"),
        ("sge", "qstat -j 17,17", "qdel 17 17"),
        ("flux", "flux jobs f17Abc f17Abc", "flux cancel f17Abc f17Abc f17Abc\n"),
    ],
)
def test_all_that_was_submitted_is_followed_and_ended(
    scheduler, follow, end, job, here
):
    install(here, *SUBMITS[scheduler])

    _, _, err = job(scheduler, *ASK, "--array", "2", "--submit")

    assert f"follow it: {follow}" in err and f"end it: {end}" in err


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_what_is_to_be_typed_is_understood_by_a_shell(scheduler, here):
    install(here, SUBMITS[scheduler][0], "")
    (here / "a b.sh").write_text("#script\n")
    line = by_hand(scheduler, "a b.sh", after=["(17)[]", "18"], shares=2)

    subprocess.run(["sh", "-c", line], check=True)

    arguments, _, read = (here / "asked.txt").read_text().partition("\n")
    assert ("a b.sh" in arguments) != ("#script" in read)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_after_a_refusal_the_corrected_command_works(scheduler, job, here):
    name, does = SUBMITS[scheduler]
    install(here, name, "exit 7")
    ask = (scheduler, *ASK, "--array", "2", "--submit")
    before = sorted(os.listdir(here))
    refused, _, _ = job(*ask, "--queue", "lnog")
    left = sorted(set(os.listdir(here)) - {"asked.txt", "hpc"})

    install(here, name, does)
    corrected, _, _ = job(*ask, "--queue", "long")

    assert [3, 0] == [refused, corrected]
    assert before == left


LOGS = {
    "slurm": "hpc/logs/exp-17_*.out",
    "pbs": "hpc/logs/17.server.OU",
    "sge": "hpc/logs/exp-17.*.out",
    "lsf": "hpc/logs/exp-17.*.out",
    "flux": "hpc/logs/exp-f17Abc.out",
}


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_the_logs_are_announced_by_their_true_names(scheduler, job, here):
    install(here, *SUBMITS[scheduler])

    _, _, one = job(scheduler, *ASK, "--submit")
    _, _, array = job(scheduler, *ASK, "--array", "2", "--submit")

    assert f"its output: {LOGS[scheduler].replace('_*', '').replace('.*', '')}\n" in one
    assert f"its output: {LOGS[scheduler]}\n" in array
    if scheduler != "pbs":  # which names them by their numbers alone
        number = "f17Abc" if scheduler == "flux" else "17"
        assert f"its output: hpc/logs/exp-merge-{number}.out\n" in array


def test_jobs_that_must_have_ended_are_named_to_the_scheduler(job, here):
    install(here, *SUBMITS["slurm"])

    job("slurm", *ASK, "--depends-on", "3", "--depends-on", "4", "--submit")
    _, _, err = job("slurm", *ASK, "--depends-on", "3", "--output", "x.sh")

    asked = (here / "asked.txt").read_text()
    assert "--parsable --dependency=afterany:3:4 exp.slurm.sh" in asked
    assert "submit it: sbatch --dependency=afterany:3 x.sh" in err


def test_parts_of_an_array_with_another_number_of_tasks_are_named(job, here):
    (here / "x.db.parts").mkdir()
    for name in ("1.db", "2.db", "9.db", "10.db", "9.db-wal"):
        (here / "x.db.parts" / name).touch()

    ask = ("slurm", *ASK, "--db", "x.db", "--output", "x.sh")
    _, _, err = job(*ask, "--array", "2")
    _, _, none = job(*ask, "--array", "10", "--force")

    assert "9.db, 10.db in x.db.parts are left over" in err
    assert "left over" not in none
