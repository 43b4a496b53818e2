"""Trials that leave, end MPI or leave handlers behind: no rank ends in silence."""

from __future__ import annotations

import os
import signal

import pytest

from support.experiments import PACKAGE
from support.launch import wait_until
from support.ways import WAYS

LIBRARIES = ["mpich", "openmpi"]
WITH_RANKS = [name for name in WAYS if WAYS[name].ranks]

# Whatever of a user's code may be called after a trial has ended.
HOSTILE = """
import signal, sys
from experimenter_mpi import Experiment, IntegerVariable

class Wordless(Exception):
    def __str__(self):
        sys.exit(3)

class Kind(type):
    @property
    def __name__(self):
        sys.exit(4)

class Nameless(Exception, metaclass=Kind):
    pass

class Stop(BaseException):
    pass

class Value:
    def __reduce__(self):
        sys.exit(5)

class Code:
    def __repr__(self):
        raise Stop

class Dying:
    def __del__(self):
        sys.exit(6)

def trial(configuration, trial_id):
    n = configuration["n"]
    kept = Dying()
    if n == 0:
        raise Wordless
    if n == 1:
        raise Nameless
    if n == 2:
        return {"value": Value()}
    if n == 3:
        raise Stop
    if n == 4:
        raise SystemExit(Code())
    if n == 5:
        signal.signal(signal.SIGALRM, lambda *_: sys.exit(7))
        signal.setitimer(signal.ITIMER_REAL, 0.2)
    return {"n": n}

experiment = Experiment(
    "hostile", function=trial, configuration={"n": IntegerVariable(0, 9)}
)
"""


@pytest.mark.launches
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", ["serial", "distributed", "coordinated"])
def test_whatever_a_trials_objects_do_is_its_own_outcome(
    name, library, launches, folder
):
    folder.write(HOSTILE)
    running = WAYS[name].start_run(launches, library=library, cwd=folder.path)

    done = running.wait().expect(1)

    assert "hostile: 5 finished, 5 failed" in done.stdout
    assert [
        (0, "Wordless"),
        (1, "Nameless"),
        (2, "SystemExit"),
        (3, "Stop"),
        (4, "SystemExit"),
    ] == folder.query(
        "SELECT trial_index, error_type FROM trials WHERE status = 'failed' ORDER BY 1"
    )


# The rank that is first leaves a handler behind, which is called again and again until
# the rank is between two trials; the trials of the other one go on for ever.
STRAY = """
import os, signal, threading, time
from _thread import start_new_thread
from experimenter_mpi import Experiment, IntegerVariable

class Stop(BaseException):
    pass

def leave(*_):
    raise Stop("late")

def disturb():
    while True:
        time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGURG)

is_first = None

def trial(configuration, trial_id):
    global is_first
    if is_first is None:
        try:
            os.close(os.open("first", os.O_CREAT | os.O_EXCL))
            is_first = True
            signal.signal(signal.SIGURG, leave)
            start_new_thread(disturb, ())
        except FileExistsError:
            is_first = False
    time.sleep(0.01 if is_first else 3600)
    return {}

experiment = Experiment(
    "stray", function=trial, configuration={"n": IntegerVariable(0, 1999)}
)
"""


@pytest.mark.launches
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", WITH_RANKS)
def test_what_comes_between_two_trials_ends_the_job_and_is_said(
    name, library, launches, folder
):
    folder.write(STRAY)
    # On the main thread, where handlers are called, of each of two workers.
    options = ("--threads", "1") if name == "heterogeneous" else ()
    running = WAYS[name].start_run(launches, *options, library=library, cwd=folder.path)

    done = running.wait().expect(75)

    assert "Stop(late) was raised between two trials" in done.stderr
    assert "rerun the same command to continue" in done.stderr
    wait_until(lambda: not running.processes(), what="the end of all processes")


FINALIZING = """
from experimenter_mpi import Experiment, IntegerVariable

def trial(configuration, trial_id):
    from mpi4py import MPI

    if configuration["n"] == 1:
        MPI.%s
    return {}

experiment = Experiment(
    "finalizing", function=trial, configuration={"n": IntegerVariable(0, 9)}
)
"""


@pytest.mark.launches
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", WITH_RANKS)
def test_a_trial_that_ends_mpi_ends_the_job_and_is_said(
    name, library, launches, folder
):
    folder.write(FINALIZING % "Finalize()")
    running = WAYS[name].start_run(launches, library=library, cwd=folder.path)

    done = running.wait().expect(3)

    assert "a trial called MPI.Finalize()" in done.stderr
    wait_until(lambda: not running.processes(), what="the end of all processes")


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_trial_that_aborts_mpi_ends_the_job_with_its_code(mpirun, folder, library):
    folder.write(FINALIZING % "COMM_WORLD.Abort(5)")

    mpirun(3, *PACKAGE, "run", "exp.py", library=library).expect(5)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_script_may_end_mpi_itself(mpirun, folder, library):
    folder.write("""
from mpi4py import MPI
from experimenter_mpi import Experiment, IntegerVariable, MPIMode, execute, open_db

def trial(configuration, trial_id):
    return {}

experiment = Experiment(
    "ended", function=trial, configuration={"n": IntegerVariable(0, 9)}
)
if __name__ == "__main__":
    execute(experiment, open_db("experiments.db"), MPIMode())
    MPI.Finalize()
""")

    mpirun(3, "exp.py", library=library).expect(0)

    assert {"finished": 10} == folder.statuses()


# The habit of "checkpoint and leave"; what begins after it would go on for ever.
LEAVING = """
import os, signal, sys, time
from pathlib import Path
from experimenter_mpi import Experiment, IntegerVariable

def leave(number, frame):
    sys.exit(0)

def trial(configuration, trial_id):
    for number in (signal.SIGUSR1, signal.SIGTERM):
        signal.signal(number, leave)
    with open("begun.txt", "a") as file:
        file.write(f"{os.getpid()}\\n")
    while True:
        time.sleep(0.01)

experiment = Experiment(
    "leaving", function=trial, configuration={"n": IntegerVariable(0, 9)}
)
"""


@pytest.mark.launches
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("name", "begun"), [("serial", 1), ("coordinated", 2)])
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_trial_that_leaves_in_its_own_handler_runs_again(
    name, begun, library, number, launches, folder
):
    """Nobody waits for the grace period, an hour, and no other trial begins."""
    folder.write(LEAVING)
    running = WAYS[name].start_run(
        launches, "--grace", "1:00:00", library=library, cwd=folder.path
    )
    file = folder.path / "begun.txt"
    running.wait_for(lambda: file.exists() and file.read_text().count("\n") == begun)

    # As a scheduler signals every process of a job, and rank 0 the last.
    for pid in reversed(running.ranks()):
        os.kill(pid, number)
    running.wait().expect(75)

    assert {"pending": 10} == folder.statuses()
    assert begun == len(file.read_text().splitlines())
