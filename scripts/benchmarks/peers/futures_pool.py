"""mpi4py.futures: `mpiexec -n 3 python -m mpi4py.futures futures_pool.py TRIALS CHUNK`.

Rank 0 submits, and a thread of it hands out; results stay in its memory.
"""

import sys
import time

from benchmarks.peers.work import result, trial
from benchmarks.telling import tell
from mpi4py.futures import MPIPoolExecutor


def main() -> None:
    """Time one map after a short one, which brings all workers up."""
    trials, chunk = int(sys.argv[1]), int(sys.argv[2])
    with MPIPoolExecutor() as pool:
        list(pool.map(trial, range(1, 65)))
        start = time.perf_counter()
        found = list(pool.map(trial, range(1, trials + 1), chunksize=chunk))
        took = time.perf_counter() - start
    if found != [result(n) for n in range(1, trials + 1)]:
        sys.exit("results are wrong")
    tell(trials=trials, seconds=took)


if __name__ == "__main__":
    main()
