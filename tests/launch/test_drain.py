"""A run that is asked to stop: whoever hears of it, by whatever signal or clock."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import suppress

import pytest

from support.experiments import PACKAGE
from support.libraries import mpiexec_of, python_of
from support.ways import WAYS

POLITE = """
import time
from experimenter_mpi import (
    Experiment, IntegerVariable, TrialInterrupted,
    get_latest_snapshot_from_global_database, save_snapshot_in_global_database,
    stop_requested, time_left,
)

def trial(configuration, trial_id):
    snapshot = get_latest_snapshot_from_global_database(trial_id)
    if snapshot is not None:
        return {"left": snapshot.state["left"]}
    with open("began.txt", "a") as file:
        file.write("a trial\\n")
    while not stop_requested():
        time.sleep(0.01)
    save_snapshot_in_global_database(trial_id, {"left": time_left()})
    raise TrialInterrupted

experiment = Experiment(
    "polite", function=trial, configuration={"n": IntegerVariable(1, 2)}
)
"""
# What Ctrl-C leaves, and what everything else does.
GRACE = dict.fromkeys([signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2], 60)
GRACE[signal.SIGINT] = 1

STUBBORN = """
import time
from experimenter_mpi import Experiment, IntegerVariable

def trial(configuration, trial_id):
    with open("began.txt", "a") as file:
        file.write("a trial\\n")
    time.sleep(600)
    return {}

experiment = Experiment(
    "stubborn", function=trial, configuration={"n": IntegerVariable(1, 9)}
)
"""


def began(folder, count=1):
    def enough():
        path = folder.path / "began.txt"
        return path.exists() and count <= len(path.read_text().splitlines())

    return enough


def runs_ended(folder):
    return [ended for (ended,) in folder.query("SELECT ended FROM runs ORDER BY id")]


def send_to(running, target, number):
    pids = {
        "rank 0": lambda: running.ranks()[:1],
        "all ranks": running.ranks,
        "the launcher": lambda: [running.pid],
        "everything": lambda: [process.pid for process in running.processes()],
    }[target]()
    for pid in pids:
        with suppress(ProcessLookupError):  # the first may have told the others
            os.kill(pid, number)


@pytest.mark.parametrize(
    ("number", "target"),
    [
        (signal.SIGINT, "the launcher"),
        (signal.SIGTERM, "the launcher"),
        (signal.SIGUSR1, "the launcher"),
        (signal.SIGTERM, "rank 0"),
        (signal.SIGUSR2, "rank 0"),
        (signal.SIGINT, "all ranks"),
        (signal.SIGUSR1, "all ranks"),
    ],
)
def test_whoever_hears_of_it_trials_step_back_and_go_on_later(
    number, target, start_mpirun, folder
):
    folder.write(POLITE)
    running = start_mpirun(3, *PACKAGE, "run", "exp.py")
    running.wait_for(began(folder, 2))

    send_to(running, target, number)
    done = running.wait(30).expect(75)

    assert f"{number.name}: no new trials" in done.stderr
    assert "0 finished, 0 failed in " in done.stdout
    assert f"stopped by {number.name}" in done.stdout
    assert {"pending": 2} == folder.statuses()
    start_mpirun(3, *PACKAGE, "run", "exp.py").wait().expect(0)
    assert ["stopped", "finished"] == runs_ended(folder)
    left = folder.query("SELECT results ->> '$.left' FROM trials")
    assert all(0 <= seconds <= GRACE[number] for (seconds,) in left)


@pytest.mark.parametrize(
    ("number", "target"),
    [
        (signal.SIGUSR1, "the launcher"),
        (signal.SIGUSR2, "the launcher"),
        (signal.SIGUSR1, "rank 0"),
        (signal.SIGUSR2, "all ranks"),
    ],
)
def test_open_mpi_passes_on_what_schedulers_send(number, target, start_mpirun, folder):
    folder.write(POLITE)
    running = start_mpirun(3, *PACKAGE, "run", "exp.py", library="openmpi")
    running.wait_for(began(folder, 2))

    send_to(running, target, number)
    running.wait(30).expect(75)

    assert {"pending": 2} == folder.statuses()


def test_sigusr2_kills_mpichs_launcher_and_loses_nothing(start_mpirun, folder):
    """Hydra does not forward it, it dies of it: the next run goes on all the same."""
    folder.write(POLITE)
    running = start_mpirun(3, *PACKAGE, "run", "exp.py")
    running.wait_for(began(folder, 2))
    send_to(running, "the launcher", signal.SIGUSR2)
    running.wait(30).expect(-signal.SIGUSR2)
    (folder.path / "began.txt").unlink()

    again = start_mpirun(3, *PACKAGE, "run", "exp.py")
    again.wait_for(began(folder, 2))

    assert "took over the lock" in again.stderr
    assert [("ok",)] == folder.query("PRAGMA integrity_check")


def test_a_launcher_that_ignores_sigusr2_lets_the_ranks_heed_it(launches, folder):
    """Grid Engine's -notify sends it to every process of the job: the cure."""
    folder.write(POLITE)
    python = python_of("mpich")
    command = " ".join(
        [*mpiexec_of(python), "-n 3", str(python), *PACKAGE, "run exp.py"]
    )
    running = launches.start_shell(f"trap '' USR2; exec {command}")
    running.wait_for(began(folder, 2))

    send_to(running, "everything", signal.SIGUSR2)
    done = running.wait(30).expect(75)

    assert "stopped by SIGUSR2" in done.stdout


# --- the grace period


@pytest.mark.launches
@pytest.mark.parametrize(
    "name", ["serial", "multithreaded", "coordinated", "distributed-alone"]
)
def test_trials_that_do_not_step_back_are_stopped_after_the_grace_period(
    name, launches, folder
):
    """They last for ten minutes; the run ends, and they are pending again."""
    folder.write(STUBBORN)
    running = WAYS[name].start_run(launches, "--grace", "0.5", library="mpich")
    running.wait_for(began(folder), 60)

    target = "the launcher" if name != "coordinated" else "rank 0"
    send_to(running, target, signal.SIGTERM)
    running.wait(30).expect(75)

    assert {"pending": 9} == folder.statuses()
    assert ["stopped"] == runs_ended(folder)


@pytest.mark.parametrize(
    ("number", "grace"), [(signal.SIGTERM, "0.2"), (signal.SIGINT, "600")]
)
def test_a_trial_inside_a_c_library_is_stopped_too(start_serial, folder, number, grace):
    """Python's handlers run between two of its own instructions: there are none."""
    source = STUBBORN.replace(
        "time.sleep(600)", 'hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)'
    )
    folder.write(source.replace("import time", "import hashlib"))
    running = start_serial(*PACKAGE, "run", "exp.py", "--grace", grace)
    running.wait_for(began(folder))

    def has_ended():
        """Press it again and again: a second Ctrl-C does not wait for the grace."""
        if running.poll() is None:
            os.kill(running.pid, number)
        return running.poll() is not None

    running.wait_for(has_ended)
    done = running.wait().expect(75)
    assert f"{number.name}: no new trials" in done.stderr
    assert "A trial ignored the stop request and was abandoned. Rerun" in done.stderr


def test_a_debugger_that_is_only_loaded_gives_a_trial_no_more_time(
    start_serial, folder
):
    """Doctest loads pdb, and with it a good part of what scientists import."""
    folder.write(f"import doctest\n{STUBBORN}")
    running = start_serial(*PACKAGE, "run", "exp.py")
    running.wait_for(began(folder))

    running.send_signal(signal.SIGINT)

    running.wait(30).expect(75)


@pytest.mark.parametrize("ranks", [0, 3])
def test_a_time_limit_stops_them_too(ranks, serial, mpirun, folder):
    """Where starting takes as long on a busy machine, no trial is begun."""
    folder.write(STUBBORN)
    run = (*PACKAGE, "run", "exp.py", "--time-limit", "3", "--grace", "0.3")

    done = mpirun(ranks, *run) if ranks else serial(*run)

    done.expect(75)
    notice = "the time limit: no new trials; running ones have "
    assert began(folder)() is (notice in done.stderr)
    assert {"pending": 9} == folder.statuses()


# --- the scheduler's end time


def test_a_run_ends_before_its_job_does(mpirun, folder):
    """Five seconds are kept for the last commit, and some for what still runs."""
    folder.write(POLITE)
    job = {"SLURM_JOB_ID": "3", "SLURM_JOB_END_TIME": str(int(time.time()) + 13)}

    done = mpirun(3, *PACKAGE, "run", "exp.py", env=job, timeout=60).expect(75)

    assert "stopped by the end of the job's walltime" in done.stdout
    assert {"pending": 2} == folder.statuses()


# --- too little time for another trial

LONG = """
import time
from experimenter_mpi import Experiment, IntegerVariable, stop_requested

def trial(configuration, trial_id):
    time.sleep(4)
    return {"asked": stop_requested()}

experiment = Experiment(
    "long", function=trial, configuration={"n": IntegerVariable(1, 9)}
)
"""


@pytest.mark.launches
@pytest.mark.parametrize("name", ["serial", "multithreaded", "coordinated"])
def test_trials_that_would_not_end_in_time_are_not_begun(name, launches, folder):
    folder.write(LONG)
    limits = ("--time-limit", "7", "--grace", "0.5")

    done = WAYS[name].start_run(launches, *limits, library="mpich").wait(60).expect(75)

    assert "stopped by too little time left for trials of about 4 s" in done.stdout
    begun = folder.query(
        "SELECT status, results ->> '$.asked' FROM trials WHERE attempts"
    )
    assert {("finished", 0)} == set(begun)
    assert ["stopped"] == runs_ended(folder)


def test_a_database_that_is_being_drained_can_be_read(start_mpirun, folder):
    folder.write(POLITE)
    running = start_mpirun(3, *PACKAGE, "run", "exp.py")
    running.wait_for(began(folder, 2))
    reader = sqlite3.connect(f"file:{folder.database}?mode=ro", uri=True)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM trials").fetchone()

    send_to(running, "rank 0", signal.SIGTERM)
    running.wait(30).expect(75)

    reader.close()
    assert {"pending": 2} == folder.statuses()
