"""An experiment that two databases have, each extended in its own way, perhaps.

The trials of the second get the numbers that their points have in the first. What it
has not is added to it as further blocks.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any, NamedTuple

from ..experiment.blocks import Blocks, Grid, Table
from ..experiment.boxes import Box, Parts
from ..experiment.points import digests, essence, text
from ..experiment.ranges import Numbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class OtherAssumptionError(ValueError):
    """Two databases assume different values of a parameter."""


class Join(NamedTuple):
    """The numbers that trials of a second database have in the first.

    Those below ``alike`` keep their own, and ``numbers`` are those of the others.
    ``new`` are the blocks to be added behind the ``size`` trials of the first, each a
    part of one of the second's, which is named by its place among them.
    """

    size: int
    alike: int
    numbers: Sequence[int]
    new: list[tuple[int, Grid | Table]]

    @property
    def new_numbers(self) -> Numbers:
        added = sum(block.size for _, block in self.new)
        return Numbers([range(self.size, self.size + added)])

    @property
    def shares_nothing(self) -> bool:
        """Whether no trial of the second is one of the first."""
        return self.alike == 0 and min(self.numbers, default=0) >= self.size

    def number(self, theirs: int) -> int:
        return theirs if theirs < self.alike else self.numbers[theirs - self.alike]

    def asked(self, theirs: Numbers) -> Numbers:
        """Return the numbers here of trials that are asked for there."""
        same = theirs & Numbers([range(self.alike)])
        others = theirs - same
        return same | Numbers.of(sorted(map(self.number, others)))


def joined(ours: Blocks, theirs: Blocks, alike: int, assume: dict[str, Any]) -> Join:
    """Compare the blocks of two databases; the first ``alike`` are the same."""
    there = list(enumerate(block for _, block in theirs))
    if alike == len(ours):
        return Join(ours.size, theirs.size, (), there[alike:])
    known: dict[bytes, deque[int]] = defaultdict(deque)
    for first, block in list(ours)[alike:]:
        for number, digest in enumerate(digests(essence(block, assume)), first):
            known[digest].append(number)
    new: list[tuple[int, Grid | Table]] = []
    numbers: list[int] = []
    size = ours.size
    for place, block in there[alike:]:
        found = [
            known[digest].popleft() if known.get(digest) else None
            for digest in digests(essence(block, assume))
        ]
        part, ranks = _without(block, found)
        if part is not None:
            new.append((place, part))
        numbers += (
            size + rank if number is None else number
            for number, rank in zip(found, ranks, strict=True)
        )
        size += 0 if part is None else part.size
    before = sum(block.size for _, block in list(ours)[:alike])
    return Join(ours.size, before, numbers, new)


def _without(
    block: Grid | Table, found: list[int | None]
) -> tuple[Grid | Table | None, Iterator[int]]:
    """Return what of a block was not found, and where in that each trial is."""
    missing = [k for k, number in enumerate(found) if number is None]
    if not missing:
        return None, iter([0] * len(found))
    if isinstance(block, Table):
        part: Grid | Table = Table((block.rows[k] for k in missing), block.kind)
        order = missing
    else:
        # A part of a grid has its points in the grid's order.
        order = sorted(missing, key=block.parts.place)
        places = Numbers.of(map(block.parts.place, order))
        size = block.expansion.size
        part = Grid(block.expansion, Parts(size, [Box((size,), (places,))]))
    ranks = dict(zip(order, range(len(order)), strict=True))
    return part, (ranks.get(k, 0) for k in range(len(found)))


def assumed(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Return what both databases assume.

    Raises:
        OtherAssumptionError: they do not agree; names the parameter and both values.
    """
    for key in ours.keys() & theirs.keys():
        if text(ours[key]) != text(theirs[key]):
            msg = f"'{key}' is assumed to be {ours[key]!r} and {theirs[key]!r}"
            raise OtherAssumptionError(msg)
    return {**theirs, **ours}
