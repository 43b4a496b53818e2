"""Parts of a grid: which of its points there are, without a list of them.

The points of a grid are its *places*, from 0, in the order of its loops. A ``Box`` is a
product again: some indices of each axis. What remains of a grid when another grid is
taken away is a handful of boxes, however many points that are.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from .ranges import Numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .grid import Expansion


class Box(NamedTuple):
    """The product of some indices of each axis; ``lengths`` are those of the axes."""

    lengths: tuple[int, ...]
    indices: tuple[Numbers, ...]

    @property
    def size(self) -> int:
        size = 1
        for chosen in self.indices:
            size *= chosen.size
        return size

    def place(self, k: int) -> int:
        """Return the place in the grid of the box's k-th point."""
        place, weight = 0, 1
        for length, chosen in zip(
            reversed(self.lengths), reversed(self.indices), strict=True
        ):
            k, index = divmod(k, chosen.size)
            place += chosen[index] * weight
            weight *= length
        return place

    def places(self) -> Iterator[range]:
        """Yield the places of its points, ascending."""
        return flattened(self.lengths, self.indices)


def whole(lengths: Iterable[int]) -> Box:
    """Return the box that is the whole grid of axes so long."""
    lengths = tuple(lengths)
    return Box(lengths, tuple(Numbers([range(length)]) for length in lengths))


def lengths_of(expansion: Expansion) -> tuple[int, ...]:
    """Return the lengths of a grid's axes; of one that is no product, its size."""
    lengths = tuple(len(axis.values) for axis in expansion.axes)
    return (expansion.size,) if expansion.matched else lengths


def flattened(lengths: Sequence[int], indices: Sequence[Numbers]) -> Iterator[range]:
    """Yield the places of a product of indices in a grid of these axes, ascending."""
    pieces: Iterable[range] = [range(1)]
    weight = 1
    for length, chosen in zip(reversed(lengths), reversed(indices), strict=True):
        inner = list(pieces)
        if inner == [range(weight)]:  # all below is there: as many in one piece
            pieces = _scaled(chosen, weight)
        else:
            pieces = _repeated(chosen, weight, inner)
        weight *= length
    return iter(pieces)


def _scaled(chosen: Numbers, weight: int) -> list[range]:
    return [range(p.start * weight, p.stop * weight) for p in chosen.pieces]


def _repeated(chosen: Numbers, weight: int, inner: list[range]) -> Iterator[range]:
    for index in chosen:
        start = index * weight
        for piece in inner:
            yield range(start + piece.start, start + piece.stop)


def within(box: Box, indices: Sequence[Numbers]) -> Iterator[range]:
    """Yield, ascending, which of the box's points lie at these indices: their k."""
    ranks = [
        _ranks(chosen, wanted)
        for chosen, wanted in zip(box.indices, indices, strict=True)
    ]
    return flattened([chosen.size for chosen in box.indices], ranks)


def _ranks(chosen: Numbers, wanted: Numbers) -> Numbers:
    """Return the places among the chosen numbers of those that are wanted."""
    ranks, before, pieces = [], 0, iter((chosen & wanted).pieces)
    piece = next(pieces, None)
    for own in chosen.pieces:
        while piece is not None and piece.start < own.stop:
            start = before + piece.start - own.start
            ranks.append(range(start, start + len(piece)))
            piece = next(pieces, None)
        before += len(own)
    return Numbers(ranks)


def without(box: Box, indices: Sequence[Numbers]) -> Iterator[Box]:
    """Yield disjoint boxes of what is not at these indices on every axis."""
    inside = list(box.indices)
    for axis, wanted in enumerate(indices):
        outside = box.indices[axis] - wanted
        if outside:
            yield box._replace(
                indices=(*inside[:axis], outside, *box.indices[axis + 1 :])
            )
        inside[axis] = box.indices[axis] & wanted
        if not inside[axis]:
            return


class Parts:
    """Some points of a grid of ``size``, or all: disjoint boxes in their order."""

    def __init__(self, size: int, boxes: Iterable[Box]) -> None:
        self.boxes = tuple(boxes)
        self.is_whole = len(self.boxes) == 1 and self.boxes[0].size == size
        self._firsts = []
        self.size = 0
        for box in self.boxes:
            self._firsts.append(self.size)
            self.size += box.size

    def __iter__(self) -> Iterator[tuple[int, Box]]:
        """Yield each box with the first k of its points."""
        return zip(self._firsts, self.boxes, strict=True)

    def place(self, k: int) -> int:
        """Return the place in the grid of the k-th point."""
        if self.is_whole:
            return k
        for first, box in reversed([*self]):
            if first <= k < self.size:
                place: int = box.place(k - first)
                return place
        raise IndexError(k)

    def places(self) -> Iterator[range]:
        """Yield the places in the grid of all points, in their order."""
        return (piece for box in self.boxes for piece in box.places())

    def plain(self) -> dict[str, Any]:
        """Return what is stored of them."""
        return {
            "lengths": list(self.boxes[0].lengths),
            "boxes": [[_pairs(each) for each in box.indices] for box in self.boxes],
        }


def parts(size: int, stored: Any) -> Parts:
    """Return the points of a grid of so many that were stored as ``plain`` gave them.

    Raises:
        ValueError: they are none of such a grid.
    """
    try:
        lengths = tuple(stored["lengths"])
        if math.prod(lengths) != size or any(type(each) is not int for each in lengths):
            msg = f"axes of {lengths} points are stored for a grid of {size}"
            raise ValueError(msg)
        return Parts(size, [_box(lengths, each) for each in stored["boxes"]])
    except (TypeError, KeyError, AttributeError) as error:
        msg = f"it does not say which points of its grid it has ({error!r})"
        raise ValueError(msg) from error


def _box(lengths: tuple[int, ...], stored: Any) -> Box:
    pairs = zip(stored, lengths, strict=True)
    return Box(lengths, tuple(_numbers(each, length) for each, length in pairs))


def _pairs(chosen: Numbers) -> list[list[int]]:
    """Return numbers as they are stored: ``[[0, 3], [7, 8]]``."""
    return [[piece.start, piece.stop] for piece in chosen.pieces]


def _numbers(pairs: Any, length: int) -> Numbers:
    reached = 0
    pieces = []
    for start, stop in pairs:
        if type(start) is not int or type(stop) is not int:
            msg = f"{start!r} to {stop!r} is not a range of whole numbers"
            raise ValueError(msg)
        if not reached <= start < stop <= length:
            msg = f"{start} to {stop} is not a range after {reached} and up to {length}"
            raise ValueError(msg)
        pieces.append(range(start, stop))
        reached = stop
    return Numbers(pieces)
