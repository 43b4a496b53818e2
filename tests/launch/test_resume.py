"""Interrupted at any moment and run again, nothing finished is lost or run twice."""

from __future__ import annotations

import signal
import sqlite3

import pytest

from support.experiments import PACKAGE

SLOW = """
import os, time
from experimenter_mpi import (
    Experiment, IntegerVariable, TrialInterrupted,
    get_latest_snapshot_from_global_database, save_snapshot_in_global_database,
    stop_requested,
)

def log(text):
    with open("ran.txt", "a") as file:
        file.write(text + "\\n")

def trial(configuration, trial_id):
    n = configuration["n"]
    snapshot = get_latest_snapshot_from_global_database(trial_id)
    step = snapshot.state["step"] if snapshot else 0
    log(f"begin {n} {step}")
    while step < STEPS:
        time.sleep(0.01)
        step += 1
        save_snapshot_in_global_database(trial_id, {"step": step})
        log(f"saved {n} {step}")
        if POLITE and stop_requested():
            raise TrialInterrupted("asked to stop")
    log(f"end {n} {step}")
    return {"n": n, "steps": step}

POLITE = "POLITE" in os.environ
STEPS = int(os.environ.get("STEPS", 20))
experiment = Experiment(
    "slow", function=trial, configuration={"n": IntegerVariable(0, 11)}
)
"""


def lines(folder, kind):
    path = folder.path / "ran.txt"
    if not path.exists():
        return []
    words = [line.split() for line in path.read_text().splitlines()]
    return [(int(w[1]), int(w[2])) for w in words if len(w) == 3 and w[0] == kind]


@pytest.fixture(params=["serial", "mpirun"])
def start(request, start_serial, start_mpirun):
    if request.param == "serial":
        return lambda **options: start_serial(*PACKAGE, "run", "exp.py", **options)
    return lambda **options: start_mpirun(3, *PACKAGE, "run", "exp.py", **options)


def finished(folder):
    try:
        rows = folder.query("SELECT trial_index FROM trials WHERE status = 'finished'")
    except sqlite3.OperationalError:  # no file yet, or no table in it
        return set()
    return {index for (index,) in rows}


def test_a_killed_run_goes_on_where_it_was(start, folder):
    folder.write(SLOW)
    running = start()
    running.wait_for(lambda: len(finished(folder)) >= 4)
    before = finished(folder)
    running.kill_tree()
    killed_at = len((folder.path / "ran.txt").read_text().splitlines())
    saved = {}
    for n, step in lines(folder, "saved"):
        saved[n] = max(step, saved.get(n, 0))

    start().wait().expect(0)

    text = (folder.path / "ran.txt").read_text().splitlines()[killed_at:]
    begun = {int(w[1]): int(w[2]) for w in map(str.split, text) if w[0] == "begin"}
    assert before.isdisjoint(begun), "a finished trial was run again"
    assert set(range(12)) == before | set(begun) | (finished(folder) - set(begun))
    # The last snapshot may be durable and the trial killed before it could say so.
    behind = {
        n: step for n, step in begun.items() if step - saved.get(n, 0) not in (0, 1)
    }
    assert {} == behind, "a trial did not go on from its latest snapshot"
    assert [("ok",)] == folder.query("PRAGMA integrity_check")
    assert [(12, 20, 20)] == folder.query(
        "SELECT count(*), min(results ->> '$.steps'), max(results ->> '$.steps') "
        "FROM trials WHERE status = 'finished'"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_rank_0_drains_and_exits_with_75(number, start, folder):
    folder.write(SLOW)
    running = start(env={"POLITE": "1"})
    running.wait_for(lambda: len(finished(folder)) >= 2)

    running.send_signal(number, rank=0)
    done = running.wait(30).expect(75)

    assert number.name in done.stderr
    assert f"stopped by {number.name}" in done.stdout
    assert "running" not in folder.statuses()
    assert 0 < folder.statuses()["pending"]
    assert [("stopped",)] == folder.query("SELECT ended FROM runs")
    start().wait().expect(0)
    assert {"finished": 12} == folder.statuses()
    ends = [n for n, _ in lines(folder, "end")]
    assert sorted(set(ends)) == sorted(ends), "a trial was finished twice"


def test_a_time_limit_drains_and_exits_with_75(start_mpirun, folder):
    folder.write(SLOW)
    run = (*PACKAGE, "run", "exp.py", "--time-limit", "0.5")

    done = start_mpirun(3, *run, env={"POLITE": "1"}).wait(60).expect(75)

    assert "stopped by the time limit" in done.stdout
    assert "failed" not in folder.statuses()


def test_a_second_run_on_the_same_database_is_refused(start, serial, folder):
    folder.write(SLOW)
    running = start(env={"STEPS": "1000"})
    running.wait_for(lambda: lines(folder, "saved"))

    second = serial(*PACKAGE, "run", "exp.py").expect(3)

    assert "Traceback" not in second.stderr
    assert "is being written by process " in second.stderr
    assert None is running.poll(), "the first run was disturbed"


def test_status_can_be_asked_while_a_run_is_on(start, serial, folder):
    folder.write(SLOW)
    running = start(env={"STEPS": "100"})
    running.wait_for(lambda: len(finished(folder)) >= 1)

    status = serial(*PACKAGE, "status", folder.database).expect(0)

    assert "running, " in status.stdout
    assert "left" in status.stdout
