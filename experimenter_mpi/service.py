"""A worker rank's part of ``execute``, and of a whole ``run``: do what rank 0 says."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

from .attempts import InProcess
from .context import Context
from .drain import SIGNALS
from .errors import ExperimenterError, ProtocolError, ScriptError, rebuilt
from .mpi import messages as m
from .mpi.job import Job, unpack
from .mpi.worker import Line, report_unable, work
from .preparation import prepare, working_in
from .shared_arrays import SharedArrays

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .attempts import Attempts
    from .experiment import Experiment
    from .mpi.transport import Transport


def assist(transport: Transport, experiment: Experiment) -> None:
    """Work at this rank's ``experiment`` until rank 0 says it is over.

    Raises:
        ExperimenterError: what rank 0 could not begin for.
    """
    match _order(transport):
        case m.Begin(content):
            _work_at(transport, Job.unpack(content), experiment)
        case m.Dismiss(_, (name, message)):
            error = rebuilt(name, message)
            error.said_by_rank_0 = True
            raise error
        case m.Dismiss(str(experiment_id)):
            experiment.become(UUID(experiment_id), None)
        case m.Dismiss():
            msg = "rank 0 has left while this rank calls execute()"
            raise ProtocolError(msg)


def serve(transport: Transport) -> None:
    """Work at whatever rank 0 begins until it sends this rank home."""
    with outliving_signals():
        while (order := _order(transport)) != m.Dismiss():
            if isinstance(order, m.Begin):
                _work_at(transport, Job.unpack(order.job), None)


def _order(transport: Transport) -> m.Message:
    arrival = transport.receive()
    if arrival is None or not isinstance(arrival[1], (m.Begin, m.Dismiss)):
        msg = f"rank 0 sent {arrival} to a rank without an experiment"
        raise ProtocolError(msg)
    return arrival[1]


def _work_at(transport: Transport, job: Job, local: Experiment | None) -> None:
    line = Line(transport, job.time_left)
    try:
        with working_in(job.directory), outliving_signals(), line.watching():
            attempts = _attempts(line, job, local)
            try:
                _work(line, transport, job, attempts)
            finally:
                attempts.close()
    except ProtocolError:
        raise
    except ExperimenterError as error:
        report_unable(line, transport.hostname, error)


def _work(line: Line, transport: Transport, job: Job, attempts: Attempts) -> None:
    if job.lanes is None:
        work(line, transport.hostname, attempts)
        return
    from .mpi.lanes import work_in_lanes

    work_in_lanes(line, transport, attempts, job.lanes)


def _attempts(line: Line, job: Job, local: Experiment | None) -> Attempts:
    """Give what runs the trials: children of this process, or it itself."""
    if job.isolate:
        from .isolation.attempts import ChildProcesses

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


def _experiment(job: Job, local: Experiment | None) -> Experiment:
    """Give this rank's own experiment, with rank 0's id and configuration."""
    if local is None:
        from .remaking import experiment_of  # not where a script made its own

        local = experiment_of(job)
    if local.name != job.name:
        msg = (
            f"this rank's script executes experiment '{local.name}' while rank 0 "
            f"executes '{job.name}': call execute() alike on every rank"
        )
        raise ScriptError(msg)
    configuration = None if job.configuration is None else unpack(job.configuration)
    local.become(job.experiment_id, configuration)
    return local


@contextmanager
def outliving_signals() -> Iterator[None]:
    """Leave the decision to rank 0: a signal to the whole job reaches it as well."""
    previous: dict[int, Any] = {}
    try:
        for number in SIGNALS:
            previous[number] = signal.signal(number, lambda _number, _frame: None)
    except ValueError:  # not the main thread
        pass
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
