"""The trials that are still to be handed out, as ranges of their indices."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

# So many ranges are read ahead: of what has many gaps the rest stays where it is.
READ_AHEAD = 1_000


class Ranges:
    """Ascending ranges of trial indices that are read when they are needed.

    ``read`` begins to read them each time it is called. ``size`` is how many trials
    they have, which may become fewer: what has finished before it is read is left out.
    """

    def __init__(self, read: Callable[[], Iterable[range]], size: int) -> None:
        self._read = read
        self.size = max(0, size)

    def __iter__(self) -> Iterator[range]:
        return iter(self._read())

    def __bool__(self) -> bool:
        return any(self)


def size_of(ranges: Iterable[range]) -> int:
    """Return how many trials there are."""
    return ranges.size if isinstance(ranges, Ranges) else sum(map(len, ranges))


def among(ranges: Iterable[range], indices: Iterable[int]) -> set[int]:
    """Return those of the indices that are in ascending ranges."""
    wanted = sorted(set(indices))
    found: set[int] = set()
    for piece in ranges if wanted else ():
        if piece.start > wanted[-1]:
            break
        first = bisect_left(wanted, piece.start)
        found.update(wanted[first : bisect_left(wanted, piece.stop)])
    return found


class Pool:
    """Trial indices still to hand out; a million, or a million gaps, take no memory.

    ``claim`` is given each range that is read, and returns what is left of it.
    ``size`` is zero only if nothing is left.
    """

    def __init__(
        self,
        ranges: Ranges | Sequence[range],
        claim: Callable[[range], Iterable[range]] = lambda piece: (piece,),
    ) -> None:
        self._unread = size_of(ranges)
        self._source: Iterator[range] | None = iter(ranges)
        self._claim = claim
        self._ready: deque[range] = deque()
        self._ready_size = 0
        self.size = 0
        self._count()

    def take(self, count: int) -> tuple[range, ...]:
        """Take up to ``count`` indices from the front."""
        taken = []
        while count > 0 and self.size:
            first = self._ready.popleft()
            if len(first) > count:
                self._ready.appendleft(first[count:])
                first = first[:count]
            taken.append(first)
            count -= len(first)
            self._ready_size -= len(first)
            self._count()
        return tuple(taken)

    def put_back(self, indices: Sequence[int]) -> None:
        """Put indices back to the front, to be handed out next."""
        for index in reversed(indices):
            self._ready.appendleft(range(index, index + 1))
        self._ready_size += len(indices)
        self._count()

    def _count(self) -> None:
        while not self._ready and self._source is not None:
            self._read_on(self._source)
        self.size = self._ready_size + self._unread

    def _read_on(self, source: Iterator[range]) -> None:
        read = list(islice(source, READ_AHEAD))
        self._unread = max(0, self._unread - sum(map(len, read)))
        if len(read) < READ_AHEAD:
            self._unread, self._source = 0, None
        for piece in read:
            left = [part for part in self._claim(piece) if part]
            self._ready.extend(left)
            self._ready_size += sum(map(len, left))


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
