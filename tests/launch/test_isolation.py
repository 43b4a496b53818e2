"""Trials that crash, exit, abort, hang: each fails alone, under any MPI and without."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress

import pytest

from support.experiments import PACKAGE
from support.launch import wait_until
from support.ways import WAYS

CRASHING = """
import ctypes, os, signal, subprocess, sys, time
from experimenter_mpi import (
    Experiment, IntegerVariable, get_global_store, save_snapshot_in_global_database,
    get_latest_snapshot_from_global_database, get_results_from_trial_global_database,
)

def build(configuration):
    with open("built.txt", "a") as file:
        file.write(f"{os.getpid()}\\n")
    return {"pid": os.getpid()}

def trial(configuration, trial_id):
    n = int(configuration["n"])
    save_snapshot_in_global_database(trial_id, {"n": n})
    if n == 1:
        ctypes.string_at(0)
    if n == 2:
        os._exit(3)
    if n == 3:
        os.abort()
    if n == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    if n == 5:
        while True:
            pass
    if n == 6:
        subprocess.Popen(["sleep", "1000"])
        ctypes.PyDLL(None).sleep(1000)
    if n == 7:
        raise ValueError("seven")
    return {
        "own store": get_global_store()["pid"] == os.getpid(),
        "snapshot": get_latest_snapshot_from_global_database(trial_id).state,
        "results": get_results_from_trial_global_database(trial_id),
        "mpi": "mpi4py.MPI" in sys.modules,
        "worker": os.getppid(),
    }

experiment = Experiment(
    "crashing", function=trial, init_store=build,
    configuration={"n": IntegerVariable(0, 11)},
)
"""
FAILED = [
    (1, "TrialProcessError", "its process was killed by SIGSEGV"),
    (2, "TrialProcessError", "its process ended with exit code 3"),
    (3, "TrialProcessError", "its process was killed by SIGABRT"),
    (4, "TrialProcessError", "its process was killed by SIGKILL: perhaps out of"),
    (5, "TrialTimeoutError", "it ran longer than the 1 s of --trial-timeout"),
    (6, "TrialTimeoutError", "it ran longer than the 1 s of --trial-timeout"),
    (7, "ValueError", "seven"),
]
ISOLATED = ("run", "exp.py", "--isolate", "--trial-timeout", "1", "--progress", "none")
LAUNCHES = ["serial", "mpich", "openmpi"]
HEAVY = {"sqlalchemy", "numpy", "h5py", "argparse", "ctypes", "dataclasses"}
# What a child adds to a bare Python. The module uuid of 3.10 needs more.
MOST_ADDED = 78 if sys.version_info >= (3, 11) else 84


@pytest.fixture
def start(request, start_serial, start_mpirun):
    """Start `python ARGS...` alone or on three ranks of one of the libraries."""

    def start(how, *args, ranks=3):
        if how == "serial":
            return start_serial(*args)
        return start_mpirun(ranks, *args, library=how)

    return start


@pytest.mark.parametrize("how", LAUNCHES)
def test_whatever_ends_a_process_is_one_failed_trial(start, folder, how):
    folder.write(CRASHING)
    running = start(how, *PACKAGE, *ISOLATED)

    done = running.wait().expect(1)

    assert "crashing: 5 finished, 7 failed" in done.stdout
    assert "Traceback" not in done.stderr
    failed = folder.query(
        "SELECT trial_index, error_type, error_message FROM trials "
        "WHERE status = 'failed' ORDER BY trial_index"
    )
    assert [row[:2] for row in FAILED] == [row[:2] for row in failed]
    for (_, _, text), (_, _, message) in zip(FAILED, failed, strict=True):
        assert text in message
    facts = ("own store", "snapshot", "results", "mpi")
    columns = ", ".join(f"""results ->> '$."{name}"'""" for name in facts)
    assert [(1, '{"n":0}', None, 0)] == folder.query(
        f"SELECT {columns} FROM trials WHERE trial_index = 0"
    )
    # Six children died, and one was left for each worker; each built its store once.
    built = (folder.path / "built.txt").read_text().split()
    assert len(built) == len(set(built))
    assert len(built) in (7, 8)
    assert [] == running.processes()


@pytest.mark.parametrize(
    "way", ["multithreaded", "distributed", "heterogeneous", "distributed-alone"]
)
def test_so_it_is_in_every_mode(launches, folder, way):
    folder.write(CRASHING)
    running = WAYS[way].start_run(launches, *ISOLATED[2:], library="mpich")

    done = running.wait().expect(1)

    assert "crashing: 5 finished, 7 failed" in done.stdout
    kinds = folder.query(
        "SELECT trial_index, error_type FROM trials "
        "WHERE status = 'failed' ORDER BY trial_index"
    )
    assert [row[:2] for row in FAILED] == kinds
    wait_until(lambda: not running.processes(), 30, "the end of all processes")


def test_the_next_run_tries_them_again_and_show_says_how(serial, folder):
    folder.write(CRASHING)
    serial(*PACKAGE, *ISOLATED, "--trial", "0-2").expect(1)

    show = serial(*PACKAGE, "show", folder.database, "crashing:1").expect(0).stdout
    again = serial(*PACKAGE, *ISOLATED, "--trial", "1").expect(1)

    line = CRASHING[: CRASHING.index("ctypes.string_at")].count("\n") + 1
    assert f"line {line} in trial" in show
    assert "--trial 1 --on-error raise --isolate" in show
    assert "0 finished, 1 failed" in again.stdout
    assert [(2,)] == folder.query("SELECT attempts FROM trials WHERE trial_index = 1")


@pytest.mark.parametrize("how", ["serial", "mpich"])
def test_the_first_crash_can_stop_the_run(start, folder, how):
    folder.write(CRASHING)
    args = (*ISOLATED, "--trial", "1", "--on-error", "raise")

    done = start(how, *PACKAGE, *args).wait().expect(1)

    assert "Segmentation fault" in done.stderr
    assert "its process was killed by SIGSEGV" in done.stderr


ENDLESS = """
import ctypes, os
from experimenter_mpi import Experiment, IntegerVariable

def trial(configuration, trial_id):
    os.system("sleep 1000 &")
    print("begun", flush=True)
    while True:
        ctypes.PyDLL(None).sleep(1000)  # Python never runs: no thread of ours helps

experiment = Experiment(
    "endless", function=trial, configuration={"n": IntegerVariable(1, 2)}
)
"""


@pytest.mark.parametrize("how", ["serial", "mpich"])
def test_a_killed_rank_leaves_no_process_behind(start, folder, how):
    folder.write(ENDLESS)
    running = start(how, *PACKAGE, "run", "exp.py", "--isolate")
    running.wait_for(lambda: running.stdout.count("begun") == (2, 1)[how == "serial"])
    assert any(not each.is_python for each in running.processes())

    for pid in running.ranks():
        with suppress(ProcessLookupError):  # the first death may end the others
            os.kill(pid, signal.SIGKILL)

    wait_until(lambda: not running.processes(), 30, "the end of all processes")
    # Whatever killed it was none of its trials: none is suspected of it later.
    assert ["trials in separate processes"] == [
        reason for (reason,) in folder.query("SELECT stop_reason FROM runs")
    ]


def test_ctrl_c_twice_stops_an_isolated_trial_at_once(start, folder):
    folder.write(ENDLESS)
    running = start("serial", *PACKAGE, "run", "exp.py", "--isolate")
    running.wait_for("begun")

    running.send_signal(signal.SIGINT)
    running.wait_for("no new trials")
    running.send_signal(signal.SIGINT)

    assert 75 == running.wait().returncode
    wait_until(lambda: not running.processes(), 30, "the end of all processes")
    assert {"pending": 2} == folder.statuses()


PATIENT = """
import time
from experimenter_mpi import (
    Experiment, IntegerVariable, TrialInterrupted, stop_requested, time_left,
    save_snapshot_in_global_database,
)

def trial(configuration, trial_id):
    before = time_left()
    print("begun", flush=True)
    while not stop_requested():
        time.sleep(0.01)
    save_snapshot_in_global_database(trial_id, {"left": [before, time_left()]})
    raise TrialInterrupted

experiment = Experiment(
    "patient", function=trial, configuration={"n": IntegerVariable(1, 4)}
)
"""


@pytest.mark.parametrize("how", ["serial", "mpich"])
def test_isolated_trials_see_a_drain_and_step_back(start, folder, how):
    folder.write(PATIENT)
    running = start(
        how, *PACKAGE, "run", "exp.py", "--isolate", "--time-limit", "1:00:00"
    )
    trials = 1 if how == "serial" else 2
    running.wait_for(lambda: running.stdout.count("begun") == trials)

    running.send_signal(signal.SIGTERM, rank=0)

    running.wait().expect(75)
    assert {"pending": 4} == folder.statuses()
    left = folder.query(
        "SELECT state ->> '$.left[0]', state ->> '$.left[1]' FROM snapshots"
    )
    assert trials == len(left)
    assert all(3000 < before <= 3660 and after <= 60 for before, after in left)


SCRIPT = """
import os
from experimenter_mpi import Experiment, IntegerVariable, {mode}, execute, open_db

class Point:
    def __init__(self, x):
        self.x = x

def trial(configuration, trial_id):
    if configuration["n"] == 2:
        os._exit(1)
    return {{"x": configuration["point"].x, "main": __name__ == "__main__"}}

if __name__ == "__main__":
    experiment = Experiment(
        "script", function=trial,
        configuration={{"n": IntegerVariable(1, 3), "point": Point(5)}},
    )
    with open_db("experiments.db", "experiments") as database:
        summary = execute(experiment, database, {mode}, isolate=True)
        if database.is_coordinator:
            print(summary.finished, summary.failed)
"""


@pytest.mark.filterwarnings("ignore")
def test_workers_that_were_spawned_find_them_in_a_child_too(launches, folder):
    """Neither worker nor child was started with the script."""
    folder.write(SCRIPT.format(mode="DistributedMode"))

    way = WAYS["distributed-alone"]
    done = way.start(launches, "exp.py", library="mpich").wait().expect(0)

    assert "2 1\n" == done.stdout


@pytest.mark.parametrize("how", LAUNCHES)
def test_a_script_of_ones_own_finds_its_functions_and_classes_again(start, folder, how):
    folder.write(SCRIPT.format(mode="SerialMode" if how == "serial" else "MPIMode"))

    done = start(how, "exp.py").wait().expect(0)

    assert "2 1\n" == done.stdout
    assert [(5, 0)] == folder.query(
        "SELECT DISTINCT results ->> '$.x', results ->> '$.main' FROM trials "
        "WHERE status = 'finished'"
    )


def test_what_is_in_no_file_is_refused_before_anything_is_stored(serial, folder):
    code = (
        "from experimenter_mpi import Experiment, execute, open_db\n"
        "experiment = Experiment('x', function=lambda *_: {}, configuration={})\n"
        "execute(experiment, open_db('e.db', '.'), isolate=True)\n"
    )

    done = serial("-c", code).expect(1)

    assert "IsolationError: experiment 'x' cannot be isolated" in done.stderr
    assert "save it as a script and run that" in done.stderr


USES_MPI = """
from experimenter_mpi import Experiment, IntegerVariable

def trial(configuration, trial_id):
    from mpi4py import MPI
    return {"size": MPI.COMM_WORLD.size}

experiment = Experiment(
    "mpi", function=trial, configuration={"n": IntegerVariable(1, 4)}
)
"""


@pytest.mark.parametrize("how", ["mpich", "openmpi"])
def test_a_trial_that_uses_mpi_itself_finds_itself_alone(start, folder, how):
    folder.write(USES_MPI)

    start(how, *PACKAGE, "run", "exp.py", "--isolate").wait().expect(0)

    assert [(1,)] == folder.query("SELECT DISTINCT results ->> '$.size' FROM trials")


LOOKING = """
import sys
from experimenter_mpi import Experiment, IntegerVariable

with open("loaded.txt", "a") as file:
    file.write(f"{sys.argv[0]}\\n")

def trial(configuration, trial_id):
    return {"modules": sorted(sys.modules)}

experiment = Experiment(
    "looking", function=trial, configuration={"n": IntegerVariable(1, 4)}
)
"""


def test_a_child_stays_light_and_its_worker_never_loads_the_script(
    mpirun, folder, bare
):
    folder.write(LOOKING)

    mpirun(2, *PACKAGE, "run", "exp.py", "--isolate").expect(0)

    # Rank 0 and the one child.
    assert 2 == len((folder.path / "loaded.txt").read_text().split())
    query = "SELECT DISTINCT results ->> '$.modules' FROM trials"
    [(modules,)] = folder.query(query)
    added = set(json.loads(modules)) - bare
    assert set() == HEAVY & added
    assert MOST_ADDED >= len(added), sorted(added)
