"""Run trials that do nothing, or sleep, on all ranks with this package.

    mpiexec -n 3 python sweep.py BATCH_SIZE FOLDER|- TRIALS SECONDS [TRIALS SECONDS ...]

The database is made in FOLDER; with `-` nothing is kept: the ledger that outcomes go to
drops them. The experiment is stored before, as the peers' trials are made before; what
is timed is the whole call of ``execute``, and at its end every result is durable.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.telling import peak_mib, tell
from mpi4py import MPI

from experimenter_mpi import Experiment, IntegerVariable, MPIMode, execute, open_db
from experimenter_mpi.database.handle import session_of

if TYPE_CHECKING:
    from experimenter_mpi.database.handle import ExperimentDatabase


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
    """Return an experiment of so many trials, each so long."""
    return Experiment(
        name,
        function=sleep if seconds else nothing,
        configuration={"n": IntegerVariable(1, trials), "seconds": seconds},
    )


def main() -> None:
    """Time sweeps after a short one, which brings all ranks up."""
    size: int | str = sys.argv[1] if sys.argv[1] == "auto" else int(sys.argv[1])
    folder, keeps = sys.argv[2], sys.argv[2] != "-"
    database = open_db("sweep.db", folder, in_memory=not keeps)
    execute(experiment("warm-up", 64, 0), database, MPIMode(size))
    numbers = sys.argv[3:]
    runs = [
        timed(database, size, int(trials), float(seconds), folder if keeps else None)
        for trials, seconds in zip(numbers[::2], numbers[1::2], strict=True)
    ]
    if MPI.COMM_WORLD.rank == 0:
        tell(runs=runs, peak_mib=peak_mib())


def timed(
    database: ExperimentDatabase,
    size: int | str,
    trials: int,
    seconds: float,
    folder: str | None,
) -> dict[str, float]:
    """Store an experiment, run it, and see that all of it is there."""
    name = f"{trials} trials of {seconds} s"
    sweep = experiment(name, trials, seconds)
    if MPI.COMM_WORLD.rank == 0:
        with session_of(database).storage.writing():
            session_of(database).experiments.enrol(sweep)
        if folder is None:
            session_of(database).ledger = lambda *_: NoLedger()  # type: ignore[assignment, method-assign]
    start = time.perf_counter()
    summary = execute(sweep, database, MPIMode(size))
    took = time.perf_counter() - start
    if database.is_coordinator and (
        summary.remaining or not all_kept(folder, name, trials)
    ):
        sys.exit(f"not all of {trials} trials are kept: {summary}")
    return {"trials": trials, "seconds": took}


def all_kept(folder: str | None, name: str, trials: int) -> bool:
    """Whether all results stand in the file, read by SQLite alone."""
    if folder is None:
        return True
    connection = sqlite3.connect(Path(folder, "sweep.db"))
    query = (
        "SELECT count(*) FROM trials "
        "JOIN experiments ON experiments.id = experiment_id "
        "WHERE name = ? AND results ->> '$.n' = trials.configuration ->> '$.n'"
    )
    (found,) = connection.execute(query, (name,)).fetchone()
    connection.close()
    return bool(found == trials)


if __name__ == "__main__":
    main()
