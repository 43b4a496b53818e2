"""Trials that ranks died of, perhaps: counted, run one by one, failed in the end."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING

from ..trial.outcome import FATAL_DEATHS
from .pending import taken_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Suspects:
    """The trials during which a rank has died, or perhaps during one of several.

    Each goes out by itself, so that the next death says for certain whose it is.
    ``deaths`` is how often that happened to which trial in earlier runs. ``alone``
    means that the whole job dies with a rank: then most trials that ran at a death are
    innocent, and two deaths make a suspect. It is run after all others, and while
    nothing else runs.
    """

    def __init__(self, deaths: Mapping[int, int], *, alone: bool) -> None:
        least = FATAL_DEATHS if alone else 1
        self._deaths = {i: count for i, count in deaths.items() if count >= least}
        self._sorted = sorted(self._deaths)
        self._waiting: deque[int] = deque()
        self.alone = alone

    def claim(self, piece: range) -> list[range]:
        """Take on those in a range, and return the others."""
        first = bisect_left(self._sorted, piece.start)
        mine = self._sorted[first : bisect_left(self._sorted, piece.stop)]
        others, found = taken_out([piece], mine)
        self._waiting.extend(found)
        return others

    def __len__(self) -> int:
        """Return how many wait to be handed out."""
        return len(self._waiting)

    def __contains__(self, index: int) -> bool:
        return index in self._deaths

    def take(self) -> int:
        return self._waiting.popleft()

    def put_back(self, indices: Sequence[int]) -> None:
        self._waiting.extendleft(reversed(indices))

    def blame(self, indices: Iterable[int]) -> list[int]:
        """Count one more death against these; give those for which it was the last."""
        fatal = []
        for index in indices:
            self._deaths[index] = self._deaths.get(index, 0) + 1
            if self._deaths[index] >= FATAL_DEATHS:
                fatal.append(index)
        return fatal
