"""joblib's processes: `python joblib_processes.py TRIALS BATCH WORKERS`, without MPI.

Results stay in the memory of the process that hands out.
"""

import sys
import time

from benchmarks.peers.work import result, trial
from benchmarks.telling import tell
from joblib import Parallel, delayed


def main() -> None:
    """Time one call after a short one, which brings all workers up."""
    trials, workers = int(sys.argv[1]), int(sys.argv[3])
    batch = sys.argv[2] if sys.argv[2] == "auto" else int(sys.argv[2])
    with Parallel(n_jobs=workers, batch_size=batch) as parallel:
        parallel(delayed(trial)(n) for n in range(64))
        start = time.perf_counter()
        found = parallel(delayed(trial)(n) for n in range(1, trials + 1))
        took = time.perf_counter() - start
    if found != [result(n) for n in range(1, trials + 1)]:
        sys.exit("results are wrong")
    tell(trials=trials, seconds=took)


if __name__ == "__main__":
    main()
