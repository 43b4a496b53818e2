"""Job scripts on a real Slurm of two nodes: as `job` writes and submits them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from experimenter_mpi import get_trials_by_name, open_db
from support.jobs import LONG, QUICK, SCRIPT, begun, flavours, runs_ended, steps
from support.scheduler import FOLLOW, said

pytestmark = pytest.mark.slurm

BOTH = pytest.mark.parametrize("library", ["mpich", "openmpi"])
ASK = (SCRIPT, "--ranks", "3", "--time", "5:00")
# What the scripts have their ranks do.
RUN = """run "$script" --db "$database" \\
        "${options[@]}\""""
QUICK_RESULTS = {n * n for n in range(1, 25)}


ARRAYS = """
import sys, numpy
from experimenter_mpi import Experiment, IntegerVariable

def trial(configuration, trial_id):
    return {"ones": numpy.ones(200_000), "python": sys.prefix}

experiment = Experiment(
    "big", function=trial, configuration={"n": IntegerVariable(1, 4)}
)
"""


def squares(folder):
    query = "SELECT results ->> '$.square' FROM trials"
    return {value for (value,) in folder.query(query)}


@BOTH
def test_a_job_over_two_nodes(library, slurm, folder):
    folder.write(QUICK, SCRIPT)

    job = slurm.submit(
        SCRIPT, "--ranks", "4", "--nodes", "2", "--time", "5:00", library=library
    ).expect(0)

    assert "24 finished, 0 failed" in job.output
    assert QUICK_RESULTS == squares(folder)
    assert [(4,)] == folder.query("SELECT ranks FROM runs")
    nodes = folder.query("SELECT DISTINCT results ->> '$.node' FROM trials")
    assert {"n1", "n2"} == {node for (node,) in nodes}


@BOTH
def test_a_job_that_srun_launches(library, slurm, folder):
    """By the one of its MPI plugins that fits the library."""
    folder.write(QUICK, SCRIPT)

    # Two: an emulated node has no cores for more that PMIx would believe in.
    ask = (SCRIPT, "--ranks", "2", "--time", "5:00", "--launcher", "srun")

    slurm.submit(*ask, library=library).expect(0)

    assert QUICK_RESULTS == squares(folder)
    assert [(2,)] == folder.query("SELECT ranks FROM runs")


@BOTH
def test_a_chain_of_runs_until_all_is_finished(library, slurm, folder):
    """Signal, drain, snapshot, exit code 75, requeue, resume, finished."""
    folder.write(LONG, SCRIPT)
    variable = "--directive=--export=ALL,FLAVOUR=salt"
    job = slurm.submit(*ASK, "--resume", variable, library=library)
    job.wait_for(begun(folder), "two trials")

    # What --signal=B:USR1@120 does two minutes before the end.
    said("scancel", "--signal=USR1", "--batch", job.number)
    job.expect(0)

    assert "stopped by SIGUSR1" in job.output
    assert "1" == slurm.scheduler.show(job.number)["Restarts"]
    assert ["stopped", "finished"] == runs_ended(folder)
    # From the states that they saved when they were asked to stop.
    assert [2, 2] == steps(folder)
    assert {"salt"} == flavours(folder)
    (log,) = (folder.path / "hpc" / "logs").glob("*.runs")
    first, last = log.read_text().splitlines()
    assert "exit code 75, progress: yes" in first
    assert "ended: all trials are finished" == last


def test_a_chain_goes_on_after_its_node_has_failed(slurm, folder):
    folder.write(LONG, SCRIPT)
    job = slurm.submit(*ASK, "--resume", "--nodes", "1")
    job.wait_for(begun(folder), "two trials")

    node = slurm.scheduler.show(job.number)["NodeList"]
    said("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    try:
        job.wait_for(
            lambda: slurm.scheduler.show(job.number)["Restarts"] == "1", "a requeue"
        )
    finally:
        said("scontrol", "update", f"nodename={node}", "state=resume")
    job.expect(0)

    first, last = runs_ended(folder)
    assert first in (None, "stopped") and last == "finished"
    # What each had saved when its node failed, or at its end, if it was asked to stop.
    assert {1, 2} >= set(steps(folder))


def test_slurm_asks_for_the_signal_that_the_chain_waits_for(slurm, folder):
    folder.write(QUICK, SCRIPT)
    job = slurm.submit(*ASK, "--resume", "--notice", "2:00")

    shown = slurm.scheduler.show(job.number)
    job.expect(0)

    assert "1" == shown["Requeue"]
    seen = said("scontrol", "write", "batch_script", job.number, "-")
    assert "--signal=B:USR1@120" in seen


@pytest.mark.parametrize(
    "how", [(), ("--signal=KILL", "--full")], ids=["cancelled", "killed"]
)
def test_a_job_that_is_ended_leaves_a_database_that_goes_on(how, slurm, folder):
    """It is not started again by its own hand, and loses nothing that was saved."""
    folder.write(LONG, SCRIPT)
    job = slurm.submit(*ASK, "--resume")
    job.wait_for(begun(folder), "two trials")

    said("scancel", *how, job.number)
    job.wait_for(lambda: slurm.scheduler.is_over(job.number), "the end")

    assert {"0"} == {slurm.scheduler.show(job.number)["Restarts"]}
    assert [("ok",)] == folder.query("PRAGMA integrity_check")
    again = slurm.submit(*ASK, "--force").expect(0)
    assert "2 finished, 0 failed" in again.output
    # What each saved when it began, or at its end, if there was time to ask it.
    assert {1, 2} >= set(steps(folder))


def test_a_job_is_submitted_followed_and_cancelled_from_python(slurm, folder):
    folder.write(LONG, SCRIPT)
    job = slurm.submit_from_python(SCRIPT)
    job.wait_for(begun(folder), "two trials")

    (told,) = json.loads(slurm.run("jobs", str(folder.database), "--json"))
    assert ("running", job.number) == (told["state"], told["job"])
    assert "cancelled 1 job" in slurm.run("jobs", "cancel", str(folder.database))
    log = slurm.python(FOLLOW.format(str(folder.database)))

    assert "2 trials" in log
    (told,) = json.loads(slurm.run("jobs", str(folder.database), "--json"))
    assert "ended" == told["state"]
    assert [("ok",)] == folder.query("PRAGMA integrity_check")


def test_doctor_says_inside_a_job_and_outside_that_a_run_would_work(slurm, folder):
    folder.write(QUICK, SCRIPT)
    text = slurm.job(*ASK)
    (folder.path / "doctor.sh").write_text(text.replace(RUN, "doctor --json --db x.db"))

    job = slurm.submit_file("doctor.sh").expect(0)

    said = json.loads(job.output[job.output.index("{") :])
    environment = said["environment"]
    assert said["works"]
    assert ("slurm", job.number) == (environment["scheduler"], environment["job_id"])
    assert 3 == environment["promised"] == environment["seen"]
    assert 0 < environment["time_left"] <= 300
    outside = json.loads(slurm.run("doctor", "--json"))
    assert outside["works"] and outside["environment"]["scheduler"] in (None, "none")


def test_an_array_whose_shares_are_merged(slurm, folder):
    folder.write(QUICK, SCRIPT)

    job = slurm.submit(*ASK[:1], "--ranks", "2", "--time", "5:00", "--array", "3")
    job.expect(0, 0, 0, 0)

    assert QUICK_RESULTS == squares(folder)
    parts = sorted((folder.path / "experiments" / "experiments.db.parts").glob("*.db"))
    assert ["1.db", "2.db", "3.db"] == [part.name for part in parts]
    assert "experiments.db now holds all of 3 databases" in job.output


def test_a_task_of_an_array_goes_on_by_itself_before_all_are_merged(slurm, folder):
    folder.write(LONG, SCRIPT)
    options = ("--ranks", "2", "--time", "5:00", "--array", "2", "--resume")
    job = slurm.submit(SCRIPT, *options)
    job.wait_for(begun(folder), "two trials")

    for task in (1, 2):
        said("scancel", "--signal=USR1", "--batch", f"{job.number}_{task}")
    job.expect(0, 0, 0)

    assert [2, 2] == steps(folder)


def test_a_rank_that_dies_is_survived_where_that_was_asked_for(slurm, folder):
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

    slurm.submit(*ASK, "--fault-tolerant", library="openmpi").expect(0)

    assert (folder.path / "died.txt").exists()
    assert QUICK_RESULTS == squares(folder)


def test_many_worlds_of_one_are_refused_before_anything_is_written(slurm, folder):
    """`srun` with an MPI plugin that does not fit starts them, and says nothing."""
    folder.write(QUICK, SCRIPT)
    text = slurm.job(*ASK)
    wrong = text.replace("exec mpiexec -n", "exec srun --mpi=none -n", 1)
    (folder.path / "wrong.sh").write_text(wrong)

    job = slurm.submit_file("wrong.sh").expect(3)

    assert wrong != text
    assert "--mpi=pmi2" in job.output
    (folder.path / "doctor.sh").write_text(wrong.replace(RUN, "doctor"))
    told = slurm.submit_file("doctor.sh").expect(3)
    assert "each of them is alone" in told.output
    assert not (folder.path / "experiments").exists()


def uncommented(text):
    return re.sub(r"^#(?=[a-z\[])(?!module|export)", "", text, flags=re.MULTILINE)


def pack(folder, archive):
    """Pack an environment, as the script says to: one that borrows its packages."""
    environment = folder / "venv"
    venv.create(environment, symlinks=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    borrowed = sysconfig.get_path("purelib")
    (packages / "borrowed.pth").write_text(
        f"import site; site.addsitedir({borrowed!r})\n"
    )
    for library in Path(sys.prefix, "lib").glob("[!p]*"):
        (environment / "lib" / library.name).symlink_to(library)
    subprocess.run(["tar", "-C", environment, "-czf", archive, "."], check=True)


def test_python_and_the_database_may_be_read_from_the_nodes_own_disks(
    slurm, folder, tmp_path
):
    """With the # taken from every option of the script that has to do with it."""
    folder.write(ARRAYS, SCRIPT)
    folder.write(QUICK, "quick.py")
    pack(tmp_path, folder.path / "venv.tar.gz")
    slurm.submit("quick.py", "--ranks", "2", "--time", "5:00").expect(0)
    text = uncommented(
        slurm.job(SCRIPT, "--ranks", "4", "--nodes", "2", "--time", "300")
    )
    (folder.path / "staged.sh").write_text(
        text.replace("$HOME/venv.tar.gz", "$SLURM_SUBMIT_DIR/venv.tar.gz")
    )

    job = slurm.submit_file("staged.sh").expect(0)

    # What was there before went along, and came back.
    assert [(2,)] == folder.query("SELECT count(*) FROM experiments")
    assert {"finished": 28} == folder.statuses()
    with open_db(folder.database.name, folder.database.parent, read_only=True) as db:
        sums = [trial.results["ones"].sum() for trial in get_trials_by_name(db, "big")]
    assert [200_000] * 4 == sums
    query = "SELECT results ->> '$.python' AS python FROM trials"
    where = folder.query(f"{query} WHERE python IS NOT NULL")
    near = f"/tmp/venv-{job.number}"  # noqa: S108 - where the script puts it
    assert {near} == {python for (python,) in where}
    assert not Path(near).exists()
