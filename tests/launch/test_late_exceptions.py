"""Exceptions that another thread raises in a trial, as libraries for time limits do."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.ways import WAYS

# Each trial saves and asks for snapshots while it is disturbed. What it is told is what
# it saved last, or tried to.
DISTURBED = """
import random, sys, threading, time
from experimenter_mpi import (
    Experiment, IntegerVariable, get_latest_snapshot_from_global_database,
    save_snapshot_in_global_database, stop_requested,
)

sys.path.append(TESTS)
from support.late import Late, raise_in

def disturb(thread, is_over, has_ended):
    while not is_over:
        time.sleep(random.uniform(0, 0.02))
        raise_in(thread, Late)
    has_ended.release()

def ask_all(trial_id):
    saved, tried, disturbed = -1, -1, 0
    while saved < 5 or disturbed < 10:
        try:
            tried += 1
            save_snapshot_in_global_database(trial_id, {"step": tried})
            saved = tried
            stop_requested()
            found = get_latest_snapshot_from_global_database(trial_id).state["step"]
            if not saved <= found <= tried:
                print("wrong:", saved, found, tried, file=sys.stderr, flush=True)
        except Late:
            disturbed += 1
    return {"disturbed": disturbed}

def trial(configuration, trial_id):
    is_over, has_ended = [], threading.Lock()
    has_ended.acquire()
    given = threading.get_ident(), is_over, has_ended
    threading.Thread(target=disturb, args=given, daemon=True).start()
    try:
        return ask_all(trial_id)
    finally:
        is_over.append(True)
        has_ended.acquire()  # one step: nothing is raised after it

experiment = Experiment(
    "disturbed", function=trial, configuration={"n": IntegerVariable(1, 4)}
)
"""


@pytest.mark.launches
@pytest.mark.parametrize(
    ("name", "library", "options"),
    [
        *((name, "mpich", ()) for name in WAYS if name != "serial"),
        *((name, "openmpi", ()) for name in ("coordinated", "heterogeneous")),
        *((name, "mpich", ("--isolate",)) for name in ("serial", "coordinated")),
    ],
)
def test_no_question_takes_the_answer_to_another(
    name, library, options, launches, folder
):
    tests = str(Path(__file__).parents[1])
    folder.write(DISTURBED.replace("TESTS", repr(tests)))
    run = WAYS[name].start_run(
        launches, *options, "--keep-snapshots", "1", library=library, cwd=folder.path
    )

    done = run.wait(120)

    assert "wrong" not in done.stderr
    if done.returncode == 75:  # the last one came when the trial had ended
        assert "Late() was raised between two trials" in done.stderr
        return
    # One that is raised outside of its "try" is the trial's own failure.
    assert done.returncode in (0, 1), str(done)
    rows = folder.query(
        "SELECT error_type, results ->> '$.disturbed' > 0 FROM trials ORDER BY 1"
    )
    assert 4 == len(rows)
    assert {(None, 1), ("Late", None)} >= set(rows), str(done)
