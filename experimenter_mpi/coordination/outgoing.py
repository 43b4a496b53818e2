"""What was finished, on its way to rank 0: together, but never behind a long trial."""

from __future__ import annotations

import time
from _thread import allocate_lock, start_new_thread  # threading is two more modules
from typing import TYPE_CHECKING

from .messages import HOLD_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..trial.attempt import Attempt

# Nothing waits longer than this, though the next trial may take hours.
LATE_SECONDS = 0.1


class Outgoing:
    """Attempts that ``send`` takes in groups, in the order they were added.

    When ``watched`` a thread sends what was held for too long, while the one that
    added it is busy with another trial.
    """

    def __init__(
        self, send: Callable[[tuple[Attempt, ...]], object], *, watched: bool
    ) -> None:
        self._send = send
        self._held: list[Attempt] = []
        self._sent = 0
        self._guard = allocate_lock()
        self._work_since = time.monotonic()
        self._watched = watched
        self._gate = allocate_lock()
        self._gate.acquire()
        self._is_open = False
        self._closed = False
        if watched:
            start_new_thread(self._watch, ())

    def begin(self) -> None:
        """Begin a batch."""
        with self._guard:
            self._sent = 0
            self._work_since = time.monotonic()

    def add(self, attempt: Attempt) -> None:
        with self._guard:
            self._held.append(attempt)
            if time.monotonic() - self._work_since >= HOLD_SECONDS:
                self._flush()
            else:
                self._open_gate()

    def flush(self) -> None:
        """Send what is held."""
        with self._guard:
            self._flush()

    def take(self) -> tuple[tuple[Attempt, ...], int]:
        """End a batch: give what is held, and how many of its trials were sent."""
        with self._guard:
            held, self._held = tuple(self._held), []
            return held, self._sent

    def close(self) -> None:
        """Let the thread end; what is still held is not sent."""
        with self._guard:
            self._held = []
            self._closed = True
            self._open_gate()

    def _flush(self) -> None:
        if self._held:
            self._send(tuple(self._held))
            self._sent += len(self._held)
            self._held = []
        self._work_since = time.monotonic()

    def _open_gate(self) -> None:
        if self._watched and not self._is_open:
            self._is_open = True
            self._gate.release()

    def _watch(self) -> None:
        while not self._closed:
            self._gate.acquire()
            time.sleep(LATE_SECONDS)
            with self._guard:
                self._is_open = False
                self._flush()
