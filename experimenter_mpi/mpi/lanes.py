"""A worker's part where mpi4py.futures hands out the trials: it serves in lanes.

A lane is a communicator with rank 0 and a thread that runs what comes over it: one in
DistributedMode, several in HeterogeneousMode. All lanes of a worker share its store,
and its line to rank 0 for what trials ask.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from ..batches import Report, Station, run_batch
from ..errors import ProtocolError
from ..ledger import Place
from ..reports import Reports
from . import executors
from . import messages as m

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..attempt import Attempt
    from ..attempts import Attempts
    from .messages import Ranges
    from .transport import Transport
    from .worker import Line


class Lane(NamedTuple):
    """What a lane's thread finds when a task calls: the station, and who waits."""

    station: Station
    reports: Reports
    opened: threading.Event


_lane: ContextVar[Lane] = ContextVar("_lane")


def run_batch_here(ranges: Ranges) -> Report:
    """Run a batch at this worker's station: the task that rank 0 submits."""
    lane = _lane.get()
    return run_batch(lane.station, lane.reports, ranges).to_send()


def say_opened() -> None:
    """Let the next lane open: rank 0 opens them one after the other, too."""
    _lane.get().opened.set()


def work_in_lanes(
    line: Line, transport: Transport, attempts: Attempts, lanes: int
) -> None:
    """Serve in so many lanes until rank 0 releases this rank."""
    line.send(m.Ready(transport.hostname))
    match line.receive():
        case m.Form(ranks):
            station = Station(
                attempts,
                line,
                Place(transport.rank, transport.hostname),
                lambda index: line.send(m.Begun(index)),
            )

            def send(attempts: tuple[Attempt, ...]) -> None:
                line.send(m.Finished(tuple(each.outcome for each in attempts)))

            with transport.lanes(ranks, lanes) as communicators:
                _serve_all(communicators, station, send)
        case m.Release():
            return
        case message:
            msg = f"rank 0 sent {type(message).__name__} to a rank without lanes"
            raise ProtocolError(msg)
    while not isinstance(line.receive(), m.Release):
        pass
    line.send(m.Drained())  # nothing of this experiment comes after it


def _serve_all(
    communicators: Sequence[Any], station: Station, send: Callable[..., object]
) -> None:
    """Serve each communicator on a thread, the last one on this."""
    threads = []
    lanes = [
        Lane(station, Reports(send, watched=True), threading.Event())
        for _ in communicators
    ]
    for communicator, lane in zip(communicators[:-1], lanes, strict=False):
        thread = threading.Thread(target=_serve, args=(communicator, lane))
        thread.start()
        lane.opened.wait()
        threads.append(thread)
    _serve(communicators[-1], lanes[-1])
    for thread in threads:
        thread.join()


def _serve(communicator: Any, lane: Lane) -> None:
    token = _lane.set(lane)
    try:
        executors.serve_pool(communicator)
    finally:
        _lane.reset(token)
        lane.reports.close()
        lane.opened.set()
