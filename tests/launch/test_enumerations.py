"""Members of a script's enumerations are themselves wherever a trial meets them."""

from __future__ import annotations

import pytest

from support.experiments import PACKAGE
from support.ways import WAYS

SCRIPT = """
import enum
from experimenter_mpi import (
    Experiment, IterableVariable, execute, get_latest_snapshot_from_global_database,
    open_db, save_snapshot_in_global_database,
)

class Solver(enum.Enum):
    EULER = 1
    HEUN = 2

class Level(enum.IntEnum):
    LOW = 1

def trial(configuration, trial_id):
    solver, level = configuration["solver"], configuration["level"]
    state = {"solver": solver, "levels": [level], "by": {solver: 1}}
    save_snapshot_in_global_database(trial_id, state)
    state = get_latest_snapshot_from_global_database(trial_id).state
    assert state["solver"] is solver is Solver(solver.value)
    assert state["levels"][0] is level is Level.LOW
    assert [solver] == list(state["by"])
    return {"solver": solver}

experiment = Experiment("members", function=trial, configuration={
    "solver": IterableVariable(Solver), "level": Level.LOW,
})
if __name__ == "__main__":
    with open_db("experiments.db") as database:
        print(execute(experiment, database))
"""
ISOLATED = ("--isolate",)


@pytest.mark.launches
@pytest.mark.parametrize(
    ("way", "options"),
    [
        ("serial", ()),
        ("serial", ISOLATED),
        ("coordinated", ()),
        ("coordinated", ISOLATED),
        ("distributed-alone", ()),
    ],
)
def test_a_member_is_itself_in_every_trial(way, options, launches, serial, folder):
    folder.write(SCRIPT)

    WAYS[way].start_run(launches, *options, library="mpich").wait().expect(0)

    names = """results ->> '$.solver."$enum"', results ->> '$.solver.value'"""
    assert [("EULER", 1), ("HEUN", 2)] == folder.query(
        f"SELECT {names} FROM trials ORDER BY trial_index"
    )
    # By itself the script is another module, with another class of the same name.
    again = serial("exp.py").expect(0)
    assert "0 finished, 0 failed" in again.stdout
    assert "2 finished before" in again.stdout
    shown = serial(*PACKAGE, "results", folder.database, "members").expect(0).stdout
    assert ["0", "finished", "EULER", "1", "EULER"] == shown.splitlines()[1].split()
