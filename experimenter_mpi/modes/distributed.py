"""DistributedMode and HeterogeneousMode: executors of mpi4py.futures over worker ranks.

The ranks are those of ``mpirun``, or, where the script was started alone, workers
started with ``MPI_Comm_spawn``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .counts import available_cores, checked_count

if TYPE_CHECKING:
    from ..mpi.transport import Transport
    from ..sweep import Sweep

# Each is three communicators on every rank, of which MPI libraries have two thousand.
MOST_THREADS = 256


class HeterogeneousMode:
    """Run ``threads_per_worker`` trials at once on each worker, which share its store.

    ``workers`` is how many ranks work: under ``mpirun`` all but rank 0 unless given;
    otherwise so many are started, one per core unless given.

    Raises:
        ConfigurationError: a number is no whole number >= 1, or there are more than
            256 threads.
    """

    def __init__(self, threads_per_worker: int, workers: int | None = None) -> None:
        self.threads_per_worker = checked_count(
            "threads_per_worker", threads_per_worker, MOST_THREADS
        )
        self.workers = None if workers is None else checked_count("workers", workers)

    def __repr__(self) -> str:
        return f"HeterogeneousMode({self.threads_per_worker}, workers={self.workers})"

    @property
    def workers_when_alone(self) -> int:
        """How many workers to start where no ``mpirun`` did."""
        return self.workers or available_cores()

    def lead(
        self, transport: Transport, ranks: range, sweep: Sweep
    ) -> BaseException | None:
        """Rank 0's part: have the trials run by ``ranks``; see ``lead_ranks``."""
        from .futures import lead_ranks

        return lead_ranks(transport, ranks, self.threads_per_worker, sweep)


class DistributedMode(HeterogeneousMode):
    """Run one trial at a time on each worker, handed out by mpi4py.futures.

    ``workers`` is how many ranks work: under ``mpirun`` all but rank 0 unless given;
    otherwise so many are started, one per core unless given.

    Raises:
        ConfigurationError: ``workers`` is no whole number >= 1.
    """

    def __init__(self, workers: int | None = None) -> None:
        super().__init__(1, workers)

    def __repr__(self) -> str:
        return f"DistributedMode(workers={self.workers})"
