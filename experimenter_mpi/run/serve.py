"""A worker rank's part of ``execute``, and of a whole ``run``: do what rank 0 says."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from ..coordination import messages as m
from ..coordination import trail
from ..coordination.worker import Line, report_unable, work
from ..errors import (
    ExperimenterError,
    ProtocolError,
    SaidByRank0,
    ScriptError,
    marked,
    rebuilt,
)
from ..mpi import launch
from ..output import above_bar, safe, say
from ..trial.arrays import SharedArrays
from ..trial.attempt import InProcess
from ..trial.briefing import Briefing
from ..trial.context import Context
from ..trial.functions import prepare, working_in
from ..trial.signals import outliving_signals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from ..experiment.experiment import Experiment
    from ..mpi.transport import Transport
    from ..trial.attempt import Attempts
    from .summary import RunSummary


def assist(transport: Transport, experiment: Experiment) -> RunSummary:
    """Work at this rank's ``experiment`` until rank 0 says it is over.

    Raises:
        ExperimenterError: what stopped rank 0.
        SystemExit: rank 0 has left the script.
    """
    with outliving_signals(), _never_in_silence(transport):
        order = _order(transport)
        if isinstance(order, m.Begin):
            _work_at(transport, Briefing.unpack(order.job), experiment)
            order = _order(transport)
    match order:
        case m.Dismiss(tuple(fields)):
            from .summary import RunSummary  # not on workers that serve a run

            summary = RunSummary.unpacked(fields)
            experiment.become(summary.experiment_id)
            return summary
        case m.Dismiss(_, (name, message)):
            raise marked(rebuilt(name, message), SaidByRank0)
        case m.Leave(code):
            raise SystemExit(code)
    msg = f"rank 0 sent {order} to a rank that waits for the end of an experiment"
    raise ProtocolError(msg)


def follow(transport: Transport) -> None:
    """Wait, at this rank's exit from the script, for rank 0's.

    Until then rank 0 may begin experiments, and must not wait for this rank.
    """
    with outliving_signals(), _never_in_silence(transport):
        while transport.is_open and transport.leave is None:
            if isinstance(_order(transport), m.Begin):
                error = ScriptError(
                    "its script has ended while rank 0 calls execute(): call "
                    "execute() on every rank in the same way"
                )
                line = Line(transport)
                report_unable(line, transport.place, error)


def serve(transport: Transport) -> None:
    """Work at whatever rank 0 begins until it sends this rank home."""
    with outliving_signals(), _never_in_silence(transport):
        while (order := _order(transport)) != m.Dismiss():
            if isinstance(order, m.Begin):
                _work_at(transport, Briefing.unpack(order.job), None)


def _begin_log(job: Briefing, transport: Transport) -> None:
    from . import log  # not on workers that nobody asked to

    try:
        log.begin(log.Log(*job.log or ()), transport.place)
    except ExperimenterError as error:  # no reason to run no trials
        say(f"experimenter_mpi: rank {transport.rank}: {error}")


@contextmanager
def _never_in_silence(transport: Transport) -> Iterator[None]:
    """End the job where this rank cannot go on: rank 0 would wait for it forever."""
    try:
        yield
    except BaseException as error:  # noqa: BLE001 - a trial's handler may raise any
        from ..mpi.ending import end_job

        end_job(transport, error)


def _order(transport: Transport) -> m.Message:
    if transport.leave is not None:  # which a script may have caught
        return transport.leave
    arrival = transport.receive()
    if arrival is not None:
        trail.received(*arrival)
    if arrival is None or not isinstance(arrival[1], (m.Begin, m.Dismiss, m.Leave)):
        msg = f"rank 0 sent {arrival} to a rank without an experiment"
        raise ProtocolError(msg)
    if isinstance(arrival[1], m.Leave):
        transport.leave = arrival[1]
    return arrival[1]


def _work_at(transport: Transport, job: Briefing, local: Experiment | None) -> None:
    launch.take_place(transport, job.workers)
    transport.is_needed = True
    if job.log is not None:
        _begin_log(job, transport)
    trail.begin(transport.place)
    line = Line(transport, job.time_left)
    try:
        with (
            safe(),
            above_bar(job.bar_on),
            working_in(job.directory),
            outliving_signals(),
            line.watching(),
        ):
            attempts, looking = _watched(_attempts(line, job, local), job)
            try:
                with looking:
                    _work(line, transport, job, attempts)
            finally:
                attempts.close()
    except ProtocolError:
        raise
    except ExperimenterError as error:
        report_unable(line, transport.place, error)
    transport.is_needed = False


def _work(line: Line, transport: Transport, job: Briefing, attempts: Attempts) -> None:
    if job.lanes is None:
        work(line, transport.place, attempts)
        return
    from ..mpi.lanes import work_in_lanes

    work_in_lanes(line, transport, attempts, job.lanes)


def _watched(
    attempts: Attempts, job: Briefing
) -> tuple[Attempts, AbstractContextManager[None]]:
    """Show where this rank is when a trial is overdue that nothing can stop."""
    if job.trial_timeout is None or job.isolate:
        return attempts, nullcontext()
    from ..trial.timed import Watched

    limit = job.trial_timeout
    watched = Watched(attempts, limit, lambda i: trail.tell(f"trial {i} is overdue"))
    return watched, watched.looking()


def _attempts(line: Line, job: Briefing, local: Experiment | None) -> Attempts:
    """Return what runs the trials: children of this process, or it itself."""
    if job.isolate:
        from ..isolation.children import ChildProcesses

        if local is not None:  # else the script's own code runs only in the children
            _experiment(job, local)
        return ChildProcesses(job, local).start(line, line)
    experiment = _experiment(job, local)
    function, store = prepare(experiment, job.include)
    arrays = SharedArrays(job.arrays_folder, job.lock_token, line)
    context = Context(
        job.name, line, arrays, line, store, allow_pickle=job.allow_pickle
    )
    return InProcess(experiment, function, context)


def _experiment(job: Briefing, local: Experiment | None) -> Experiment:
    """Return this rank's own experiment, with rank 0's id and configuration."""
    if local is None:
        from ..trial.briefing import experiment_of  # not where a script made its own

        local = experiment_of(job)
    if local.name != job.name:
        msg = (
            f"this rank's script executes experiment '{local.name}' while rank 0 "
            f"executes '{job.name}': call execute() on every rank in the same way"
        )
        raise ScriptError(msg)
    job.tell(local)
    return local
