"""schwimmbad's MPIPool: `mpiexec -n 3 python schwimmbad_pool.py TRIALS`.

Rank 0 hands trials out one by one, spinning; results stay in its memory.
"""

import sys
import time

from benchmarks.peers.work import result, trial
from benchmarks.telling import tell
from schwimmbad import MPIPool


def main() -> None:
    """Time one map after a short one, which brings all workers up."""
    trials = int(sys.argv[1])
    with MPIPool() as pool:
        if not pool.is_master():
            pool.wait()
            sys.exit(0)
        list(pool.map(trial, range(1, 65)))
        start = time.perf_counter()
        found = list(pool.map(trial, range(1, trials + 1)))
        took = time.perf_counter() - start
    if found != [result(n) for n in range(1, trials + 1)]:
        sys.exit("results are wrong")
    tell(trials=trials, seconds=took)


if __name__ == "__main__":
    main()
