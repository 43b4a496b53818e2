"""A script that calls execute again and again: what is kept, and what must not be."""

from __future__ import annotations

import pytest

from support.launch import wait_until
from support.ways import WAYS

GROWING = """
from experimenter_mpi import Experiment, MPIMode, execute, open_db

def trial(configuration, trial_id):
    return {}

def resident_kib():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4

database = open_db("experiments.db")
for number in range(70):
    execute(Experiment(f"e{number}", function=trial, configuration={}), database, MODE)
    if database.is_coordinator and number in (20, 69):
        print(resident_kib(), flush=True)
"""


def test_rank_0_does_not_grow_with_the_number_of_runs(mpirun, folder):
    """Each run left 350 KiB that nobody needed: 17 MiB between these two."""
    folder.write(GROWING.replace("MODE", "MPIMode()"))

    done = mpirun(3, "exp.py", timeout=120).expect(0)

    first, last = map(int, done.stdout.split())
    assert last - first < 8 * 1024


SPAWNING = """
import os, signal, sys, time
from experimenter_mpi import *

def trial(configuration, trial_id):
    time.sleep(0.05)  # so that no worker does it all
    return {"pid": os.getpid()}

def run(database, name, workers):
    n = LinearVariable(1, 8, 8)
    made = Experiment(name, function=trial, configuration={"n": n})
    execute(made, database, DistributedMode(workers))
    pids = {t.results["pid"] for t in database.get_trials_by_name(name)}
    print(*sorted(pids), flush=True)
    return pids

def kill(pid):
    os.kill(pid, signal.SIGKILL)
    while lives(pid):
        time.sleep(0.01)

def lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False

if __name__ == "__main__":
    database = open_db("experiments.db")
    WHAT
"""


def start(launches, folder, what, library="mpich"):
    folder.write(SPAWNING.replace("WHAT", what))
    way = WAYS["distributed-alone"]
    return way.start(launches, "exp.py", library=library)


@pytest.mark.launches
@pytest.mark.parametrize("library", ["mpich", "openmpi"])
def test_workers_that_were_spawned_serve_the_next_run_and_end_with_the_script(
    launches, folder, library
):
    runs = "for name, workers in ('a', 2), ('b', 2), ('c', 3), ('d', 3): "
    running = start(
        launches,
        folder,
        runs + "run(database, name, workers)\n    sys.exit(4)",
        library,
    )

    done = running.wait(90).expect(4)

    first, second, third, fourth = (set(x.split()) for x in done.stdout.splitlines())
    assert 2 == len(first | second)
    assert 3 == len(third | fourth)
    assert not (first | second) & (third | fourth)
    wait_until(lambda: not running.processes(), 30, "the end of every process")


@pytest.mark.launches
def test_workers_are_started_in_the_folder_and_environment_of_their_run(
    launches, folder
):
    runs = (
        "run(database, 'a', 1); os.environ['COLOUR'] = 'red'; run(database, 'b', 1); "
        "os.mkdir('below'); os.chdir('below'); run(database, 'c', 1); "
        "run(database, 'd', 1)"
    )

    done = start(launches, folder, runs).wait(90).expect(0)

    first, second, third, fourth = done.stdout.splitlines()
    assert 3 == len({first, second, third})
    assert third == fourth


@pytest.mark.launches
def test_a_worker_that_died_between_two_runs_is_noticed(launches, folder):
    runs = "pids = run(database, 'a', 2); kill(min(pids)); run(database, 'b', 2)"

    running = start(launches, folder, runs)

    done = running.wait(60).expect(1)
    assert "has died: rerun the same command to continue" in done.stderr
    wait_until(lambda: not running.processes(), 30, "the end of every process")


@pytest.mark.launches
def test_a_worker_that_died_after_the_last_run_changes_no_exit_code(launches, folder):
    runs = "pids = run(database, 'a', 2); kill(min(pids)); sys.exit(4)"

    running = start(launches, folder, runs)

    running.wait(60).expect(4)
    wait_until(lambda: not running.processes(), 30, "the end of every process")
