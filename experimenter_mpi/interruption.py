"""Turn signals into a drain, and a Ctrl-C into an end within two seconds.

Who presses Ctrl-C waits for the prompt, so it leaves running trials little time to step
back; what a scheduler sends leaves them theirs.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .drain import SIGNALS
from .summary import EXIT_STOPPED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .drain import Drain

# A prompt must be back within two seconds of Ctrl-C: this much for running trials to
# step back, then an interruption, then this much for it to be heeded.
INTERRUPT_SECONDS = 1.0
HEED_SECONDS = 0.4


@contextmanager
def draining_on_signals(
    drain: Drain,
    notice: Callable[[str], None] = lambda _: None,
    *,
    impatient: bool = False,
) -> Iterator[None]:
    """Turn signals into a drain; a second SIGINT raises KeyboardInterrupt at once.

    When ``impatient`` the first SIGINT is followed by a second one by itself, and a
    trial that does not heed that ends with the process. Only the main thread can have
    handlers: elsewhere nothing is installed.
    """
    impatience = _Impatience(drain) if impatient else None

    def on_signal(number: int, _frame: Any) -> None:
        if impatience is not None and impatience.is_over():
            return  # it pressed the key in the very moment in which all was done
        if drain.reason is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        if drain.reason is None:
            name = signal.Signals(number).name
            drain.request(name)
            notice(name)
            if impatience is not None and number == signal.SIGINT:
                impatience.begin()

    previous = {}
    try:
        for number in SIGNALS:
            previous[number] = signal.signal(number, on_signal)
    except ValueError:  # not the main thread
        pass
    try:
        yield
    finally:
        if impatience is not None:
            impatience.end()
        for number, handler in previous.items():
            signal.signal(number, handler)


class _Impatience:
    """Presses Ctrl-C a second time, from a thread of its own.

    It waits for the first one at a lock: a signal handler may not wait for anything,
    which setting an Event does.
    """

    def __init__(self, drain: Drain) -> None:
        self._drain = drain
        self._gate = threading.Lock()
        self._gate.acquire()
        self._begun = False
        self._over = threading.Event()
        self._thread = threading.Thread(
            target=self._watch, name="experimenter_mpi interruption", daemon=True
        )
        self._thread.start()

    def is_over(self) -> bool:
        return self._over.is_set()

    def begin(self) -> None:
        """Count from now; called once, from a signal handler."""
        self._begun = True
        self._gate.release()

    def end(self) -> None:
        """Let go: no interruption comes after this."""
        self._over.set()
        if not self._begun:
            self._gate.release()
        self._thread.join()

    def _watch(self) -> None:
        self._gate.acquire()
        if self._over.wait(INTERRUPT_SECONDS) or "pdb" in sys.modules:
            return
        main = threading.main_thread().ident
        if main is not None:
            signal.pthread_kill(main, signal.SIGINT)
        while not self._over.wait(HEED_SECONDS):
            if self._drain.in_trial:
                _end_process()


def _end_process() -> None:
    """End what nothing interrupts; what was finished is committed by now."""
    text = "experimenter_mpi: a trial did not stop, and runs again; run again to go on"
    os.write(2, f"{text}\n".encode())
    os._exit(EXIT_STOPPED)
