"""A worker's part where mpi4py.futures hands out the trials: it serves in lanes.

A lane is a communicator with rank 0 and a thread that runs what comes over it: one in
DistributedMode, several in HeterogeneousMode. All lanes of a worker share its store,
and its line to rank 0 for what trials ask.
"""

from __future__ import annotations

import threading
from _contextvars import ContextVar  # as in trial.context
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from ..coordination import messages as m
from ..coordination.worker import Outgoing, run_batch
from ..errors import ProtocolError
from . import executors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..coordination.worker import Line
    from ..trial.attempt import Attempt, Attempts
    from ..trial.outcome import Outcome, Place
    from .transport import Transport


class Lane(NamedTuple):
    """What a lane's thread runs batches with.

    ``opened`` is set when it serves; ``end_job`` takes what it cannot go on after.
    """

    line: Line
    place: Place
    attempts: Attempts
    reports: Outgoing
    opened: threading.Event
    end_job: Callable[[BaseException], NoReturn]


class BatchEnd(NamedTuple):
    """What became of a batch and where, beside what was ``sent`` before its end."""

    place: Place
    outcomes: tuple[Outcome, ...]
    sent: int


_lane: ContextVar[Lane] = ContextVar("_lane")


def run_batch_here(ranges: m.Ranges) -> BatchEnd:
    """Run a batch on this worker: the task that rank 0 submits."""
    lane = _lane.get()
    try:
        run_batch(lane.line, ranges, lane.attempts, lane.reports, announced=True)
        held, sent = lane.reports.take()
        return BatchEnd(lane.place, tuple(each.outcome for each in held), sent)
    except BaseException as error:  # noqa: BLE001 - rank 0 would take it for its own
        lane.end_job(error)


def say_opened() -> None:
    """Open the next lane: rank 0 opens them one after the other, too."""
    _lane.get().opened.set()


def work_in_lanes(
    line: Line, transport: Transport, attempts: Attempts, lanes: int
) -> None:
    """Serve in so many lanes until rank 0 releases this rank."""
    place = transport.place
    line.send(m.Ready(place))
    match line.receive():
        case m.Form(ranks):
            made = [_lane_of(line, transport, place, attempts) for _ in range(lanes)]
            with executors.lanes(transport.world, ranks, lanes) as communicators:
                _serve_all(communicators, made)
        case m.Release():
            return
        case message:
            msg = f"rank 0 sent {type(message).__name__} to a rank without lanes"
            raise ProtocolError(msg)
    while not isinstance(line.receive(), m.Release):
        pass
    line.send(m.WorkStopped())  # nothing of this experiment comes after it


def _lane_of(
    line: Line, transport: Transport, place: Place, attempts: Attempts
) -> Lane:
    def send(ended: tuple[Attempt, ...]) -> None:
        line.send(m.Finished(tuple(each.outcome for each in ended)))

    reports = Outgoing(send, watched=True)

    def end_job(error: BaseException) -> NoReturn:
        from .ending import end_job

        end_job(transport, error)

    return Lane(line, place, attempts, reports, threading.Event(), end_job)


def _serve_all(communicators: Sequence[Any], lanes: Sequence[Lane]) -> None:
    """Serve each communicator on a thread, the last one on this."""
    threads = []
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
    except BaseException as error:  # noqa: BLE001 - a thread ends with it in silence
        lane.end_job(error)
    finally:
        _lane.reset(token)
        lane.reports.close()
        lane.opened.set()
