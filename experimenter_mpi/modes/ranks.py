"""Rank 0's part where executors of mpi4py.futures reach over worker ranks.

Trials travel through the executors; what they ask travels through the transport, which
has communicators of its own, and is received on a thread.
"""

from __future__ import annotations

import threading
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

from ..attempt import trial_error
from ..errors import ExperimenterError, LaunchError, ProtocolError, rebuilt
from ..ledger import Place
from ..mpi import messages as m
from ..mpi.executors import lead_pool
from ..mpi.lanes import run_batch_here, say_opened
from .pool import LOOK_SECONDS, Broken, Failed, Heard, Inbox, Lane, run_in_pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Executor, Future
    from typing import Any

    from ..batches import Report
    from ..mpi.transport import Transport
    from ..sweep import Sweep


def lead_ranks(
    transport: Transport, ranks: range, lanes: int, sweep: Sweep
) -> ExperimenterError | None:
    """Run the sweep's trials on the ranks that were told to begin; release them all.

    Gives the error that the run is to end with, if any: a trial failed and the sweep
    stops there, or no worker could start. Whatever it raises instead came while
    workers were still busy.
    """
    require_threads(transport)
    places, unable = _gather(transport, ranks)
    for rank, refusal in unable.items():
        transport.send(rank, m.Release())
        if places:
            sweep.note(
                f"rank {rank} on {refusal.hostname} cannot work: {refusal.message}"
            )
    if not places:
        rank, first = min(unable.items())
        return rebuilt(first.error, f"rank {rank} on {first.hostname}: {first.message}")
    able = tuple(sorted(places))
    for rank in able:
        transport.send(rank, m.Form(able))
    with transport.lanes(able, lanes) as communicators:
        failed = _run(transport, places, communicators, sweep)
    return trial_error(failed.entry) if failed and sweep.raise_errors else None


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
                continue
            case rank, m.Ready(hostname):
                places[rank] = Place(rank, hostname)
            case rank, m.Unable() as refusal:
                unable[rank] = refusal
            case rank, message:
                raise _unexpected(rank, message)
    return places, unable


def _run(
    transport: Transport,
    places: dict[int, Place],
    communicators: Sequence[Any],
    sweep: Sweep,
) -> Failed | None:
    pools = [lead_pool(communicator, say_opened) for communicator in communicators]
    inbox: Inbox = SimpleQueue()
    lanes = [Lane(_submitting(pool), len(places)) for pool in pools]
    listener = _Listener(transport, places, inbox)
    failed = run_in_pool(
        sweep, lanes, inbox, lambda order: _send(transport, places, order)
    )
    # One after the other, as they were opened: Open MPI hangs where several threads
    # disconnect from the same spawned processes at once.
    for pool in pools:
        pool.shutdown(wait=True)
    _send(transport, places, m.Release())
    listener.finish()
    return failed


def _submitting(pool: Executor) -> Callable[[m.Ranges], Future[Report]]:
    return lambda ranges: pool.submit(run_batch_here, ranges)


def _send(transport: Transport, ranks: Iterable[int], message: m.Message) -> None:
    for rank in ranks:
        transport.send(rank, message)


class _Listener:
    """Puts what the ranks say into the inbox, until each has said its last word."""

    def __init__(
        self, transport: Transport, places: dict[int, Place], inbox: Inbox
    ) -> None:
        self._transport = transport
        self._places = places
        self._inbox = inbox
        self._thread = threading.Thread(
            target=self._listen, name="experimenter_mpi listener", daemon=True
        )
        self._thread.start()

    def finish(self) -> None:
        """Wait until all have taken their leave."""
        while self._thread.is_alive():
            self._thread.join(LOOK_SECONDS)  # in pieces, so that signals are heeded
        while not self._inbox.empty():
            event = self._inbox.get()
            if isinstance(event, Broken):
                raise event.error

    def _listen(self) -> None:
        try:
            present = set(self._places)
            while present:
                arrival = self._transport.receive(LOOK_SECONDS)
                match arrival:
                    case None:
                        continue
                    case rank, m.Drained():
                        present.discard(rank)
                    case rank, message:
                        self._pass_on(rank, message)
        except BaseException as error:  # noqa: BLE001 - raised by the loop's thread
            self._inbox.put(Broken(error))

    def _pass_on(self, rank: int, message: m.Message) -> None:
        if rank not in self._places:
            raise _unexpected(rank, message)
        reply = partial(self._transport.send, rank)
        self._inbox.put(Heard(self._places[rank], message, reply))


def _unexpected(rank: int, message: m.Message) -> ProtocolError:
    return ProtocolError(
        f"rank {rank} sent {type(message).__name__} to a rank 0 that leads executors"
    )
