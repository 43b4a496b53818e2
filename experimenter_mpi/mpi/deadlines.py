"""Which ranks' trials are overdue, by rank 0's own clock; when to wait no longer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .dispatch import Dispatcher, Worker

# How often rank 0 looks at the clock for its workers.
LOOK_SECONDS = 0.25
# How long overdue trials may still come back when the run waits for nothing else.
GRACE_SECONDS = 10.0


class Deadlines:
    """Watches trials that may take ``limit`` seconds; None watches nothing.

    Rank 0 sees a trial begin a little late, so that none is overdue too early.
    """

    def __init__(self, limit: float | None) -> None:
        self._limit = limit
        self._next_look = float("-inf")
        self._began: dict[int, tuple[int, float]] = {}
        self._stuck_since: float | None = None

    def look(self, workers: Mapping[int, Worker]) -> dict[int, float]:
        """Give the ranks whose trials are overdue now, and for how long they ran."""
        now = time.monotonic()
        if self._limit is None or now < self._next_look:
            return {}
        self._next_look = now + LOOK_SECONDS
        overdue = {}
        for rank, worker in workers.items():
            index = worker.current
            if index is None or worker.overdue:
                continue
            known, since = self._began.get(rank, (None, now))
            if known != index:
                self._began[rank] = index, now
            elif now - since > self._limit:
                overdue[rank] = now - since
        return overdue

    def passed(self, dispatcher: Dispatcher) -> bool:
        """Whether to end the run without the ranks that are overdue.

        Soon if they alone keep it from its end. Where other trials are left, but no
        rank to run them, the late ones are given their whole time once more.
        """
        if self._limit is None or not dispatcher.waits_for_overdue:
            self._stuck_since = None
            return False
        now = time.monotonic()
        if self._stuck_since is None:
            self._stuck_since = now
        hopeless = dispatcher.draining or not dispatcher.left
        patience = GRACE_SECONDS if hopeless else max(GRACE_SECONDS, self._limit)
        return now - self._stuck_since >= patience
