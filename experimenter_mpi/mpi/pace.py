"""How many trials one message should carry, learnt from how long they take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .messages import HOLD_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..ledger import Outcome

BATCHES_HELD = 2
# A batch should take a few round trips' time, and never long enough to be missed.
BATCH_SECONDS = 0.01
# Shorter batches are worth a next one in advance: a round trip takes up to 1 ms.
SHORT_SECONDS = 0.1
LARGEST_BATCH = 1000


class Pace:
    """How long trials take, and how many of them one message should carry."""

    def __init__(self, batch_size: int | None) -> None:
        self._fixed = batch_size
        self._duration: float | None = None

    def learn(self, outcomes: Sequence[Outcome]) -> None:
        """Follow the trials' durations; a longer one counts at once."""
        durations = [outcome.duration for outcome in outcomes]
        if not durations:
            return
        longest, mean = max(durations), sum(durations) / len(durations)
        if self._duration is None or longest > self._duration:
            self._duration = longest
        else:
            self._duration += (mean - self._duration) / 8

    def size(self, left: int, workers: int) -> int:
        """Give short trials by the hundred, long ones one by one, the last finely."""
        if self._fixed is not None:
            return self._fixed
        if self._duration is None:
            return 1
        enough = int(BATCH_SECONDS / max(self._duration, 1e-9))
        fair = left // (2 * BATCHES_HELD * max(workers, 1))
        return max(1, min(enough, fair, LARGEST_BATCH))

    @property
    def reports_singly(self) -> bool:
        """Whether each trial is reported as it ends: then the next is what runs."""
        return self._duration is not None and self._duration >= HOLD_SECONDS

    def expected(self, trials: int) -> float | None:
        """Give how many seconds so many trials take, None before any was run."""
        return None if self._duration is None else trials * self._duration

    def is_short(self, trials: int) -> bool:
        """Whether a round trip is worth saving, for a batch of so many trials."""
        return self._duration is not None and trials * self._duration < SHORT_SECONDS
