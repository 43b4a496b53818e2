"""Run a real sweep, and note what each message, assignment and commit takes rank 0.

    mpiexec -n RANKS python -m simulation.probe OUT TRIALS BATCH SECONDS

BATCH 0 is "auto", SECONDS 0 trials of nothing. Rank 0 writes OUT, rank 1 OUT.worker.
Times are the processor's, since others share the cores; a commit waits for the disk as
well, and is noted by the clock too.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from experimenter_mpi import Experiment, IntegerVariable, MPIMode, execute, open_db
from experimenter_mpi.coordination import coordinator, worker
from experimenter_mpi.coordination.messages import Assign, Finished
from experimenter_mpi.mpi import transport

HERE = Path(__file__).parent
# Rank 0 and one of the workers write what they noted.
ENDINGS = {0: "", 1: ".worker"}


class Probe:
    """What was noted, and how: methods of rank 0 are replaced by ones with a clock."""

    def __init__(self) -> None:
        self.noted: dict[str, list[Any]] = defaultdict(list)
        self._sending = 0.0
        self._polled = 0.0

    def watch_rank_0(self) -> None:
        """Note what receiving, deciding, sending and committing take."""
        self._replace(transport.Transport, "poll", self._poll)
        self._replace(transport.Transport, "send", self._send)
        self._replace(coordinator._Coordinator, "_on", self._on)
        self._replace(coordinator._Coordinator, "_commit", self._commit)

    def _replace(self, owner: Any, name: str, by: Any) -> None:
        original = getattr(owner, name)
        setattr(owner, name, lambda *args: by(original, *args))

    def _poll(self, original: Any, *args: Any) -> Any:
        start = time.thread_time()
        arrival = original(*args)
        self._polled = time.thread_time() - start
        return arrival

    def _send(self, original: Any, *args: Any) -> None:
        start = time.thread_time()
        original(*args)
        seconds = time.thread_time() - start
        self._sending += seconds
        if isinstance(args[-1], Assign):
            self.noted["assign"].append((1, seconds))

    def _on(self, original: Any, owner: Any, rank: int, message: Any) -> None:
        polled, self._sending = self._polled, 0.0
        start = time.thread_time()
        original(owner, rank, message)
        end = time.thread_time()
        if isinstance(message, Finished):
            count = len(message.outcomes)
            self.noted["report"].append((count, polled + end - start - self._sending))
            work = sum(each.duration for each in message.outcomes)
            self.noted["arrived"].append((time.perf_counter(), count, work))

    def _commit(self, original: Any, owner: Any) -> None:
        rows = len(owner._commits._waiting)
        self._sending = 0.0
        start, began = time.thread_time(), time.perf_counter()
        original(owner)
        seconds = time.thread_time() - start - self._sending
        if rows:
            self.noted["commit"].append((rows, seconds))
            self.noted["commit by the clock"].append(
                (rows, time.perf_counter() - began)
            )


def watch_batches(noted: dict[str, list[Any]]) -> None:
    """Note what a worker's batches take of its processor."""
    original = worker._run_batch

    def run_batch(line: Any, ranges: Any, *args: Any, **options: Any) -> None:
        start = time.thread_time()
        original(line, ranges, *args, **options)
        count = sum(stop - start for start, stop in ranges)
        noted["batch"].append((count, time.thread_time() - start))

    worker._run_batch = run_batch


def sweep(trials: int, seconds: float) -> Experiment:
    """Return an experiment of so many trials that sleep, or do nothing."""
    return Experiment(
        "probe",
        configuration={"seconds": seconds, "n": IntegerVariable(1, trials)},
        function_name="sleeping" if seconds else "nothing",
        include_file=str(HERE / "trials.py"),
    )


def main() -> None:
    """Run the sweep; on rank 0 and rank 1, watched."""
    out, trials, batch, seconds = sys.argv[1:]
    rank = transport.world().rank
    probe = Probe()
    if rank == 0:
        probe.watch_rank_0()
    elif rank == 1:
        watch_batches(probe.noted)
    with tempfile.TemporaryDirectory() as folder:
        mode = MPIMode(int(batch) or "auto")
        start = time.process_time()
        with open_db("probe.db", folder) as database:
            execute(sweep(int(trials), float(seconds)), database, mode)
        probe.noted["processor"] = [time.process_time() - start]
    if rank in ENDINGS:
        Path(out + ENDINGS[rank]).write_text(json.dumps(probe.noted), encoding="utf-8")


if __name__ == "__main__":
    main()
