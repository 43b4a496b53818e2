"""Trials in rank 0's own process, or in children of it."""

from __future__ import annotations

from _thread import allocate_lock
from typing import TYPE_CHECKING

from ..errors import OutsideTrialError
from ..trial.attempt import InProcess
from ..trial.context import Context
from ..trial.functions import prepare

if TYPE_CHECKING:
    from ..coordination.questions import Questions
    from ..coordination.sweep import Sweep
    from ..trial.attempt import Attempt, Attempts
    from ..trial.context import StopInfo
    from ..trial.functions import Prepared


def run_is_over() -> OutsideTrialError:
    """Return what a trial is told that goes on after its run."""
    return OutsideTrialError(
        "the run has ended: this trial was stopped and will run again"
    )


class LocalTrials:
    """The trials of a sweep, for one worker here or for several on threads.

    ``exceptions`` are those of Ctrl-C, and what trials raised, if the sweep is to.
    """

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._prepared: Prepared | None = None
        self._made: list[Attempts] = []
        self._running: set[int] = set()
        self._guard = allocate_lock()
        self._closed = False
        self.exceptions: dict[int, BaseException] = {}

    def attempts(self, services: Questions, watch: StopInfo) -> Attempts:
        """Return what runs trials for a worker; what they ask goes to these two.

        The first one's child process is started now, the others' when they have a
        trial to run.

        Raises:
            ExperimenterError: a function is not there, or the store cannot be built.
        """
        if self._sweep.isolation is not None:
            made = self._sweep.isolation.start(services, watch, warm=not self._made)
        else:
            made = self._in_process(services, watch)
        self._made.append(made)
        return _Noting(made, self)

    def _in_process(self, services: Questions, watch: StopInfo) -> Attempts:
        sweep = self._sweep
        self._prepared = self._prepared or prepare(sweep.experiment, sweep.include)
        function, store = self._prepared
        context = Context(
            sweep.experiment.name,
            services,
            sweep.arrays,
            watch,
            store,
            allow_pickle=sweep.allow_pickle,
        )
        return InProcess(sweep.experiment, function, context)

    def close(self) -> bool:
        """Begin no more trials; whether one still runs, which nobody can stop."""
        with self._guard:
            self._closed = True
        for each in self._made:
            each.close()
        return bool(self._running) and self._sweep.isolation is None

    def began(self, index: int) -> None:
        """Take note of a trial that begins; refuse it when all is over."""
        with self._guard:
            if self._closed:
                raise run_is_over()
            self._running.add(index)

    def ended(self, index: int, exception: BaseException | None) -> None:
        """Take note of a trial that has ended."""
        self._running.discard(index)
        wanted = self._sweep.raise_errors or isinstance(exception, KeyboardInterrupt)
        if wanted and exception is not None:
            self.exceptions[index] = exception


class _Noting:
    """Implements ``Attempts`` by another one, and tells ``trials`` of each."""

    def __init__(self, attempts: Attempts, trials: LocalTrials) -> None:
        self._attempts = attempts
        self._trials = trials

    def run(self, index: int) -> Attempt:
        self._trials.began(index)
        attempt = self._attempts.run(index)
        self._trials.ended(index, attempt.exception)
        return attempt

    def close(self) -> None:
        """Leave it to ``LocalTrials.close``."""
