"""How many trials one message should carry, learnt from how long they take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .messages import HOLD_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..trial.outcome import Outcome

BATCHES_HELD = 2
# A batch should take a few round trips' time, and never long enough to be missed.
BATCH_SECONDS = 0.01
# Shorter batches are worth a next one in advance: a round trip takes up to 1 ms.
SHORT_SECONDS = 0.1
LARGEST_BATCH = 1000
# How much of what was learnt each report leaves: of durations, and of the longest.
KEPT = 15 / 16
LONGEST_KEPT = 255 / 256


class Pace:
    """How long trials take, and how many of them one message should carry."""

    def __init__(self, batch_size: int | None) -> None:
        self._fixed = batch_size
        # Of the last reports; each counts by its trials, so that neither the short
        # ones nor the long ones of a mixture seem more than they are.
        self._mean: float | None = None
        self._trials = 0.0
        self._longest = 0.0

    def learn(self, outcomes: Sequence[Outcome]) -> None:
        """Follow the trials' durations; what is new among them counts at once."""
        if not outcomes:
            return
        durations = [outcome.duration for outcome in outcomes]
        count, longest = len(durations), max(durations)
        if self._mean is None or longest > 2 * self._longest:  # the first of many?
            self._mean, self._trials = longest, 1.0
        else:
            self._trials = self._trials * KEPT + count
            excess = sum(durations) / count - self._mean
            self._mean += excess * count / self._trials
        self._longest = max(longest, self._longest * LONGEST_KEPT)

    def size(self, left: int, workers: int) -> int:
        """Return how many trials to assign: hundreds of short ones, or one long one."""
        if self._fixed is not None:
            return self._fixed
        if self._mean is None:
            return 1
        enough = int(BATCH_SECONDS / max(self._mean, 1e-9))
        fair = left // (2 * BATCHES_HELD * max(workers, 1))
        return max(1, min(enough, fair, LARGEST_BATCH))

    @property
    def reports_singly(self) -> bool:
        """Whether each trial is reported as it ends: then the next is what runs."""
        return self._mean is not None and self._mean >= HOLD_SECONDS

    def expected(self, trials: int) -> float | None:
        """Return how many seconds so many trials take, None before any was run."""
        return None if self._mean is None else trials * self._mean

    def is_short(self, trials: int) -> bool:
        """Whether a round trip is worth saving, for a batch of so many trials."""
        return self._mean is not None and trials * self._mean < SHORT_SECONDS

    def is_tail(self, left: int, workers: int) -> bool:
        """Whether what is left may end before a long trial that begins now.

        Then whatever waits behind one would be waited for. Not where trials are so
        short that a round trip for each would cost as much.
        """
        if self._mean is None or self._mean < BATCH_SECONDS:
            return False
        return left * self._mean < workers * self._longest
