"""The port of SerialMode: its worker is the thread that runs the loop; no MPI."""

from __future__ import annotations

import os
import time
from _thread import allocate_lock
from collections import deque
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from ..coordination import messages as m
from ..coordination import trail
from ..coordination.coordinator import Coordinator
from ..coordination.questions import Questions
from ..errors import rebuilt
from ..trial.outcome import Place, Status
from ..trial.signals import deferred
from ..trial.timed import Watched, notice
from .local import LocalTrials

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from ..coordination.sweep import Sweep
    from ..trial.attempt import Attempts
    from ..trial.outcome import Outcome

# The number of the only worker.
THIS = 1


def run_serially(sweep: Sweep) -> None:
    """Run the sweep's trials in this thread.

    Raises:
        BaseException: what a trial raised, if the sweep is to raise errors.
    """
    trials = LocalTrials(sweep)
    place = Place(0, os.uname().nodename)
    port = InlinePort(sweep, trials, place)
    port.loop = Coordinator(port, sweep)
    try:
        port.attempts, looking = _watched(
            sweep, trials.attempts(port, sweep.drain), place
        )
        with looking, port.loop.commits.in_background(port.deliver):
            error = port.loop.run()
    finally:
        trials.close()
    if error is not None:
        raise error


def _watched(
    sweep: Sweep, attempts: Attempts, place: Place
) -> tuple[Attempts, AbstractContextManager[None]]:
    """Report overdue trials while they run."""
    limit = sweep.trial_timeout
    if limit is None:
        return attempts, nullcontext()

    def say(index: int) -> None:
        sweep.note(notice(index, place, limit))
        trail.tell(f"trial {index} is overdue")

    watched = Watched(attempts, limit, say)
    return watched, watched.looking()


class InlinePort(Questions):
    """Implements ``Port``: ``attempts`` run when the loop asks for messages.

    The ``loop`` waits for them meanwhile. So it answers what they ask in between, and
    ``deliver`` gives it outcomes that would wait for a long trial.
    """

    survives_deaths = False
    loop: Coordinator
    attempts: Attempts

    def __init__(self, sweep: Sweep, trials: LocalTrials, place: Place) -> None:
        self._drain = sweep.drain
        # A child can be killed: no reason to end this process.
        self._in_process = sweep.isolation is None
        self._trials = trials
        self._arrivals: deque[m.Message] = deque([m.Ready(place)])
        self._given: deque[int] = deque()
        self._held: list[Outcome] = []
        self._guard = allocate_lock()

    @property
    def workers(self) -> list[int]:
        return [THIS]

    def poll(self) -> tuple[int, m.Message] | None:
        """Return what was to be said, or the outcomes of trials that are run now."""
        if self._arrivals:
            return THIS, self._arrivals.popleft()
        try:
            self._run_some()
        except BaseException:
            self.deliver()
            raise
        with self._guard:
            held, self._held = self._held, []
        return (THIS, m.Finished(tuple(held))) if held else None

    def receive(
        self,
        timeout: float | None = None,  # noqa: ARG002 - there is nobody to wait for
        wake: Callable[[], bool] = lambda: False,  # noqa: ARG002
    ) -> tuple[int, m.Message] | None:
        return self.poll()

    def _run_some(self) -> None:
        enough_at = time.monotonic() + m.HOLD_SECONDS
        with trail.runner(self.attempts) as run:
            while self._given and not self._drain.requested():
                self._drain.in_trial = self._in_process
                outcome, _ = run(self._given.popleft())
                self._drain.in_trial = False
                with self._guard:
                    self._held.append(outcome)
                if outcome.status == Status.FAILED or time.monotonic() >= enough_at:
                    return  # the loop may have no more run after a failure

    def deliver(self) -> None:
        """Pass what has ended to the loop; also called by another thread."""
        with self._guard:
            held, self._held = self._held, []
            if held:
                self.loop.take(THIS, m.Finished(tuple(held)))

    def send(self, _worker: int, message: m.Message) -> None:
        match message:
            case m.Assign(ranges):
                self._given += m.indices_of(ranges)
            case m.StopWork():
                self._given.clear()
                self._arrivals.append(m.WorkStopped())

    def deaths(self) -> list[int]:
        return []

    def exception_of(self, index: int) -> BaseException | None:
        return self._trials.exceptions.get(index)

    def ask(self, question: m.Question, expected: Any) -> Any:  # noqa: ARG002
        """Ask the loop and return its answer; threads of a trial ask one at a time."""
        with deferred():
            self.deliver()
            with self._guard:
                answer = self.loop.reply(THIS, question)
        if isinstance(answer, m.Refused):
            raise rebuilt(answer.error, answer.message)
        return answer
