"""Run trials that do nothing, or sleep, on all ranks with this package.

    mpiexec -n 3 python sweep.py TRIALS BATCH_SIZE SECONDS [FOLDER]

The database is made in FOLDER; without one nothing is kept: the ledger that outcomes
go to drops them. The experiment is stored before, as the peers' trials are made before;
what is timed is the whole call of ``execute``, and at its end every result is durable.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.telling import tell
from mpi4py import MPI

from experimenter_mpi import Experiment, LinearVariable, MPIMode, execute, open_db


class NoLedger:
    """Keeps nothing: what a run costs without its database."""

    def record(self, entries: Any, running: Any) -> None:
        """Drop what is given."""


def nothing(configuration: dict[str, Any], _trial_id: object) -> dict[str, Any]:
    """Do nothing, and give a small result."""
    return {"n": configuration["n"]}


def sleep(configuration: dict[str, Any], _trial_id: object) -> dict[str, Any]:
    """Sleep, and give a small result."""
    time.sleep(configuration["seconds"])
    return {"n": configuration["n"]}


def experiment(name: str, trials: int, seconds: float) -> Experiment:
    """Give an experiment of so many trials, each so long."""
    return Experiment(
        name,
        function=sleep if seconds else nothing,
        configuration={
            "n": LinearVariable(1, trials, trials),
            "seconds": seconds,
        },
    )


def main() -> None:
    """Time one sweep after a short one, which brings all ranks up."""
    trials, seconds = int(sys.argv[1]), float(sys.argv[3])
    size = sys.argv[2] if sys.argv[2] == "auto" else int(sys.argv[2])
    keeps = len(sys.argv) > 4
    folder = sys.argv[4] if keeps else "unused"
    database = open_db("sweep.db", folder, in_memory=not keeps)
    execute(experiment("warm-up", 64, seconds), database, MPIMode(size))

    sweep = experiment("sweep", trials, seconds)
    stored = time.perf_counter()
    if MPI.COMM_WORLD.rank == 0:
        with database.writing():
            database.enrol(sweep)
        if not keeps:
            database.ledger = lambda _: NoLedger()
    start = time.perf_counter()
    summary = execute(sweep, database, MPIMode(size))
    took = time.perf_counter() - start
    if summary is not None:
        finished = count(Path(folder, "sweep.db")) if keeps else trials
        if finished != trials or summary.remaining:
            sys.exit(f"{finished} of {trials} trials are kept: {summary}")
        tell(trials=trials, seconds=took, storing=start - stored)


def count(path: Path) -> int:
    """Give how many results stand in the file, read by SQLite alone."""
    query = "SELECT count(*) FROM trials WHERE results ->> '$.n' > 0"
    connection = sqlite3.connect(path)
    (found,) = connection.execute(query + " AND experiment_id = (SELECT id FROM "
        "experiments WHERE name = 'sweep')").fetchone()
    connection.close()
    return int(found)


if __name__ == "__main__":
    main()
