"""What ranks that wait cost, and how soon rank 0 answers.

    mpiexec -n 3 python idle.py SECONDS FOLDER

Three sweeps of one trial per worker, in each of which the first trial watches:
*computing*: all workers compute; which part of a core does rank 0 take?
*asking*: the first asks rank 0 now and then while the others compute; how long does it
wait? *waiting*: the first computes, the others have ended; what do they take?
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from benchmarks.telling import tell
from mpi4py import MPI

from experimenter_mpi import (
    Experiment,
    IterableVariable,
    MPIMode,
    execute,
    get_latest_snapshot_from_global_database,
    open_db,
)

if TYPE_CHECKING:
    from uuid import UUID

SETTLING_SECONDS = 0.5
QUESTIONS_PER_SECOND = 40


def compute(seconds: float) -> None:
    """Keep a core busy."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process, all its threads together."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def share(pids: list[int], seconds: float) -> float:
    """Compute, and return the largest part of a core that another took meanwhile."""
    compute(SETTLING_SECONDS)
    before, start = [processor_seconds(pid) for pid in pids], time.monotonic()
    compute(seconds)
    passed = time.monotonic() - start
    after = [processor_seconds(pid) for pid in pids]
    return max((b - a) / passed for a, b in zip(before, after, strict=True))


def watch(configuration: dict[str, Any], trial_id: UUID) -> dict[str, Any]:
    """Be the trial that watches, or one of the others."""
    kind, seconds = configuration["kind"], configuration["seconds"]
    if not configuration["watches"]:
        if kind != "waiting":
            compute(seconds + SETTLING_SECONDS)
        return {}
    if kind == "asking":
        return {"waits": ask(trial_id, seconds)}
    pids, me = configuration["pids"], MPI.COMM_WORLD.rank
    others = [pid for rank, pid in enumerate(pids) if rank not in (0, me)]
    return {"share": share(pids[:1] if kind == "computing" else others, seconds)}


def ask(trial_id: UUID, seconds: float) -> list[float]:
    """Ask rank 0 now and then, and give how long each answer took."""
    waits = []
    for _ in range(int(seconds * QUESTIONS_PER_SECOND)):
        time.sleep(1 / QUESTIONS_PER_SECOND)
        start = time.perf_counter()
        get_latest_snapshot_from_global_database(trial_id)
        waits.append(time.perf_counter() - start)
    return waits


def main() -> None:
    """Run the three sweeps and tell what their first trials saw."""
    seconds, folder = float(sys.argv[1]), sys.argv[2]
    pids = MPI.COMM_WORLD.allgather(os.getpid())
    watchers = [True] + [False] * (len(pids) - 2)
    database = open_db("idle.db", folder)
    seen: dict[str, Any] = {}
    for kind in ("computing", "asking", "waiting"):
        constants = {"kind": kind, "seconds": seconds, "pids": pids}
        watched = {"watches": IterableVariable(watchers), **constants}
        experiment = Experiment(kind, function=watch, configuration=watched)
        if execute(experiment, database, MPIMode(1)) is not None:
            seen[kind] = database.get_trials_by_name(kind)[0].results
    if seen:
        waits = seen["asking"]["waits"]
        tell(
            coordinator=seen["computing"]["share"],
            waiting=seen["waiting"]["share"],
            answer_median=median(waits),
            answer_95th=quantiles(waits, n=20)[-1],
            answer_worst=max(waits),
        )


if __name__ == "__main__":
    main()
