"""Turn signals into a drain, and end it when running trials have had their time."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .drain import SIGNALS
from .summary import EXIT_STOPPED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .drain import Drain

LOOK_SECONDS = 0.1
# Two that come so close are one: a terminal and a launcher both send it.
SAME_SECONDS = 0.25
# How long an interrupted trial has to heed it, before the process ends with it.
HEED_SECONDS = 0.4


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
    told = _Told(drain, notice, bounded=bounded)
    watch = _Watch(drain, told, may_end_process=may_end_process) if bounded else None
    first_at = 0.0

    def on_signal(number: int, _frame: Any) -> None:
        nonlocal first_at
        if watch is not None and watch.is_over():
            return  # it came in the very moment in which all was done
        if drain.reason is None:
            first_at = time.monotonic()
            drain.request(signal.Signals(number).name)
            told.once()
        elif number == signal.SIGINT and not is_same(time.monotonic()):
            raise KeyboardInterrupt

    def is_same(now: float) -> bool:
        ours = watch is not None and watch.has_interrupted
        return not ours and now - first_at < SAME_SECONDS

    previous = {}
    try:
        for number in SIGNALS:
            previous[number] = signal.signal(number, on_signal)
    except ValueError:  # not the main thread
        pass
    try:
        yield
    finally:
        if watch is not None:
            watch.end()
        for number, handler in previous.items():
            signal.signal(number, handler)


class _Told:
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


class _Watch:
    """Interrupts the main thread when running trials have had their time."""

    def __init__(self, drain: Drain, told: _Told, *, may_end_process: bool) -> None:
        self._drain = drain
        self._may_end_process = may_end_process
        self._told = told
        self.has_interrupted = False
        self._over = threading.Event()
        self._thread = threading.Thread(
            target=self._watch, name="experimenter_mpi interruption", daemon=True
        )
        self._thread.start()

    def is_over(self) -> bool:
        return self._over.is_set()

    def end(self) -> None:
        """Let go: no interruption comes after this."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._drain.is_over():
            if self._drain.requested():
                self._told.once()
            if self._over.wait(LOOK_SECONDS):
                return
        if "pdb" in sys.modules:  # somebody looks at a trial, and takes all the time
            return
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


def _end_process() -> None:
    """End what nothing interrupts; what was finished is committed by now."""
    text = "experimenter_mpi: a trial did not stop, and runs again; run again to go on"
    os.write(2, f"{text}\n".encode())
    os._exit(EXIT_STOPPED)
