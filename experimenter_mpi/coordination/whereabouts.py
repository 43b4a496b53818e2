"""What each worker runs now, and for how long, as far as rank 0 knows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from . import trail

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..trial.outcome import Place
    from .trail import Runs
    from .workers import Workers


class Whereabouts:
    """Keeps since when each of the workers runs its trial, for the trail to show."""

    def __init__(self, workers: Workers, places: Mapping[int, Place]) -> None:
        self._workers = workers
        self._places = places
        self._since: dict[int, tuple[int | None, float]] = {}
        trail.watch(self.now)

    def look(self, worker: int) -> None:
        """Check whether a worker runs another trial than at the last check."""
        index = self._workers[worker].current
        known = self._since.get(worker)
        if known is None or known[0] != index:
            self._since[worker] = index, time.monotonic()

    def now(self) -> Iterator[Runs]:
        """Yield rank, host, trial and seconds of all that run one; on any thread."""
        at = time.monotonic()
        for number in self._workers:
            index, since = self._since.get(number, (None, at))
            place = self._places.get(number)
            if index is not None and place is not None:
                yield *place, index, at - since
