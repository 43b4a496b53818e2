"""Which running trials are overdue, by rank 0's own clock; when to wait no longer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# How often rank 0 looks at the clock for its workers.
LOOK_SECONDS = 0.25
# How long overdue trials may still come back when the run waits for nothing else.
GRACE_SECONDS = 10.0


class Deadlines:
    """Watches trials that may take ``limit`` seconds.

    Rank 0 sees a trial begin a little late, so that none is overdue too early.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._next_look = float("-inf")
        self._began: dict[int, tuple[int, float]] = {}
        self._stuck_since: float | None = None

    def look(self, running: Iterable[tuple[int, int]]) -> dict[int, float]:
        """Return who runs a trial for too long, and for how long by now.

        ``running`` are pairs of who runs, and which trial. It is only looked at now and
        then.
        """
        now = time.monotonic()
        if now < self._next_look:
            return {}
        self._next_look = now + LOOK_SECONDS
        before, self._began = self._began, {}
        overdue = {}
        for who, index in running:
            known, since = before.get(who, (None, now))
            self._began[who] = index, since if known == index else now
            if known == index and now - since > self._limit:
                overdue[who] = now - since
        return overdue

    def passed(self, *, stuck: bool, hopeless: bool) -> bool:
        """Whether to end the run without the trials that are overdue.

        ``stuck``: nothing else runs. If nothing else is to run either, which is
        ``hopeless``, that is soon. Else the late ones are given their time once more.
        """
        if not stuck:
            self._stuck_since = None
            return False
        now = time.monotonic()
        if self._stuck_since is None:
            self._stuck_since = now
        patience = GRACE_SECONDS if hopeless else max(GRACE_SECONDS, self._limit)
        return now - self._stuck_since >= patience
