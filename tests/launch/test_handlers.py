"""Signal handlers of a trial's own, called while it asks something of rank 0."""

from __future__ import annotations

import os
import signal

import pytest

from support.ways import WAYS

CASES = [
    ("serial", "mpich", ()),
    ("serial", "mpich", ("--isolate",)),
    ("coordinated", "mpich", ()),
    ("coordinated", "openmpi", ()),
    ("coordinated", "mpich", ("--isolate",)),
]

# Goes on until enough of the signals have come, however fast the machine is.
LATE = """
import signal
from experimenter_mpi import (
    Experiment, IntegerVariable, get_latest_snapshot_from_global_database,
    save_snapshot_in_global_database, stop_requested,
)

is_armed = False

def late(number, frame):
    global is_armed
    if is_armed:
        is_armed = False
        raise TimeoutError

def trial(configuration, trial_id):
    global is_armed
    n, caught = configuration["n"], 0
    if n % 2 == 0:
        signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    while caught < (20 if n % 2 == 0 else 1):
        try:
            is_armed = True
            save_snapshot_in_global_database(trial_id, {"n": n})
            assert {"n": n} == get_latest_snapshot_from_global_database(trial_id).state
            stop_requested()
            is_armed = False
            caught += n % 2
        except TimeoutError:
            caught += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    return {"n": n}

experiment = Experiment(
    "late", function=trial, configuration={"n": IntegerVariable(0, 7)}
)
"""


@pytest.mark.launches
@pytest.mark.parametrize(("name", "library", "options"), CASES)
def test_a_handler_that_raises_leaves_no_answer_to_another_question(
    name, library, options, launches, folder
):
    folder.write(LATE)
    running = WAYS[name].start_run(launches, *options, library=library, cwd=folder.path)

    running.wait().expect(0)

    assert [(n, f'{{"n":{n}}}') for n in range(8)] == folder.query(
        "SELECT trial_index, results FROM trials ORDER BY 1"
    )


# Most of the time it is inside a question when the signal comes.
CHECKPOINTING = """
import os, signal, sys
from experimenter_mpi import (
    Experiment, IntegerVariable, save_snapshot_in_global_database,
)

def trial(configuration, trial_id):
    def leave(number, frame):
        save_snapshot_in_global_database(trial_id, {"left": True}, "last")
        sys.exit(0)

    signal.signal(signal.SIGUSR1, leave)
    step = 0
    while True:
        step += 1
        save_snapshot_in_global_database(trial_id, {"step": step})
        if step == 3:
            with open("begun.txt", "a") as file:
                file.write(f"{os.getpid()}\\n")

experiment = Experiment(
    "checkpointing", function=trial, configuration={"n": IntegerVariable(0, 3)}
)
"""


@pytest.mark.launches
@pytest.mark.parametrize(("name", "library", "options"), CASES)
def test_a_handler_may_save_a_snapshot_and_leave(
    name, library, options, launches, folder
):
    folder.write(CHECKPOINTING)
    running = WAYS[name].start_run(
        launches,
        "--grace",
        "1:00:00",
        *options,
        library=library,
        cwd=folder.path,
    )
    file, begun = folder.path / "begun.txt", 1 if name == "serial" else 2
    running.wait_for(lambda: file.exists() and file.read_text().count("\n") == begun)

    # As a scheduler signals every process of a job, and rank 0 the last.
    of_trials = [int(pid) for pid in file.read_text().split()]
    for pid in dict.fromkeys([*of_trials, *reversed(running.ranks())]):
        os.kill(pid, signal.SIGUSR1)
    running.wait().expect(75)

    assert {"pending": 4} == folder.statuses()
    assert [("last",)] * begun == folder.query(
        "SELECT label FROM snapshots WHERE label IS NOT NULL"
    )
