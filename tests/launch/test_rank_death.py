"""Ranks die: with fault tolerance the run goes on, without it the next one does."""

from __future__ import annotations

import os
import random
import signal
import sqlite3

import pytest

from support.experiments import PACKAGE
from support.launch import wait_until
from support.processes import send

RUN = (*PACKAGE, "run", "exp.py", "--progress", "none")
SURVIVING = {"library": "openmpi", "launcher": ("--with-ft", "ulfm")}
MPICH = {"library": "mpich"}
FRAGILE = [MPICH, {"library": "openmpi"}]

SWEEP = """
import os, time, numpy
from pathlib import Path
from experimenter_mpi import (
    Experiment, IntegerVariable, get_latest_snapshot_from_global_database,
    save_snapshot_in_global_database,
)

WHAT = os.environ.get("WHAT", "result")
POISON = os.environ.get("POISON")

def wait_for(name):
    while not Path(name).exists():
        time.sleep(0.01)

def build(configuration):
    Path(f"building.{os.getpid()}").touch()
    if "SLOW_STORE" in os.environ:
        wait_for("go")
    return {}

def trial(configuration, trial_id):
    n = configuration["n"]
    with open("ran.txt", "a") as file:
        file.write(f"{n}\\n")
    if str(n) == POISON:
        os.kill(os.getpid(), 9)
    if n >= int(os.environ.get("WAITING", 0 if WHAT == "wait" else N)):
        wait_for("go")
    state = {"step": 0}
    if WHAT == "snapshot":
        snapshot = get_latest_snapshot_from_global_database(trial_id)
        state = snapshot.state if snapshot else state
        while state["step"] < 5:
            step = state["step"] + 1
            state = {"step": step, "array": numpy.full(20_000, float(step))}
            save_snapshot_in_global_database(trial_id, state)
    time.sleep(float(os.environ.get("SECONDS", 0)))
    array = numpy.arange(110_000.0) + n if WHAT == "array" else None
    return {"n": n, "square": n * n, "array": array, "step": state["step"]}

N = int(os.environ.get("N", 60))
experiment = Experiment(
    "sweep", function=trial, init_store=build,
    configuration={"n": IntegerVariable(0, N - 1)},
)
"""
ROWS = (
    "SELECT trial_index, configuration, results, status, error_type FROM trials "
    "ORDER BY trial_index"
)


@pytest.fixture
def sweep(folder):
    folder.write(SWEEP)
    return folder


def finished(folder):
    try:
        return folder.statuses().get("finished", 0)
    except sqlite3.OperationalError:  # no file yet, or no table in it
        return 0


def ran(folder):
    path = folder.path / "ran.txt"
    return path.read_text().split() if path.exists() else []


def serial_rows(serial, folder, tmp_path_factory, env):
    """Return what an undisturbed run in this process's own time stores."""
    elsewhere = type(folder)(tmp_path_factory.mktemp("serial"))
    elsewhere.write(SWEEP)
    serial(*RUN, env=env, cwd=elsewhere.path).expect(0)
    return elsewhere.query(ROWS)


# --- under mpirun --with-ft ulfm


@pytest.mark.parametrize("what", ["result", "array", "snapshot"])
def test_workers_killed_at_any_moment_cost_nothing_but_time(
    what, start_mpirun, serial, sweep, tmp_path_factory
):
    """Whatever they are sending; first one, then two at once, until one is left.

    The last trials wait, so that no run is over before its ranks are killed.
    """
    env = {"WHAT": what, "SECONDS": "0.05"}
    running = start_mpirun(5, *RUN, env={**env, "WAITING": "40"}, **SURVIVING)
    running.wait_for(lambda: 4 == len(list(sweep.path.glob("building.*"))))
    victims = random.Random(what).sample(running.ranks()[1:], 3)
    for pids, at in ((victims[:1], 6), (victims[1:], 20)):
        running.wait_for(lambda at=at: finished(sweep) >= at)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    (sweep.path / "go").touch()
    done = running.wait(60).expect(0)

    assert 3 == done.stderr.count(" died")
    assert "1 worker continues" in done.stderr
    assert serial_rows(serial, sweep, tmp_path_factory, env) == sweep.query(ROWS)
    assert [("finished",)] == sweep.query("SELECT ended FROM runs")


def test_a_worker_that_dies_before_it_is_ready_is_not_waited_for(start_mpirun, sweep):
    running = start_mpirun(4, *RUN, env={"SLOW_STORE": "1"}, **SURVIVING)
    running.wait_for(lambda: 3 == len(list(sweep.path.glob("building.*"))))
    running.send_signal(signal.SIGKILL, rank=2)
    running.wait_for("rank 2 died; 2 workers continue")
    (sweep.path / "go").touch()
    running.wait(60).expect(0)

    assert {"finished": 60} == sweep.statuses()


def test_an_idle_worker_may_die_too(start_mpirun, sweep):
    env = {"WHAT": "wait", "N": "2"}
    running = start_mpirun(4, *RUN, env=env, **SURVIVING)
    running.wait_for(lambda: 2 == len(ran(sweep)))
    running.wait_for(lambda: 3 == len(list(sweep.path.glob("building.*"))))
    busy = {rank for (rank,) in running.wait_for(lambda: marked(sweep, 2))}
    (idle,) = {1, 2, 3} - busy
    running.send_signal(signal.SIGKILL, rank=idle)
    running.wait_for(f"rank {idle}")
    (sweep.path / "go").touch()
    done = running.wait(60).expect(0)

    assert "2 workers continue" in done.stderr
    assert [(0,), (0,)] == sweep.query("SELECT deaths FROM trials")


def marked(folder, count):
    rows = folder.query("SELECT rank FROM trials WHERE status = 'running'")
    return rows if len(rows) == count else None


SCRIPT = """
import os
from exp import experiment, wait_for
from experimenter_mpi import Experiment, MPIMode, execute, open_db

again = Experiment(
    "again", function=experiment.function, configuration=experiment.configuration
)
if __name__ == "__main__":
    with open_db("experiments.db") as database:
        execute(experiment, database, MPIMode())
        print("between", flush=True)
        wait_for("go")
        print(execute(again, database, MPIMode()))
"""


def test_a_worker_may_die_between_two_experiments(start_mpirun, sweep):
    sweep.write(SCRIPT, "script.py")
    running = start_mpirun(4, "script.py", **SURVIVING)
    running.wait_for(lambda: running.stdout.count("between") == 4)
    running.send_signal(signal.SIGKILL, rank=3)
    (sweep.path / "go").touch()
    done = running.wait(60).expect(0)

    assert "again: 60 finished, 0 failed" in done.stdout
    assert {"finished": 120} == sweep.statuses()


def test_when_all_workers_have_died_the_run_stops_with_work_left(start_mpirun, sweep):
    env = {"SECONDS": "0.05", "WAITING": "40"}
    running = start_mpirun(3, *RUN, env=env, **SURVIVING)
    running.wait_for(lambda: finished(sweep) >= 4)
    for pid in running.ranks()[1:]:
        send([p for p in running.processes() if p.pid == pid], signal.SIGKILL)
    done = running.wait(60).expect(75)

    assert "no worker is left" in done.stderr
    assert "left; stopped by the death of all workers" in done.stdout
    assert [("stopped",)] == sweep.query("SELECT ended FROM runs")
    start_mpirun(3, *RUN, **SURVIVING).wait(60).expect(0)
    assert {"finished": 60} == sweep.statuses()


@pytest.mark.parametrize("seconds", ["0", "0.02"])
def test_a_trial_that_kills_its_rank_twice_fails_and_is_not_tried_again(
    seconds, mpirun, serial, sweep
):
    """Alone in its message, and among many short ones."""
    env = {"POISON": "7", "SECONDS": seconds}
    done = mpirun(4, *RUN, env=env, **SURVIVING).expect(1)

    assert "59 finished, 1 failed" in done.stdout
    assert {"finished": 59, "failed": 1} == sweep.statuses()
    [(kind, message, deaths)] = sweep.query(
        "SELECT error_type, error_message, deaths FROM trials WHERE status = 'failed'"
    )
    assert ("RankDiedError", 2) == (kind, deaths)
    assert message.startswith("its rank died twice while it ran, the last time rank ")
    assert 2 == ran(sweep).count("7")

    again = mpirun(4, *RUN, env=env, **SURVIVING).expect(1)
    assert "0 finished, 1 failed" in again.stdout
    assert 2 == ran(sweep).count("7")
    serial(*PACKAGE, "reset", sweep.database, "sweep", "7", "--yes").expect(0)
    mpirun(4, *RUN, **SURVIVING).expect(0)


def test_where_rank_0_dies_everybody_leaves(start_mpirun, sweep):
    env = {"SECONDS": "0.02", "WAITING": "40"}
    running = start_mpirun(4, *RUN, env=env, **SURVIVING)
    running.wait_for(lambda: finished(sweep) >= 4)
    running.send_signal(signal.SIGKILL, rank=0)
    done = running.wait(60).expect(75)

    assert "rank 0 has died" in done.stderr
    start_mpirun(4, *RUN, **SURVIVING).wait(60).expect(0)
    assert {"finished": 60} == sweep.statuses()


@pytest.mark.parametrize("isolate", [[], ["--isolate"]])
def test_where_rank_0_dies_no_long_trial_keeps_the_others(start_mpirun, sweep, isolate):
    """They would compute for hours what nobody takes."""
    env = {"WHAT": "wait", "N": "2"}
    running = start_mpirun(3, *RUN, *isolate, env=env, **SURVIVING)
    running.wait_for(lambda: len(ran(sweep)) == 2)
    running.send_signal(signal.SIGKILL, rank=0)
    done = running.wait(60).expect(75)

    assert "rank 0 has died" in done.stderr


# --- everywhere else


@pytest.mark.parametrize("fragile", FRAGILE, ids=lambda options: options["library"])
def test_without_fault_tolerance_the_job_dies_and_the_next_one_goes_on(
    fragile, start_mpirun, sweep
):
    env = {"SECONDS": "0.05", "WAITING": "40"}
    running = start_mpirun(3, *RUN, env=env, **fragile)
    running.wait_for(lambda: finished(sweep) >= 4)
    running.send_signal(signal.SIGKILL, rank=1)
    done = running.wait()

    assert done.returncode not in (0, 1, 75)
    wait_until(lambda: not running.processes(), what="every rank to be gone")
    start_mpirun(3, *RUN, **fragile).wait(60).expect(0)
    assert {"finished": 60} == sweep.statuses()


@pytest.mark.parametrize("fragile", FRAGILE, ids=lambda options: options["library"])
@pytest.mark.parametrize("seconds", ["0", "0.02"])
def test_a_poisonous_trial_cannot_stop_a_sweep_for_good(
    seconds, fragile, start_mpirun, sweep
):
    """Each time the job dies, and in the end one trial alone is to blame."""
    env, said = {"POISON": "7", "SECONDS": seconds}, ""
    for _ in range(5):
        done = start_mpirun(3, *RUN, env=env, **fragile).wait(60)
        said += done.stderr
        if done.returncode == 1:
            break

    assert {"finished": 59, "failed": 1} == sweep.statuses()
    assert "ran when the job or a rank died; with --isolate, a crash is one" in said
    assert "trial 7 is marked failed: the job died 3 times while it ran" in done.stderr
    assert [(7, "RankDiedError")] == sweep.query(
        "SELECT trial_index, error_type FROM trials WHERE status = 'failed'"
    )


def test_jobs_that_are_killed_again_and_again_make_no_trial_fail(start_mpirun, sweep):
    """A walltime that is too short, without a warning: trials get on by snapshots."""
    env = {"WHAT": "snapshot", "SECONDS": "0.2", "N": "6"}
    for kill in range(1, 4):
        running = start_mpirun(3, *RUN, env=env)
        running.wait_for(lambda kill=kill: len(ran(sweep)) >= 2 * kill)
        running.kill_tree()
    start_mpirun(3, *RUN, env=env).wait(60).expect(0)

    assert {"finished": 6} == sweep.statuses()
