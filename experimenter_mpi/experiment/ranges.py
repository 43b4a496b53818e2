"""Sets of whole numbers as ascending ranges: of trials that follow one another."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Numbers:
    """An immutable set of numbers from 0, kept as ranges: a million may take one.

    ``pieces`` ascend, none is empty, and none touches the next. ``ranges[k]`` is the
    k-th number of them all, and ``size`` how many there are.
    """

    __slots__ = ("_before", "pieces", "size")

    def __init__(self, pieces: Iterable[range] = ()) -> None:
        """Take ascending pieces of step 1, which may touch and may be empty."""
        self.pieces = tuple(_joined(pieces))
        # How many numbers come before each piece.
        self._before = []
        self.size = 0
        for piece in self.pieces:
            self._before.append(self.size)
            self.size += len(piece)

    @classmethod
    def of(cls, numbers: Iterable[int]) -> Numbers:
        """Return the ranges of ascending numbers."""
        return cls(range(number, number + 1) for number in numbers)

    def __getitem__(self, place: int) -> int:
        piece = _last_at_most(self._before, place)
        return self.pieces[piece][place - self._before[piece]]

    def __iter__(self) -> Iterator[int]:
        return (number for piece in self.pieces for number in piece)

    def __contains__(self, number: int) -> bool:
        if not self.pieces or number < self.pieces[0].start:
            return False
        return number in self.pieces[_last_at_most(self.pieces, number, _start)]

    def __len__(self) -> int:
        return self.size

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Numbers):
            return NotImplemented
        return self.pieces == other.pieces

    def __hash__(self) -> int:
        return hash(self.pieces)

    def __repr__(self) -> str:
        return f"Numbers({list(self.pieces)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Numbers, (self.pieces,)

    def __and__(self, other: Numbers) -> Numbers:
        return Numbers(common(iter(self.pieces), iter(other.pieces)))

    def __sub__(self, other: Numbers) -> Numbers:
        return Numbers(_left(self.pieces, other.pieces))

    def __or__(self, other: Numbers) -> Numbers:
        pieces = sorted((*self.pieces, *other.pieces), key=_start)
        return Numbers(_left_to_right(pieces))

    def between(self, start: int, stop: int) -> Iterator[int]:
        """Yield the numbers from ``start`` on that are below ``stop``."""
        first = _last_at_most(self.pieces, start, _start) if self.pieces else 0
        for piece in islice(self.pieces, first, None):
            if piece.start >= stop:
                return
            yield from range(max(piece.start, start), min(piece.stop, stop))


def _start(piece: range) -> int:
    return piece.start


def _last_at_most(ascending: Any, value: int, key: Any = int) -> int:
    """Return the index of the last entry that is not above ``value``."""
    low, high = 0, len(ascending)
    while high - low > 1:  # ``bisect`` would be one more file for workers to read
        middle = (low + high) // 2
        if key(ascending[middle]) <= value:
            low = middle
        else:
            high = middle
    return low


def _joined(pieces: Iterable[range]) -> Iterator[range]:
    """Join pieces that touch, and leave out empty ones."""
    start = stop = 0
    for piece in pieces:
        if not piece:
            continue
        if piece.start == stop and stop > start:
            stop = piece.stop
            continue
        if stop > start:
            yield range(start, stop)
        start, stop = piece.start, piece.stop
    if stop > start:
        yield range(start, stop)


def _left_to_right(pieces: Iterable[range]) -> Iterator[range]:
    """Cut what an earlier one of ascending pieces has already."""
    reached = 0
    for piece in pieces:
        if piece.stop > reached:
            yield range(max(piece.start, reached), piece.stop)
            reached = piece.stop


def common(ours: Iterator[range], theirs: Iterator[range]) -> Iterator[range]:
    """Yield what ascending ranges have in common with others."""
    one, other = next(ours, None), next(theirs, None)
    while one is not None and other is not None:
        start, stop = max(one.start, other.start), min(one.stop, other.stop)
        if start < stop:
            yield range(start, stop)
        if one.stop <= other.stop:
            one = next(ours, None)
        else:
            other = next(theirs, None)


def _left(ours: tuple[range, ...], theirs: tuple[range, ...]) -> Iterator[range]:
    j = 0
    for piece in ours:
        start = piece.start
        while j < len(theirs) and theirs[j].start < piece.stop:
            yield range(start, theirs[j].start)
            start = max(start, theirs[j].stop)
            if theirs[j].stop > piece.stop:
                break  # which may cut the next piece too
            j += 1
        yield range(start, piece.stop)
