"""Run trials whose results are arrays.

    mpiexec -n 4 python arrays.py TRIALS BYTES FOLDER

Each worker gives the same array again and again: what is timed is the whole call of
``execute``, at the end of which every array is on the disk.
"""

from __future__ import annotations

import sys
import time
from functools import cache
from typing import Any

import h5py  # noqa: F401 - loaded before the clock starts, on every rank
import numpy as np
from benchmarks.telling import peak_mib, tell
from mpi4py import MPI

from experimenter_mpi import Experiment, IntegerVariable, MPIMode, execute, open_db


@cache
def field(size: int) -> np.ndarray[Any, Any]:
    """Return an array of so many bytes that no disk can make smaller."""
    return np.random.default_rng(MPI.COMM_WORLD.rank).random(size // 8)


def measure(configuration: dict[str, Any], _trial_id: object) -> dict[str, Any]:
    """Return an array."""
    return {"field": field(configuration["bytes"])}


def experiment(name: str, trials: int, size: int) -> Experiment:
    """Return an experiment of so many arrays."""
    repeats = IntegerVariable(1, trials)
    return Experiment(
        name, function=measure, configuration={"n": repeats, "bytes": size}
    )


def main() -> None:
    """Time one sweep after a short one, which brings all ranks up."""
    trials, size, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    database = open_db("arrays.db", folder)
    execute(experiment("warm-up", MPI.COMM_WORLD.size - 1, size), database, MPIMode())
    start = time.perf_counter()
    summary = execute(experiment("arrays", trials, size), database, MPIMode())
    took = time.perf_counter() - start
    if database.is_coordinator:
        last = database.get_trials_by_name("arrays")[-1].results
        if summary.remaining or last["field"].nbytes != size:
            sys.exit(f"not all of {trials} arrays are kept: {summary}")
        tell(trials=trials, seconds=took, bytes=trials * size, peak_mib=peak_mib())


if __name__ == "__main__":
    main()
