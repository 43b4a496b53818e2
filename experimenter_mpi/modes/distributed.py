"""DistributedMode and HeterogeneousMode: executors of mpi4py.futures over worker ranks.

The ranks are those of ``mpirun``, or, where the script was started alone, workers
started with ``MPI_Comm_spawn``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError, counted
from . import Workforce, on_ranks
from .counts import available_cores, checked_count

if TYPE_CHECKING:
    from ..coordination.sweep import Sweep
    from ..mpi.transport import Transport
    from . import LeadingRank

# Each is three communicators on every rank, of which MPI libraries have two thousand.
MOST_THREADS = 256


class HeterogeneousMode:
    """Run ``threads_per_worker`` trials at once on each worker, which share its store.

    ``workers`` is how many ranks work: under ``mpirun`` all but rank 0 unless given;
    otherwise so many are started, one per core unless given.

    Raises:
        ConfigurationError: a number is not a whole number of 1 or more, or there
            are more than 256 threads.
    """

    needs_ranks = False

    def __init__(self, threads_per_worker: int, workers: int | None = None) -> None:
        self.threads_per_worker = checked_count(
            "threads_per_worker", threads_per_worker, MOST_THREADS
        )
        self.workers = None if workers is None else checked_count("workers", workers)

    def __repr__(self) -> str:
        return f"HeterogeneousMode({self.threads_per_worker}, workers={self.workers})"

    def workforce(self, lead: LeadingRank) -> Workforce:
        """Choose ranks of ``mpirun``, or workers that are started; see ``Mode``."""
        transport = lead.transport
        if transport is None:
            return self._to_be_spawned(lead)
        ranks = range(1, 1 + self._workers_among(transport.size - 1))

        def run(sweep: Sweep) -> None:
            error = self._error(lead, transport, ranks, sweep, workers=len(ranks))
            if error is not None:
                raise error

        return on_ranks(self, lead, self._described(len(ranks)), run)

    def _to_be_spawned(self, lead: LeadingRank) -> Workforce:
        workers = self.workers or available_cores()
        script = lead.script_of_workers()

        def run(sweep: Sweep) -> None:
            with lead.spawned(workers, script, sweep) as transport:
                ranks = range(1, transport.size)
                error = self._error(lead, transport, ranks, sweep)
            if error is not None:
                raise error

        name, where = type(self).__name__, self._described(workers)
        return Workforce(name, 1 + workers, None, where, run)

    def _error(
        self,
        lead: LeadingRank,
        transport: Transport,
        ranks: range,
        sweep: Sweep,
        **facts: Any,
    ) -> BaseException | None:
        facts["lanes"] = self.threads_per_worker
        with lead.working(sweep, transport, ranks, **facts):
            return self.lead(transport, ranks, sweep)

    def _described(self, workers: int) -> str:
        described, threads = counted(workers, "worker"), self.threads_per_worker
        return described if threads == 1 else f"{described} of {threads} threads"

    def _workers_among(self, there: int) -> int:
        """Return how many of the ranks beside rank 0 are to work."""
        if self.workers is not None and self.workers > there:
            msg = (
                f"{self!r} asks for {counted(self.workers, 'worker')}, but mpirun "
                f"started {there} besides rank 0: use `mpirun -n {self.workers + 1}`, "
                "or omit workers"
            )
            raise ConfigurationError(msg)
        return self.workers or there

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
        ConfigurationError: ``workers`` is not a whole number of 1 or more.
    """

    def __init__(self, workers: int | None = None) -> None:
        super().__init__(1, workers)

    def __repr__(self) -> str:
        return f"DistributedMode(workers={self.workers})"
