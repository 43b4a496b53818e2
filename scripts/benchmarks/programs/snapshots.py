"""Save snapshots from trials: `mpiexec -n 4 python snapshots.py SNAPSHOTS FOLDER`.

Each worker runs one trial, which saves so many; each is durable before the next.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from benchmarks.telling import tell
from mpi4py import MPI

from experimenter_mpi import (
    Experiment,
    IntegerVariable,
    MPIMode,
    execute,
    open_db,
    save_snapshot_in_global_database,
)

if TYPE_CHECKING:
    from uuid import UUID


def relax(configuration: dict[str, Any], trial_id: UUID) -> dict[str, Any]:
    """Save snapshots, and do nothing else."""
    for step in range(configuration["snapshots"]):
        save_snapshot_in_global_database(trial_id, {"step": step, "x": 1 / (1 + step)})
    return {}


def experiment(name: str, count: int) -> Experiment:
    """Return an experiment of one trial for each worker."""
    workers = MPI.COMM_WORLD.size - 1
    configuration = {"n": IntegerVariable(1, workers), "snapshots": count}
    return Experiment(name, function=relax, configuration=configuration)


def main() -> None:
    """Time all snapshots after a few, which bring all ranks up."""
    count, folder = int(sys.argv[1]), sys.argv[2]
    database = open_db("snapshots.db", folder)
    execute(experiment("warm-up", 1), database, MPIMode(1))
    start = time.perf_counter()
    summary = execute(experiment("snapshots", count), database, MPIMode(1))
    took = time.perf_counter() - start
    if database.is_coordinator:
        ids = database.get_trials_ids_by_name("snapshots")
        kept = sum(len(database.get_snapshots(trial_id)) for trial_id in ids)
        if kept != count * len(ids):
            sys.exit(f"{kept} of {count * len(ids)} snapshots are kept: {summary}")
        tell(trials=kept, seconds=took)


if __name__ == "__main__":
    main()
