"""When a run should stop early: a signal, a time limit, a failure, a request.

Draining means: no new trials, running ones may finish or save a snapshot and step
back, everything received is committed.
"""

from __future__ import annotations

import signal
import time

_NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")
SIGNALS = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]


class Drain:
    """Whether, and why, this run should take no new trials.

    ``time_limit`` is in seconds from now.
    """

    def __init__(self, time_limit: float | None = None) -> None:
        self.reason: str | None = None
        # Whether a trial runs on the main thread, which it may hold for ever.
        self.in_trial = False
        self._deadline = None if time_limit is None else time.monotonic() + time_limit

    def request(self, reason: str) -> None:
        """Ask for the drain; the first reason stays."""
        if self.reason is None:
            self.reason = reason

    def requested(self) -> bool:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self.request("the time limit")
        return self.reason is not None

    def time_left(self) -> float | None:
        """Seconds until the time limit, never negative; None without one."""
        if self._deadline is None:
            return None
        return max(0.0, self._deadline - time.monotonic())
