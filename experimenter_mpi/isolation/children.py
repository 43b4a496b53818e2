"""Run trials in child processes, each kept from trial to trial, replaced when it dies.

However a trial ends its process, that is one failed trial.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import TYPE_CHECKING

from ..coordination.messages import Question
from ..errors import (
    ExperimenterError,
    IsolationError,
    ProtocolError,
    TrialError,
    TrialProcessError,
    TrialTimeoutError,
    rebuilt,
)
from ..trial import stacks
from ..trial.attempt import Attempt
from ..trial.briefing import origin_of, require_remakable, script_of
from ..trial.outcome import Failure, Outcome, Status
from ..trial.timed import overran
from . import child_messages as m
from .exit_status import users_frames
from .process import Child

if TYPE_CHECKING:
    from ..coordination.questions import Questions
    from ..experiment.experiment import Experiment
    from ..trial.briefing import Briefing
    from ..trial.context import StopInfo

# A process that closes its pipes is about to end, and how is worth knowing.
_ENDING_SECONDS = 1.0


class ChildProcesses:
    """Implements ``Isolation``: what the children of this rank are told.

    ``experiment`` is this rank's own, None where the job names the script.

    Raises:
        IsolationError: a child could not find the experiment's function again.
    """

    def __init__(self, job: Briefing, experiment: Experiment | None) -> None:
        if experiment is not None:
            require_remakable(experiment)
            main = origin_of(experiment, job.script)
            job = job._replace(script=job.script or script_of(experiment), main=main)
        self._job = job

    def start(
        self, services: Questions, watch: StopInfo, *, warm: bool = True
    ) -> IsolatedAttempts:
        """Start the first child, if ``warm``; others when they are needed.

        Raises:
            ExperimenterError: it cannot load the script or build the store.
        """
        attempts = IsolatedAttempts(self._job, services, watch)
        if warm:
            attempts.warm_up()
        return attempts


class IsolatedAttempts:
    """Implements ``Attempts``: a child for each trial that runs at the same time."""

    def __init__(self, job: Briefing, services: Questions, watch: StopInfo) -> None:
        self._job = job
        self._limit = job.trial_timeout
        self._services = services
        self._watch = watch
        self._idle: deque[Child] = deque()
        self._busy: set[Child] = set()
        stacks.on_quit.append(self._have_told)

    def warm_up(self) -> None:
        self._idle.append(self._new_child())

    def run(self, index: int) -> Attempt:
        started_at, start = time.time(), time.monotonic()
        try:
            child = self._child()
        except ExperimenterError as error:
            return _failed(index, error, started_at, start)
        start = time.monotonic()
        child.deadline = None if self._limit is None else start + self._limit
        try:
            ended = self._talk_to(child, index)
        except EOFError:
            failure: TrialError = _died(child)
        except ProtocolError as error:
            failure = _garbled(child, error)
        except TimeoutError:
            failure = _overran(child, self._limit or 0.0)
        except BaseException as error:
            child.kill()
            if isinstance(error, KeyboardInterrupt):
                return _put_back(index, error, started_at, start)
            raise
        else:
            self._idle.append(child)
            return Attempt(
                ended.outcome, KeyboardInterrupt() if ended.interrupted else None
            )
        return _failed(index, failure, started_at, start)

    def _have_told(self) -> None:
        """Make the children that run trials print their stacks as well."""
        for child in list(self._busy):
            child.tell()

    def close(self) -> None:
        """End all children, and what they have started. Safe to repeat.

        One that runs a trial of another thread is killed: the run was interrupted.
        """
        if self._have_told in stacks.on_quit:
            stacks.on_quit.remove(self._have_told)
        for child in list(self._busy):
            child.knock_down()
        while self._idle:
            self._idle.pop().leave()

    def _child(self) -> Child:
        """Return a child that waits for a trial, a new one if there is none.

        One may have died while it waited: that is not the fault of a trial.
        """
        while True:
            try:
                child = self._idle.pop()
            except IndexError:
                return self._new_child()
            if not child.has_ended():
                return child
            child.kill()

    def _new_child(self) -> Child:
        child = Child()
        try:
            child.wire.send(m.BeginChild(self._job, tuple(sys.argv)))
            answer = child.wire.receive()
        except EOFError:
            raise _failed_start(child, self._job) from None
        except ProtocolError as error:
            child.kill()
            raise IsolationError(str(error)) from error
        except BaseException:
            child.kill()
            raise
        if isinstance(answer, m.ChildUnable):
            child.leave()
            raise rebuilt(answer.error, answer.message)
        return child

    def _talk_to(self, child: Child, index: int) -> m.TrialEnded:
        self._busy.add(child)
        try:
            return self._talk(child, index)
        finally:
            self._busy.discard(child)

    def _talk(self, child: Child, index: int) -> m.TrialEnded:
        """Run a trial in the child, and answer its questions until it has ended."""
        child.wire.send(m.RunTrial(index))
        while True:
            match child.wire.receive():
                case m.TrialEnded() as ended:
                    return ended
                case m.FetchRunState():
                    left = self._watch.time_left()
                    child.wire.send(m.RunState(self._watch.requested(), left))
                case question if isinstance(question, Question):
                    child.wire.send(self._services.forward(question))
                case message:
                    msg = f"a process for trials sent {type(message).__name__}"
                    raise ProtocolError(msg)


def _died(child: Child) -> TrialProcessError:
    how = child.kill(_ENDING_SECONDS)
    return TrialProcessError(how, traceback=users_frames(child.told))


def _garbled(child: Child, error: ProtocolError) -> TrialProcessError:
    child.stop()
    return TrialProcessError(str(error), traceback=users_frames(child.told))


def _overran(child: Child, limit: float) -> TrialTimeoutError:
    child.stop()
    return TrialTimeoutError(overran(limit), traceback=users_frames(child.told))


def _failed_start(child: Child, job: Briefing) -> IsolationError:
    how = child.kill(_ENDING_SECONDS)
    script = job.script or job.include
    file = "the script" if script is None else script.path
    msg = f"the process for trials could not load {file} and build the store: {how}"
    return IsolationError(msg)


def _failed(
    index: int, error: ExperimenterError, started_at: float, start: float
) -> Attempt:
    kind = type(error).__name__
    stacks = error.traceback if isinstance(error, TrialError) else ""
    words = f"{stacks}\n" if stacks else ""
    failure = Failure(kind, str(error), f"{words}{kind}: {error}\n")
    duration = time.monotonic() - start
    times = started_at, started_at + duration
    return Attempt(Outcome(index, Status.FAILED, None, failure, *times, duration))


def _put_back(
    index: int, error: BaseException, started_at: float, start: float
) -> Attempt:
    duration = time.monotonic() - start
    times = started_at, started_at + duration
    return Attempt(Outcome(index, Status.PENDING, None, None, *times, duration), error)
