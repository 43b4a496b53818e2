"""What jobs run in tests: trials that say where they ran, and trials that take long."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.experiments import Folder

QUICK = """
import os, time
from experimenter_mpi import Experiment, IntegerVariable

def trial(configuration, trial_id):
    # Long enough for every worker to have some.
    time.sleep(0.05)
    node = os.environ.get("SLURMD_NODENAME")
    return {"square": configuration["n"] ** 2, "node": node}

experiment = Experiment(
    "quick", function=trial, configuration={"n": IntegerVariable(1, 24)}
)
"""

# Each saves a state, works for ever until it is to stop, and goes on from that state.
LONG = """
import os, time
from experimenter_mpi import (
    Experiment, IntegerVariable, TrialInterrupted,
    get_latest_snapshot_from_global_database, save_snapshot_in_global_database,
    stop_requested,
)

def trial(configuration, trial_id):
    snapshot = get_latest_snapshot_from_global_database(trial_id)
    if snapshot is not None:
        return {**snapshot.state, "flavour": os.environ.get("FLAVOUR")}
    save_snapshot_in_global_database(trial_id, {"steps": 1})
    with open("began.txt", "a") as file:
        file.write("a trial\\n")
    while not stop_requested():
        time.sleep(0.01)
    save_snapshot_in_global_database(trial_id, {"steps": 2})
    raise TrialInterrupted

experiment = Experiment(
    "long", function=trial, configuration={"n": IntegerVariable(1, 2)}
)
"""

SCRIPT = 'the user\'s "exp".py'


def begun(folder: Folder, count: int = 2) -> Callable[[], bool]:
    """Return a condition: so many trials have begun."""

    def enough() -> bool:
        path = folder.path / "began.txt"
        return path.exists() and count <= len(path.read_text().splitlines())

    return enough


def runs_ended(folder: Folder) -> list[str | None]:
    return [ended for (ended,) in folder.query("SELECT ended FROM runs ORDER BY id")]


def flavours(folder: Folder) -> set[str | None]:
    """Return what the job's environment held for long trials in their last run."""
    query = "SELECT results ->> '$.flavour' FROM trials"
    return {value for (value,) in folder.query(query)}


def steps(folder: Folder) -> list[int]:
    """Return what each long trial found, in order."""
    query = "SELECT results ->> '$.steps' FROM trials ORDER BY id"
    return [value for (value,) in folder.query(query)]
