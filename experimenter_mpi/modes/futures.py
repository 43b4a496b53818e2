"""The port of DistributedMode and HeterogeneousMode: executors of mpi4py.futures.

Trials travel through the executors; what they ask, and outcomes that a long trial would
hold up, travel through the transport, which has communicators of its own.
"""

from __future__ import annotations

from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING

from ..coordination import messages as m
from ..coordination.coordinator import LOOK_SECONDS, coordinate
from ..errors import LaunchError, ProtocolError, WorkerDiedError
from ..mpi import executors
from ..mpi.lanes import run_batch_here, say_opened

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor, Future

    from ..coordination.sweep import Sweep
    from ..mpi.lanes import BatchEnd
    from ..mpi.transport import Transport
    from ..trial.outcome import Place


def lead_ranks(
    transport: Transport, ranks: range, lanes: int, sweep: Sweep
) -> BaseException | None:
    """Run the sweep's trials on the ranks that were told to begin; release them all.

    See ``Coordinator.run`` for what it returns and raises.
    """
    require_threads(transport)
    places, unable = _gather(transport, ranks)
    for rank, refusal in unable.items():
        transport.send(rank, m.Release())
        if places:
            host, why = refusal.place.hostname, refusal.message
            sweep.note(f"rank {rank} on {host} cannot work: {why}")
    if not places:
        return coordinate(FuturesPort(transport, {}, (), unable), sweep)
    able = tuple(sorted(places))
    for rank in able:
        transport.send(rank, m.Form(able))
    with executors.lanes(transport.world, able, lanes) as communicators:
        pools = [executors.lead_pool(each, say_opened) for each in communicators]
        port = FuturesPort(transport, places, pools)
        error = coordinate(port, sweep)
        port.close()
    return error


def require_threads(transport: Transport) -> None:
    """Refuse an MPI that only one thread of a process may use.

    Raises:
        LaunchError: so it is.
    """
    if not transport.serves_threads:
        msg = (
            "this mode needs MPI_THREAD_MULTIPLE, which this MPI library was not built "
            "for: use MPIMode() (--mode mpi)"
        )
        raise LaunchError(msg)


def _gather(
    transport: Transport, ranks: range
) -> tuple[dict[int, Place], dict[int, m.Unable]]:
    """Wait until each rank says whether it can work."""
    places: dict[int, Place] = {}
    unable: dict[int, m.Unable] = {}
    while len(places) + len(unable) < len(ranks):
        arrival = transport.receive(LOOK_SECONDS)
        match arrival:
            case None:
                _require_all(transport)
            case rank, m.Ready(place) if place is not None:
                places[rank] = place
            case rank, m.Unable() as refusal:
                unable[rank] = refusal
            case rank, message:
                msg = f"rank {rank} sent {type(message).__name__} before it was ready"
                raise ProtocolError(msg)
    return places, unable


def _require_all(transport: Transport) -> None:
    """Go on only while all ranks live: mpi4py.futures waits forever for the dead.

    Raises:
        WorkerDiedError: one has died.
    """
    dead = transport.deaths()
    if dead:
        msg = (
            f"rank {dead[0]} has died, and mpi4py.futures cannot continue without it: "
            "rerun the same command to continue. With --with-ft, --mode mpi survives "
            "this"
        )
        raise WorkerDiedError(msg)


class _ExecutorWorker:
    """A batch that an executor runs, and those that follow it, under one number.

    ``running`` are the trials of that batch. Of those ``heard`` were reported before
    its end, and ``begun`` says that its place was told. ``ended`` is what became of it,
    once the executor has said so.
    """

    def __init__(self, number: int, pool: Executor) -> None:
        self.number = number
        self.pool = pool
        self.waiting: deque[m.Ranges] = deque()
        self.draining = False
        self.finish()

    def finish(self) -> None:
        """Forget the batch, which is over."""
        self.running: list[int] = []
        self.heard = 0
        self.begun = False
        self.ended: BatchEnd | None = None


class FuturesPort:
    """Implements ``Port``: each worker is one task that an executor can run.

    On which of the ranks that are ``places`` is for the executor to choose. Questions
    come from minus the rank that asks.
    """

    survives_deaths = False

    def __init__(
        self,
        transport: Transport,
        places: dict[int, Place],
        pools: Sequence[Executor],
        unable: dict[int, m.Unable] | None = None,
    ) -> None:
        self._transport = transport
        self._places = places
        self._pools = pools
        every = enumerate((pool for pool in pools for _ in places), start=1)
        self._workers = {
            number: _ExecutorWorker(number, pool) for number, pool in every
        }
        self.workers = [*self._workers, *(unable or {})]
        self._arrivals: deque[tuple[int, m.Message]] = deque()
        self._arrivals += ((number, m.Ready(None)) for number in self._workers)
        self._arrivals += (unable or {}).items()
        # Filled on threads of the executors.
        self._done: SimpleQueue[tuple[_ExecutorWorker, Future[BatchEnd]]] = (
            SimpleQueue()
        )
        self._running: dict[int, _ExecutorWorker] = {}
        self._told_to_drain = False

    def poll(self) -> tuple[int, m.Message] | None:
        while not self._arrivals:
            if not self._done.empty():
                worker, future = self._done.get()
                worker.ended = future.result()
                self._settle(worker)
            elif (arrival := self._transport.poll()) is not None:
                self._take(*arrival)
            else:
                return None
        return self._arrivals.popleft()

    def receive(
        self, timeout: float | None = None, wake: Callable[[], bool] = lambda: False
    ) -> tuple[int, m.Message] | None:
        if (given := self.poll()) is not None:
            return given
        arrival = self._transport.receive(
            timeout, lambda: not self._done.empty() or wake()
        )
        if arrival is not None:
            self._take(*arrival)
        return self.poll()

    def send(self, worker: int, message: m.Message) -> None:
        match message:
            case m.Assign(ranges):
                self._workers[worker].waiting.append(ranges)
                self._submit_next(self._workers[worker])
            case m.StopWork():
                self._drain(self._workers[worker], message)
            case m.Release():
                pass  # ranks are released together, by ``close``
            case answer:
                self._transport.send(-worker, answer)

    def deaths(self) -> list[int]:
        _require_all(self._transport)
        return []

    def exception_of(self, _index: int) -> None:
        """Return None: no trial runs in this process."""

    def close(self) -> None:
        """End the executors, release the ranks, and wait until each has left."""
        # One after the other, as they were opened: Open MPI hangs where several threads
        # disconnect from the same spawned processes at once.
        for pool in self._pools:
            pool.shutdown(wait=True)
        for rank in self._places:
            self._transport.send(rank, m.Release())
        present = set(self._places)
        while present:
            match self._transport.receive(LOOK_SECONDS):
                case None:
                    _require_all(self._transport)
                case rank, m.WorkStopped():
                    present.discard(rank)

    # --- batches

    def _submit_next(self, worker: _ExecutorWorker) -> None:
        if worker.running or not worker.waiting:
            return
        ranges = worker.waiting.popleft()
        worker.running = m.indices_of(ranges)
        self._running.update(dict.fromkeys(worker.running, worker))
        future = worker.pool.submit(run_batch_here, ranges)
        future.add_done_callback(lambda done: self._done.put((worker, done)))

    def _drain(self, worker: _ExecutorWorker, order: m.StopWork) -> None:
        if not self._told_to_drain:
            self._told_to_drain = True
            for rank in self._places:
                self._transport.send(rank, order)
        worker.draining = True
        worker.waiting.clear()
        if not worker.running:
            self._arrivals.append((worker.number, m.WorkStopped()))

    def _take(self, rank: int, message: m.Message) -> None:
        """Handle what a rank says in a worker's name."""
        match message:
            case m.Begun(index):
                # Where its batch has ended by now, the executor was faster.
                if (worker := self._running.get(index)) is not None:
                    self._tell_begun(worker, self._places[rank])
            case m.Finished(outcomes):
                worker = self._running[outcomes[0].index]
                worker.heard += len(outcomes)
                self._arrivals.append((worker.number, message))
                self._settle(worker)
            case _:
                self._arrivals.append((-rank, message))

    def _tell_begun(self, worker: _ExecutorWorker, place: Place) -> None:
        if not worker.begun:
            worker.begun = True
            begun = m.Begun(worker.running[0], place)
            self._arrivals.append((worker.number, begun))

    def _settle(self, worker: _ExecutorWorker) -> None:
        """Go on with the next batch, if all that was reported of this one is here."""
        ended = worker.ended
        if ended is None or worker.heard < ended.sent:
            return
        if ended.outcomes:
            self._tell_begun(worker, ended.place)
            self._arrivals.append((worker.number, m.Finished(ended.outcomes)))
        for index in worker.running:
            del self._running[index]
        worker.finish()
        if worker.draining:
            self._arrivals.append((worker.number, m.WorkStopped()))
        self._submit_next(worker)
