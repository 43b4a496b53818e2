"""Whatever process runs a trial loads the script as rank 0 did."""

from __future__ import annotations

import pytest

from support.ways import WAYS

PLAN = """
from experimenter_mpi import Experiment, LinearVariable

def trial(configuration, trial_id):
    return {"n": configuration["n"]}

def planned(name, more):
    def closed_over(configuration, trial_id):
        return {"n": configuration["n"] + more}

    n = LinearVariable(1, 2, 2)
    return Experiment(name, function=closed_over, configuration={"n": n})

Experiment("not asked for", function=trial, configuration={})
"""

LOOPING = """
from experimenter_mpi import Experiment
from plan import planned, trial

for more in (10, 20):
    Experiment(f"loop {more}", function=trial, configuration={"n": more})
kept = {"listed": [planned("listed", 100)], "one": planned("one", 200)}
Experiment("lambda", function=lambda c, _: {"n": c["n"]}, configuration={"n": 7})
"""


# Every mode, and isolated children of rank 0, of a rank, and of a spawned worker.
ISOLATED = ("serial", "coordinated", "distributed-alone")
LOADERS = [*((way,) for way in WAYS), *((way, "--isolate") for way in ISOLATED)]
loaders = pytest.mark.parametrize("loader", LOADERS, ids=" ".join)


@loaders
def test_experiments_are_run_however_the_script_makes_and_keeps_them(
    loader, launches, folder
):
    way, *options = loader
    folder.write(PLAN, "plan.py")
    folder.write(LOOPING)

    WAYS[way].start_run(launches, *options, library="mpich").wait(60).expect(0)

    assert [
        ("loop 10", "10"),
        ("loop 20", "20"),
        ("listed", "101,102"),
        ("one", "201,202"),
        ("lambda", "7"),
    ] == folder.query(
        "SELECT name, group_concat(CAST(results ->> '$.n' AS INT)) FROM experiments "
        "JOIN trials ON experiment_id = experiments.id "
        "GROUP BY name ORDER BY experiments.created_at"
    )
