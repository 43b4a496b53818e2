"""Turn signals into a drain, and end it when running trials have had their time."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ..coordination import trail
from ..exit_codes import EXIT_STOPPED
from ..output import say_at_once
from ..trial.signals import SIGNALS, Handlers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from ..coordination.drain import Drain

LOOK_SECONDS = 0.1
# Two that come so close are one: a terminal and a launcher both send it.
SAME_SECONDS = 0.25
# How long an interrupted trial has to heed it, before the process ends with it.
HEED_SECONDS = 0.4
DEBUGGERS = ("pdb", "bdb")


@contextmanager
def draining_on_signals(
    drain: Drain,
    notice: Callable[[str, float | None], None] = lambda _reason, _seconds: None,
    *,
    bounded: bool = False,
    may_end_process: bool = True,
) -> Iterator[None]:
    """Turn signals into a drain; a second SIGINT raises KeyboardInterrupt at once.

    When ``bounded`` that also comes by itself after the grace period, and a trial that
    does not heed it ends with the process, if it ``may_end_process``. ``notice`` is
    called with the reason and the seconds left (None: as many as it takes), maybe by a
    signal handler. Only the main thread can have handlers: elsewhere nothing is
    installed.
    """
    notice_once = _StopNotice(drain, notice, bounded=bounded)
    listener = _SignalListener(drain, notice_once)
    if bounded:
        listener.watch = _Watchdog(
            drain, notice_once, listener.look, may_end_process=may_end_process
        )
    unheeded = listener.unheeded
    handlers = Handlers(listener.on_signal, unheeded.listen, unheeded.end)
    with suppress(ValueError):  # not the main thread
        handlers.install()
        unheeded.begin()
    try:
        yield
    finally:
        if listener.watch is not None:
            listener.watch.end()
        unheeded.end()
        handlers.remove()


class _SignalListener:
    """Hears signals: in Python's handlers, or, where these cannot run, in ``look``."""

    def __init__(self, drain: Drain, notice_once: _StopNotice) -> None:
        self._drain = drain
        self._told = notice_once
        self._first_at = 0.0
        self.unheeded = _Unheeded()
        self.watch: _Watchdog | None = None

    def on_signal(self, number: int, _frame: Any) -> None:
        if self.unheeded.was_taken(number) and not self._has_interrupted():
            return
        if self.watch is not None and self.watch.is_over():
            return  # it came in the very moment in which all was done
        if self._wants_an_end(number):
            raise KeyboardInterrupt

    def look(self) -> bool:
        """Heed what no handler has, and say whether all is to stop at once."""
        return any(self._wants_an_end(number) for number in self.unheeded.take())

    def _wants_an_end(self, number: int) -> bool:
        """Begin to drain; a second SIGINT wants more."""
        if self._drain.reason is None:
            self._first_at = time.monotonic()
            self._drain.request(signal.Signals(number).name)
            self._told.once()
            return False
        return number == signal.SIGINT and not self._is_same(time.monotonic())

    def _is_same(self, now: float) -> bool:
        return not self._has_interrupted() and now - self._first_at < SAME_SECONDS

    def _has_interrupted(self) -> bool:
        return self.watch is not None and self.watch.has_interrupted


class _StopNotice:
    """Tells people once why the run drains, and how long its trials have."""

    def __init__(
        self,
        drain: Drain,
        notice: Callable[[str, float | None], None],
        *,
        bounded: bool,
    ) -> None:
        self._drain = drain
        self._notice = notice
        self._bounded = bounded
        self._done = False

    def once(self) -> None:
        left = self._drain.time_left()
        if not self._done and left is not None:
            self._done = True
            self._notice(self._drain.reason or "", left if self._bounded else None)


class _Unheeded:
    """Signals that Python's handlers have not heeded.

    They run between two instructions of the main thread, which may be inside a C
    library for hours. What ``set_wakeup_fd`` writes is there at once.
    """

    def __init__(self) -> None:
        self._pipe: tuple[int, int] | None = None
        self._waiting: list[int] = []
        self._heeded = False
        self._taken: set[int] = set()

    def begin(self) -> None:
        """Write signals to a pipe, unless somebody else receives them already.

        Raises:
            ValueError: this is not the main thread.
        """
        pipe = os.pipe()
        for descriptor in pipe:
            os.set_blocking(descriptor, False)
        self._pipe = pipe
        self.listen()

    def listen(self) -> None:
        """Write signals to the pipe, unless somebody else receives them already.

        A trial's event loop that has ended has left them to nobody.
        """
        if self._pipe is None:
            return
        before = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        if before not in (-1, self._pipe[1]):  # an event loop that still runs
            signal.set_wakeup_fd(before)

    def end(self) -> None:
        if self._pipe is None:
            return
        now = signal.set_wakeup_fd(-1)
        if now not in (-1, self._pipe[1]):  # a trial's event loop
            signal.set_wakeup_fd(now)
        for descriptor in self._pipe:
            os.close(descriptor)
        self._pipe = None

    def was_taken(self, number: int) -> bool:
        """Whether a handler comes too late; else it is known to have come."""
        if number in self._taken:
            self._taken.discard(number)
            return True
        self._heeded = True
        return False

    def take(self) -> list[int]:
        """Return what was there the last time already, and no handler has run since."""
        late, self._waiting = self._waiting, self._arrived()
        if self._heeded:
            self._heeded, self._waiting = False, []
            return []
        self._taken.update(late)
        return late

    def _arrived(self) -> list[int]:
        try:
            written = os.read(self._pipe[0], 1024) if self._pipe else b""
        except BlockingIOError:
            return []
        return [number for number in SIGNALS if number in written]


class _Watchdog:
    """Interrupts the main thread when running trials have had their time.

    ``look`` is called now and then, and says whether they are to have no more of it.
    """

    def __init__(
        self,
        drain: Drain,
        notice_once: _StopNotice,
        look: Callable[[], bool],
        *,
        may_end_process: bool,
    ) -> None:
        self._look = look
        self._drain = drain
        self._may_end_process = may_end_process
        self._told = notice_once
        self.has_interrupted = False
        self._over = threading.Event()
        self._thread = threading.Thread(
            target=self._watch, name="experimenter_mpi interruption", daemon=True
        )
        self._thread.start()

    def is_over(self) -> bool:
        return self._over.is_set()

    def end(self) -> None:
        """Stop: no interruption comes after this."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._look() and not self._drain.is_over():
            if self._drain.requested():
                self._told.once()
            if self._over.wait(LOOK_SECONDS):
                return
        if _is_debugged():  # somebody looks at a trial, and takes all the time
            return
        if self._drain.is_over() and self._drain.reason != "SIGINT":
            trail.tell("trials still run at the end of the grace period")
        self._interrupt()
        while not self._over.wait(HEED_SECONDS):
            if self._drain.in_trial and self._may_end_process:
                _end_process()

    def _interrupt(self) -> None:
        """Press Ctrl-C once more, as a person would."""
        self.has_interrupted = True
        main = threading.main_thread().ident
        if main is not None:
            signal.pthread_kill(main, signal.SIGINT)


def _is_debugged() -> bool:
    """Whether a trial stands in pdb, or in another debugger that is made of it.

    That pdb is loaded says nothing: IPython loads it, and so does ``doctest``.
    """
    for frame in sys._current_frames().values():  # noqa: SLF001 - its only way
        above: FrameType | None = frame
        while above is not None:
            if above.f_globals.get("__name__") in DEBUGGERS:
                return True
            above = above.f_back
    return False


def _end_process() -> None:
    """End what nothing interrupts; what was finished is committed by now."""
    say_at_once(
        "experimenter_mpi: A trial ignored the stop request and was abandoned. Rerun "
        "the same command to continue."
    )
    os._exit(EXIT_STOPPED)
