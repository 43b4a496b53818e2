"""What changes when an experiment is asked for with another configuration.

The points that are not there yet become one new block, a part of the new grid. What is
there keeps its number, whether it is asked for or not.

Equal points are told apart by their ordinal among equals, as repetitions are. The
ones asked for are the first that there are, so that five more repetitions are five
trials.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from . import boxes
from .assumption import derived_paths, essential
from .blocks import Grid, Table
from .factors import Factors, NotComparableError, Overlap, cannot_meet
from .points import digests, essence
from .ranges import Numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .blocks import Blocks
    from .boxes import Box
    from .grid import Expansion, Path

# More boxes than these are compared point by point.
_MOST_BOXES = 2_000


class Extension(NamedTuple):
    """What is asked for: trials that there are, and the ``new`` block, if any.

    ``kept`` are numbers of trials, whoever asked for them before.
    """

    kept: Numbers
    new: Grid | None

    def asked(self, first: int) -> Numbers:
        """Return the numbers asked for, where the new block begins at ``first``."""
        if self.new is None:
            return self.kept
        return self.kept | Numbers([range(first, first + self.new.size)])


def extended(
    blocks: Blocks, expansion: Expansion, assume: dict[str, Any] | None = None
) -> Extension:
    """Compare an experiment's blocks with what is asked for now.

    ``assume`` has values of parameters for whatever trials lack them: old ones from
    before there was such a parameter, and new ones which have it no longer.
    """
    assume = assume or {}
    found = _compared(
        [(first, essence(block, assume)) for first, block in blocks],
        Grid(essential(expansion, assume)),
    )
    if found.new is not None:  # with what is derived
        found = found._replace(new=Grid(expansion, found.new.parts))
    return found


def derived_otherwise(
    blocks: Blocks, expansion: Expansion, assume: dict[str, Any], kept: Numbers
) -> list[str]:
    """Return the names of derived parameters that have other values in kept trials.

    They make no other points of these, but their results may depend on them.
    """
    names: list[str] = []
    for path in derived_paths(expansion.configuration):
        keep = frozenset([path])
        wanted = Grid(essential(expansion, assume, keep))
        having = [
            (first, essence(block, assume, keep))
            for first, block in blocks
            if isinstance(block, Grid) and _has(block.expansion.configuration, path)
        ]
        mine = [range(first, first + block.size) for first, block in having]
        if _compared(having, wanted).kept != kept & Numbers(mine):
            names.append(".".join(path))
    return names


def _has(configuration: Any, path: Path) -> bool:
    for key in path:
        if not isinstance(configuration, dict) or key not in configuration:
            return False
        configuration = configuration[key]
    return True


def _compared(stored: list[tuple[int, Grid | Table]], wanted: Grid) -> Extension:
    able = [
        (first, block)
        for first, block in stored
        if isinstance(block, Table) or not cannot_meet(block, wanted)
    ]
    try:
        return _by_axes(able, wanted)
    except NotComparableError:
        return _by_points(able, wanted)


def _by_axes(stored: list[tuple[int, Grid | Table]], wanted: Grid) -> Extension:
    """Compare grids of the same parameters: a matter of their axes' values."""
    new = list(wanted.parts.boxes)
    kept: list[range] = []
    for first, box, own, covered in _overlaps(stored, wanted):
        kept += (_shifted(piece, first) for piece in boxes.within(box, own))
        new = [part for each in new for part in boxes.without(each, covered)]
        if len(new) > _MOST_BOXES:
            raise NotComparableError
    found = Extension(Numbers(kept), _part(wanted, new))
    if sum(map(len, kept)) + sum(box.size for box in new) != wanted.size:
        raise NotComparableError  # a point was there twice
    return found


def _overlaps(
    stored: list[tuple[int, Grid | Table]], wanted: Grid
) -> Iterator[tuple[int, Box, list[Numbers], list[Numbers]]]:
    """Yield what of each stored box is wanted, with the number of its first trial."""
    asked = Factors(wanted)
    repeated = asked.repeated
    for first, block in stored:
        if isinstance(block, Table):
            raise NotComparableError
        there = Factors(block)
        repeated |= there.repeated
        if len(repeated) > 1:  # ordinals of each are not those of points
            raise NotComparableError
        overlap = Overlap(there, asked)
        for before, box in block.parts:
            found = overlap.of(box)
            if found is not None:
                yield first + before, box, *found


def _shifted(piece: range, by: int) -> range:
    return range(piece.start + by, piece.stop + by)


def _by_points(stored: list[tuple[int, Grid | Table]], wanted: Grid) -> Extension:
    """Compare one by one: of equal points the first that there are are kept."""
    left = Counter(digests(wanted))
    asked = dict(left)
    kept = Numbers.of(_taken(stored, left))
    matched = {digest: count - left[digest] for digest, count in asked.items()}
    places = Numbers.of(_unmatched(digests(wanted), matched))
    new = [boxes.Box((wanted.size,), (places,))] if places else []
    return Extension(kept, _part(wanted, new))


def _part(grid: Grid, new: list[Box]) -> Grid | None:
    if not new:
        return None
    return Grid(grid.expansion, boxes.Parts(grid.size, new))


def _taken(
    stored: list[tuple[int, Grid | Table]],
    left: Counter[bytes],
) -> Iterator[int]:
    """Yield the numbers of stored trials that are wanted, as often as they are."""
    for first, block in stored:
        for number, digest in enumerate(digests(block), first):
            if left.get(digest, 0):
                left[digest] -= 1
                yield number


def _unmatched(wanted: Iterable[bytes], matched: dict[bytes, int]) -> Iterator[int]:
    """Yield the places of what there is none for: the last ones among equals."""
    for place, digest in enumerate(wanted):
        if matched[digest]:
            matched[digest] -= 1
        else:
            yield place
