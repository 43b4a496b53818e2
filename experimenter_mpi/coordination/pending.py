"""The trials that are still to be handed out, as ranges of their indices."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Pool:
    """Trial indices still to hand out, as ranges: a million take no memory."""

    def __init__(self, ranges: Iterable[range]) -> None:
        self._ranges = deque(piece for piece in ranges if piece)
        self.size = sum(map(len, self._ranges))

    def take(self, count: int) -> tuple[range, ...]:
        """Take up to ``count`` indices from the front."""
        taken = []
        while count > 0 and self._ranges:
            first = self._ranges.popleft()
            if len(first) > count:
                self._ranges.appendleft(first[count:])
                first = first[:count]
            taken.append(first)
            count -= len(first)
            self.size -= len(first)
        return tuple(taken)

    def put_back(self, indices: Sequence[int]) -> None:
        """Put indices back to the front, to be handed out next."""
        for index in reversed(indices):
            self._ranges.appendleft(range(index, index + 1))
        self.size += len(indices)


def taken_out(
    ranges: Iterable[range], indices: Iterable[int]
) -> tuple[list[range], list[int]]:
    """Take indices out of ranges: give what is left, and those found, ascending."""
    wanted = sorted(indices)
    left, found = [], []
    for piece in ranges:
        rest = piece
        first, last = bisect_left(wanted, piece.start), bisect_left(wanted, piece.stop)
        for index in wanted[first:last]:
            found.append(index)
            left.append(range(rest.start, index))
            rest = range(index + 1, rest.stop)
        left.append(rest)
    return [piece for piece in left if piece], sorted(found)
