"""When a run should stop early, and how long its running trials then have.

Draining means: no new trials, running ones may finish, or save a snapshot and step
back, everything received is committed. It begins with a signal, at the time limit, or
some time before the scheduler ends the job, and it ends after the grace period.
"""

from __future__ import annotations

import time
from math import inf
from typing import TYPE_CHECKING

from . import trail

if TYPE_CHECKING:
    from collections.abc import Callable

# How long running trials have to end once the run drains, unless it is told.
GRACE_SECONDS = 60.0
# Who presses Ctrl-C waits for the prompt, which must be back within two seconds.
INTERRUPT_SECONDS = 1.0
# Open MPI's launcher kills a quarter of a second after its SIGTERM; schedulers wait
# longer.
EXCUSED_SECONDS = 2.0
# What is left of the walltime when all must be over: the last commit, the farewells.
MARGIN_SECONDS = 5.0
# No grace period takes more than this part of the walltime.
LARGEST_PART = 0.1


class Drain:
    """Whether, and why, a run should take no new trials, and until when old ones run.

    All in seconds: ``time_limit`` after which it drains, ``grace`` for running trials
    (None: a minute, or a second after Ctrl-C), ``walltime`` until the scheduler ends
    the job.
    """

    def __init__(
        self,
        time_limit: float | None = None,
        *,
        grace: float | None = None,
        walltime: float | None = None,
    ) -> None:
        now = time.monotonic()
        self.reason: str | None = None
        # Whether a trial runs on the main thread, which it may hold forever.
        self.in_trial = False
        # Why no trial starts although the run does not drain yet.
        self.shortage: str | None = None
        self._grace = grace
        # When trials must have ended, and when the drain begins for each reason.
        self._last = inf if walltime is None else now + walltime - MARGIN_SECONDS
        self._begins = {"the time limit": inf, "the end of the job's walltime": inf}
        if time_limit is not None:
            self._begins["the time limit"] = now + time_limit
        if walltime is not None:
            part = LARGEST_PART * max(0.0, walltime)
            before = min(GRACE_SECONDS, part) if grace is None else grace
            self._begins["the end of the job's walltime"] = self._last - before
        self._ends = inf

    def request(self, reason: str, *, for_ever: bool = False) -> None:
        """Ask for the drain; the first reason stays.

        ``for_ever`` lets running trials take as long as they like.
        """
        if self.reason is None:
            grace = inf if for_ever else self.grace_after(reason)
            self._ends = min(time.monotonic() + grace, self._last)
            self.reason = reason
            # In a signal's handler, perhaps.
            text = "stop: %s; running trials have %.3g s"
            trail.decided(text, reason, grace, level=None)

    def grace_after(self, reason: str) -> float:
        """Return the seconds that running trials have when the run drains for this."""
        if self._grace is not None:
            return self._grace
        return INTERRUPT_SECONDS if reason == "SIGINT" else GRACE_SECONDS

    def requested(self) -> bool:
        """Whether the run drains, which it may have begun to by the clock."""
        if self.reason is None:
            begins, reason = min((begins, why) for why, begins in self._begins.items())
            if time.monotonic() >= begins:
                self.request(reason)
        return self.reason is not None

    def time_left(self) -> float | None:
        """Seconds until running trials are stopped, never negative; None if unknown."""
        ends = self._ends
        if self.reason is None:
            limit = self._begins["the time limit"]
            ends = min(limit + self.grace_after("the time limit"), self._last)
        return None if ends == inf else max(0.0, ends - time.monotonic())

    def runs_out(self, expected: float | None) -> bool:
        """Whether what takes ``expected`` seconds would be stopped before its end.

        That is then why the run stops, though it does not drain: what runs may end.
        """
        left = self.time_left()
        if expected is None or left is None or expected <= left:
            return False
        trail.decided(
            "start no trial: %.3g s are left, one takes %.3g s", left, expected
        )
        self.shortage = f"too little time left for trials of about {expected:.0f} s"
        return True

    def is_over(self) -> bool:
        """Whether running trials have had their time."""
        return self.requested() and time.monotonic() >= self._ends


class Excuse:
    """Keeps that a run was asked to stop, should it be killed before it has.

    ``keep`` is called with the reason once. Of SIGTERM only some time after it came:
    some launchers send it to all ranks when one has died, but nothing else.
    """

    def __init__(self, drain: Drain, keep: Callable[[str], object]) -> None:
        self._drain = drain
        self._keep = keep
        self._due: float | None = None

    def look(self) -> None:
        """Keep the reason if the run drains for one, and it is time to."""
        reason = self._drain.reason
        if reason is None:
            return
        now = time.monotonic()
        if self._due is None:
            self._due = now + (EXCUSED_SECONDS if reason == "SIGTERM" else 0.0)
        if now >= self._due:
            self._due = inf
            self._keep(reason)
