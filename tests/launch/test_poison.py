"""A trial that kills its rank, and with it the job, cannot stop a sweep for good."""

from __future__ import annotations

import pytest

from support.ways import WAYS

# The others outlast it: at first nothing finishes, and the job dies.
POISONOUS = """
import os, time
from experimenter_mpi import Experiment, IntegerVariable

def trial(configuration, trial_id):
    if configuration["n"] == 0:
        time.sleep(0.1)
        os.kill(os.getpid(), 9)
    time.sleep(0.6)
    return {"n": configuration["n"]}

experiment = Experiment(
    "poisonous", function=trial, configuration={"n": IntegerVariable(0, 5)}
)
"""
MPIS = ["mpich", "openmpi"]
CASES = [(name, mpi) for name, way in WAYS.items() if way.ranks for mpi in MPIS]
CASES += [("distributed-alone", "mpich")]
# Two to make it a suspect, one in which it runs alone, and one to go on without it.
MOST_RUNS = 4


@pytest.mark.launches
@pytest.mark.parametrize(("name", "library"), CASES)
def test_it_fails_and_all_others_finish(name, library, launches, folder):
    folder.write(POISONOUS)
    for _ in range(MOST_RUNS):
        run = WAYS[name].start_run(launches, library=library, cwd=folder.path)
        done = run.wait(60)
        if done.returncode in (0, 1):
            break

    done.expect(1)
    assert "poisonous: " in done.stdout
    assert [(0, "failed", "RankDiedError", 3)] == folder.query(
        "SELECT trial_index, status, error_type, deaths FROM trials "
        "WHERE status <> 'finished'"
    )
    assert {"finished": 5, "failed": 1} == folder.statuses()
