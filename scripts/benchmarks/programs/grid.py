"""A grid of very many trials: stored, begun, resumed, or run, with this package.

    python grid.py store TRIALS FOLDER                  on one process
    mpiexec -n 3 python grid.py first TRIALS FOLDER LAUNCHED
    mpiexec -n 3 python grid.py resume TRIALS FOLDER
    mpiexec -n 3 python grid.py limited TRIALS FOLDER SECONDS
    mpiexec -n 3 python grid.py run TRIALS FOLDER

What `resume` times is from the call of ``execute`` to the begin of the first trial, on
whichever rank, which then stops the run; `first` from the time that it is told.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.telling import peak_mib, tell

from experimenter_mpi import Experiment, IntegerVariable, MPIMode, execute, open_db
from experimenter_mpi.database.handle import session_of

STOPS = "to-be-stopped"
SIDE = 100


def nothing(configuration: dict[str, Any], _trial_id: object) -> dict[str, Any]:
    """Do nothing, but for the first trial of all, which may stop the run."""
    stop_if_asked()
    return {"energy": configuration["x"] * configuration["y"]}


@cache
def stop_if_asked() -> None:
    """Say when the first trial of this rank began, if nobody has, and stop the run."""
    now = time.monotonic()
    try:
        coordinator = int(Path(STOPS).read_text())
        Path(STOPS).unlink()
    except FileNotFoundError:
        return
    Path("began").write_text(str(now))
    os.kill(coordinator, signal.SIGTERM)


def main() -> None:
    """Do one of them and tell how long it took."""
    verb, trials, folder, *more = sys.argv[1:]
    os.chdir(folder)
    grid = Experiment(
        "grid",
        function=nothing,
        configuration={
            "x": IntegerVariable(1, int(trials) // SIDE),
            "y": IntegerVariable(1, SIDE),
        },
    )
    database = open_db("grid.db", ".")
    if verb == "store":
        with session_of(database).storage.writing():
            session_of(database).experiments.enrol(grid)
        tell(trials=len(grid), seconds=0.0, peak_mib=peak_mib())
        return
    stops = verb in ("first", "resume")
    if stops and is_coordinator():
        Path(STOPS).write_text(str(os.getpid()))
    start = float(more[0]) if verb == "first" else time.monotonic()
    limit = float(more[0]) if verb == "limited" else None
    summary = execute(grid, database, MPIMode(), time_limit=limit)
    took = time.monotonic() - start
    if database.is_coordinator:
        if stops:
            took = float(Path("began").read_text()) - start
        ran = summary.finished
        tell(trials=ran, seconds=took, left=summary.remaining, peak_mib=peak_mib())


def is_coordinator() -> bool:
    """Whether this is rank 0."""
    from mpi4py import MPI

    return bool(MPI.COMM_WORLD.rank == 0)


if __name__ == "__main__":
    main()
