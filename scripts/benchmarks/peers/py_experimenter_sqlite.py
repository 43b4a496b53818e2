"""PyExperimenter on SQLite.

    mpiexec -n 3 python py_experimenter_sqlite.py TRIALS FOLDER

The worker ranks pull trials from the database themselves; rank 0 fills it and waits.
Each trial is a row. With several processes it runs some trials twice, and may leave
some unfinished: what is counted is rows with results, not runs.
"""

import logging
import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.peers.ranks import WORLD, meet
from benchmarks.peers.work import result
from benchmarks.telling import tell
from py_experimenter.experimenter import PyExperimenter

CONFIGURATION = """\
PY_EXPERIMENTER:
  n_jobs: 1
  Database:
    provider: sqlite
    database: sweep
    table:
      name: sweep
      keyfields:
        n:
          type: int
          values: []
      resultfields:
        result: int
"""


def run(keys: dict[str, Any], results: Any, _custom: dict[str, Any]) -> None:
    """Run one trial."""
    results.process_results({"result": result(keys["n"])["n"]})


def main() -> None:
    """Time the worker ranks, the table having been filled."""
    trials = int(sys.argv[1])
    os.chdir(sys.argv[2])
    if WORLD.rank == 0:
        Path("logs").mkdir()
        Path("configuration.yml").write_text(CONFIGURATION)
    meet()
    experimenter = PyExperimenter(
        "configuration.yml", use_codecarbon=False, log_level=logging.CRITICAL
    )
    if WORLD.rank == 0:
        rows = [{"n": n} for n in range(1, trials + 1)]
        experimenter.fill_table_with_rows(rows)
    meet()
    start = time.perf_counter()
    if WORLD.rank != 0:
        experimenter.execute(run, n_jobs=1)
    meet()
    took = time.perf_counter() - start
    if WORLD.rank == 0:
        finished = count()
        lost = f"{trials - finished} of {trials} trials were left without a result"
        remark = lost if finished < trials else None
        tell(trials=finished, seconds=took, remark=remark)


def count() -> int:
    """Return how many results stand in the file."""
    connection = sqlite3.connect("sweep.db")
    query = "SELECT count(*) FROM sweep WHERE result = n AND status = 'done'"
    (found,) = connection.execute(query).fetchone()
    connection.close()
    return int(found)


if __name__ == "__main__":
    main()
