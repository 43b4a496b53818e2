"""The port of MultithreadedMode: its workers are threads of this process."""

from __future__ import annotations

import os
from contextlib import closing, suppress
from math import inf
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from ..coordination import messages as m
from ..coordination.coordinator import coordinate
from ..coordination.worker import Line, work
from ..errors import OutsideTrialError
from ..mpi.executors import thread_pool
from ..trial.outcome import Place
from .local import LocalTrials, run_is_over

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    from ..coordination.drain import Drain
    from ..coordination.sweep import Sweep
    from ..trial.attempt import Attempts

Arrivals = SimpleQueue[tuple[int, m.Message | BaseException]]


def run_on_threads(
    sweep: Sweep, threads: int, say_busy: Callable[[bool], object]
) -> None:
    """Run the sweep's trials on so many threads; see ``MultithreadedMode.run``."""
    trials = LocalTrials(sweep)
    port = ThreadPort(threads, trials)
    pools: list[Executor] = []
    say_busy(True)
    try:
        lines = [ThreadLine(each, sweep.drain) for each in port.connections.values()]
        attempts = [trials.attempts(line, line) for line in lines]
        # One thread each: mpi4py's pool of several may start more than it was told to.
        pools += (thread_pool(1) for _ in lines)
        for number, pool in enumerate(pools):
            future = pool.submit(_work, lines[number], attempts[number])
            future.add_done_callback(port.ended)
        error = coordinate(port, sweep)
    finally:
        port.close()
        busy = trials.close()
        for pool in pools:
            pool.shutdown(wait=not busy)
        say_busy(busy)
    if error is not None:
        raise error


def _work(line: Line, attempts: Attempts) -> None:
    with suppress(OutsideTrialError), closing(line):  # the run was interrupted
        work(line, Place(0, os.uname().nodename), attempts)


class ThreadPort:
    """Implements ``Port``; ``connections`` are the threads' ends, by their numbers."""

    survives_deaths = False

    def __init__(self, threads: int, trials: LocalTrials) -> None:
        self._trials = trials
        self._arrivals: Arrivals = SimpleQueue()
        self.connections = {
            number: ThreadConnection(number, self._arrivals)
            for number in range(1, threads + 1)
        }

    @property
    def workers(self) -> list[int]:
        return list(self.connections)

    def poll(self) -> tuple[int, m.Message] | None:
        return None if self._arrivals.empty() else self.receive()

    def receive(
        self,
        timeout: float | None = None,
        wake: Callable[[], bool] = lambda: False,  # noqa: ARG002 - wakes by itself
    ) -> tuple[int, m.Message] | None:
        """Wait for a message.

        Raises:
            BaseException: a thread has ended by it, which is a bug of this package.
        """
        try:
            worker, message = self._arrivals.get(timeout=timeout)
        except Empty:
            return None
        if isinstance(message, BaseException):
            raise message
        return worker, message

    def send(self, worker: int, message: m.Message) -> None:
        self.connections[worker].orders.put(message)

    def deaths(self) -> list[int]:
        return []

    def exception_of(self, index: int) -> BaseException | None:
        return self._trials.exceptions.get(index)

    def ended(self, future: Future[None]) -> None:
        """Take note of a thread that has ended."""
        error = future.exception()
        if error is not None:
            self._arrivals.put((0, error))

    def close(self) -> None:
        """End threads that wait for something, now or later."""
        for each in self.connections.values():
            each.close()


class ThreadLine(Line):
    """A thread's line, which need not be told of a drain of its own process."""

    keeps_trail = False

    def __init__(self, connection: ThreadConnection, drain: Drain) -> None:
        super().__init__(connection)
        self._drain = drain

    def requested(self) -> bool:
        return self._drain.requested() or super().requested()

    def _looked(self) -> bool:
        return self._drain.requested() or super()._looked()

    def time_left(self) -> float | None:
        return self._drain.time_left()


class ThreadConnection:
    """Implements ``Connection``: a thread's end."""

    serves_threads = True  # a trial may have threads of its own
    survives_deaths = False
    frame_bytes = inf

    def __init__(self, number: int, arrivals: Arrivals) -> None:
        self._number = number
        self._arrivals = arrivals
        self.orders: SimpleQueue[m.Message | None] = SimpleQueue()

    def send(self, _rank: int, message: m.Message) -> None:
        self._arrivals.put((self._number, message))

    def poll(self) -> tuple[int, m.Message] | None:
        if self.orders.empty():
            return None
        message = self.orders.get()
        if message is None:
            self.orders.put(None)
            return None
        return 0, message

    def receive(self) -> tuple[int, m.Message]:
        """Wait for a message.

        Raises:
            OutsideTrialError: none comes any more, since the run was interrupted.
        """
        message = self.orders.get()
        if message is None:
            self.orders.put(None)
            raise run_is_over()
        return 0, message

    def close(self) -> None:
        self.orders.put(m.StopWork("the run has ended", 0.0))
        self.orders.put(None)
