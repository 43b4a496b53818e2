"""Job scripts on a real Grid Engine, of an ordinary user: root's are never killed."""

from __future__ import annotations

import json
import os
import signal

import pytest

from support import processes
from support.jobs import LONG, QUICK, SCRIPT, begun, flavours, runs_ended, steps
from support.scheduler import FOLLOW, said

pytestmark = pytest.mark.sge

BOTH = pytest.mark.parametrize("library", ["mpich", "openmpi"])
ASK = (SCRIPT, "--ranks", "3", "--time", "5:00")
# What the scripts have their ranks do.
RUN = """run "$script" --db "$database" \\
        "${options[@]}\""""
QUICK_RESULTS = {n * n for n in range(1, 25)}


def squares(folder):
    query = "SELECT results ->> '$.square' FROM trials"
    return {value for (value,) in folder.query(query)}


@BOTH
def test_a_job(library, sge, folder):
    folder.write(QUICK, SCRIPT)

    job = sge.submit(*ASK, library=library).expect(0)

    assert "24 finished, 0 failed" in job.output
    assert QUICK_RESULTS == squares(folder)
    assert [(3,)] == folder.query("SELECT ranks FROM runs")


def test_a_job_whose_walltime_strikes_goes_on_until_all_is_finished(sge, folder):
    """By the clock of Grid Engine alone: a walltime of one minute, seen to its end."""
    folder.write(LONG, SCRIPT)

    job = sge.submit(SCRIPT, "--ranks", "3", "--time", "1:00", "--resume")
    job.expect(99, 0)

    assert "stopped by the end of the job's walltime" in job.output
    assert ["stopped", "finished"] == runs_ended(folder)
    assert [2, 2] == steps(folder)


@BOTH
def test_a_chain_of_runs_until_all_is_finished(library, sge, folder):
    """What -notify sends to every process of the job before its end."""
    folder.write(LONG, SCRIPT)
    job = sge.submit(*ASK, "--resume", "--directive=-v FLAVOUR=salt", library=library)
    job.wait_for(begun(folder), "two trials")

    processes.send(processes.of_launch(job.mark), signal.SIGUSR2)
    job.expect(99, 0)

    assert "stopped by SIGUSR2" in job.output or "stopped by SIGUSR1" in job.output
    assert ["stopped", "finished"] == runs_ended(folder)
    assert [2, 2] == steps(folder)
    assert {"salt"} == flavours(folder)


def test_a_chain_that_is_rescheduled_goes_on(sge, folder):
    """As after the failure of its host, where the site has set that up."""
    folder.write(LONG, SCRIPT)
    job = sge.submit(*ASK, "--resume")
    job.wait_for(begun(folder), "two trials")

    said("qmod", "-rj", job.number)
    job.wait_for(lambda: sge.scheduler.is_over(job.number), "the end")

    first, last = runs_ended(folder)
    assert first in (None, "stopped") and last == "finished"


def test_a_job_that_is_deleted_leaves_a_database_that_goes_on(sge, folder):
    """-notify tells it first, as before a walltime, but it must not start again."""
    folder.write(LONG, SCRIPT)
    job = sge.submit(*ASK, "--resume")
    job.wait_for(begun(folder), "two trials")

    sge.scheduler.cancel(job.number)
    job.wait_for(lambda: sge.scheduler.is_over(job.number), "the end")

    assert ["stopped"] == runs_ended(folder)
    assert [("ok",)] == folder.query("PRAGMA integrity_check")
    again = sge.submit(*ASK, "--force").expect(0)
    assert "2 finished, 0 failed" in again.output
    assert [2, 2] == steps(folder)


def test_a_job_that_is_killed_leaves_a_database_that_goes_on(sge, folder):
    """All at once, launcher and ranks: what was saved before is there."""
    folder.write(LONG, SCRIPT)
    job = sge.submit(*ASK)
    job.wait_for(begun(folder), "two trials")

    # The shell of the job last, so that Grid Engine sees it end of something.
    processes.send(processes.of_launch(job.mark), signal.SIGKILL)
    job.wait_for(lambda: sge.scheduler.is_over(job.number), "the end")

    assert {"running": 2} == folder.statuses()
    sge.submit(*ASK, "--force").expect(0)
    assert [1, 1] == steps(folder)


def test_doctor_says_inside_a_job_and_outside_that_a_run_would_work(sge, folder):
    folder.write(QUICK, SCRIPT)
    text = sge.job(*ASK)
    (folder.path / "doctor.sh").write_text(text.replace(RUN, "doctor --json --db x.db"))

    job = sge.submit_file("doctor.sh").expect(0)

    said = json.loads(job.output[job.output.index("{") :])
    environment = said["environment"]
    assert said["works"]
    assert ("sge", job.number) == (environment["scheduler"], environment["job_id"])
    assert 3 == environment["promised"] == environment["seen"]
    assert 0 < environment["time_left"] <= 300
    outside = json.loads(sge.run("doctor", "--json"))
    assert outside["works"] and outside["environment"]["scheduler"] in (None, "none")


def test_a_job_is_submitted_followed_and_cancelled_from_python(sge, folder):
    folder.write(LONG, SCRIPT)
    job = sge.submit_from_python(SCRIPT)
    job.wait_for(begun(folder), "two trials")

    (told,) = json.loads(sge.run("jobs", str(folder.database), "--json"))
    assert ("running", job.number) == (told["state"], told["job"])
    assert "cancelled 1 job" in sge.run("jobs", "cancel", str(folder.database))
    log = sge.python(FOLLOW.format(str(folder.database)))

    assert "2 trials" in log
    (told,) = json.loads(sge.run("jobs", str(folder.database), "--json"))
    assert "ended" == told["state"]
    assert [("ok",)] == folder.query("PRAGMA integrity_check")


def test_an_array_whose_shares_are_merged(sge, folder):
    folder.write(QUICK, SCRIPT)

    job = sge.submit(SCRIPT, "--ranks", "2", "--time", "5:00", "--array", "3")
    job.expect(0, 0, 0, 0)

    assert QUICK_RESULTS == squares(folder)
    assert "experiments.db now holds all of 3 databases" in job.output


def test_a_rank_that_dies_is_survived_where_that_was_asked_for(sge, folder):
    folder.write(
        QUICK.replace(
            "time.sleep(0.05)",
            "if configuration['n'] == 5 and not os.path.exists('died.txt'):\n"
            "        open('died.txt', 'w').close()\n"
            "        os.abort()\n"
            "    time.sleep(0.05)",
        ),
        SCRIPT,
    )

    sge.submit(*ASK, "--fault-tolerant", library="openmpi").expect(0)

    assert os.path.exists(folder.path / "died.txt")
    assert QUICK_RESULTS == squares(folder)
