"""An experiment as an append-only list of blocks, whose trial numbers never move.

A *grid* block is a configuration, of which trial i is computed, with all its points or
some. A *table* has its configurations one by one, and *suggestions* are a table of
what a search asked for. A worker of an experiment that was never extended reads
nothing of this: its one grid is the experiment's ``expansion``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import boxes
from .copies import copied
from .grid import Expansion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .boxes import Box

GRID, TABLE, SUGGESTIONS = "grid", "table", "suggestions"


class Grid:
    """Points of one configuration's grid: of all places, or of those in ``boxes``.

    Boxes are disjoint, and the trials are in their order, one box after the other.
    """

    kind = GRID

    def __init__(
        self, expansion: Expansion, parts: Iterable[Box] | None = None
    ) -> None:
        self.expansion = expansion
        whole = boxes.whole(boxes.lengths_of(expansion))
        self.boxes = (whole,) if parts is None else tuple(parts)
        self._is_whole = self.boxes == (whole,)
        self._firsts = []
        self.size = 0
        for box in self.boxes:
            self._firsts.append(self.size)
            self.size += box.size

    def __getitem__(self, k: int) -> dict[str, Any]:
        """Return the configuration of the block's k-th trial, a new one each time."""
        return self.expansion[self.place(k)]

    def place(self, k: int) -> int:
        """Return the place in the grid of the block's k-th trial."""
        if self._is_whole:
            return k
        for first, box in zip(self._firsts, self.boxes, strict=True):
            if k < first + box.size:
                return box.place(k - first)
        raise IndexError(k)

    def places(self) -> Iterator[range]:
        """Yield the places in the grid, in the order of the trials."""
        return (piece for box in self.boxes for piece in box.places())

    def parts(self) -> Iterator[tuple[int, Box]]:
        """Yield each box with the first trial of the block that is in it."""
        return zip(self._firsts, self.boxes, strict=True)

    def plain(self) -> dict[str, Any]:
        """Return what the block is stored as, variables and all."""
        stored: dict[str, Any] = {"configuration": self.expansion.configuration}
        if not self._is_whole:
            stored["lengths"] = list(self.boxes[0].lengths)
            stored["boxes"] = [
                [boxes.plain(chosen) for chosen in box.indices] for box in self.boxes
            ]
        return stored

    def __reduce__(self) -> tuple[Any, ...]:
        return _grid, (self.expansion.configuration, self.boxes)


class Table:
    """Configurations one by one, as they are now; ``kind`` says where they are from."""

    def __init__(self, rows: Iterable[dict[str, Any]], kind: str = TABLE) -> None:
        self.kind = kind
        self.rows: list[dict[str, Any]] = [copied(row) for row in rows]

    @property
    def size(self) -> int:
        return len(self.rows)

    def __getitem__(self, k: int) -> dict[str, Any]:
        found: dict[str, Any] = copied(self.rows[k])
        return found

    def plain(self) -> dict[str, Any]:
        return {"rows": self.rows}


class Blocks:
    """All trials that an experiment ever had, each with its number for good."""

    def __init__(self, blocks: Iterable[Grid | Table]) -> None:
        self._blocks: list[tuple[int, Grid | Table]] = []
        self.size = 0
        for block in blocks:
            self._blocks.append((self.size, block))
            self.size += block.size

    def __iter__(self) -> Iterator[tuple[int, Grid | Table]]:
        """Yield each block with the number of its first trial."""
        return iter(self._blocks)

    def __len__(self) -> int:
        """Return the number of blocks; ``size`` is that of trials."""
        return len(self._blocks)

    def __getitem__(self, number: int) -> dict[str, Any]:
        """Return the configuration of one trial, without those of the others."""
        block, k = self.place(number)
        return block[k]

    def place(self, number: int) -> tuple[Grid | Table, int]:
        """Return the block that a trial is in, and which of its trials it is."""
        for first, block in reversed(self._blocks):
            if 0 <= number - first < block.size:
                return block, number - first
        msg = f"there are trials 0 to {self.size - 1}, none at {number}"
        raise IndexError(msg)

    def pieces(self, numbers: Iterable[range]) -> Iterator[tuple[Grid | Table, range]]:
        """Yield which trials of which blocks ascending ranges of numbers are."""
        for wanted in numbers:
            for first, block in self._blocks:
                start = max(wanted.start - first, 0)
                stop = min(wanted.stop - first, block.size)
                if start < stop:
                    yield block, range(start, stop)

    def followed_by(self, block: Grid | Table) -> Blocks:
        """Return these blocks and one more."""
        return Blocks((*(each for _, each in self._blocks), block))

    def __reduce__(self) -> tuple[Any, ...]:
        return Blocks, (tuple(block for _, block in self._blocks),)


def _grid(configuration: dict[str, Any], parts: tuple[Box, ...]) -> Grid:
    return Grid(Expansion(configuration), parts)


def from_plain(kind: str, stored: Any, count: int) -> Grid | Table:
    """Make a block again of what its ``plain`` gave, of so many trials.

    Raises:
        ValueError: it does not describe a block of that kind and size.
        ConfigurationError: its configuration cannot be expanded.
    """
    if not isinstance(stored, dict):
        msg = f"it is not a dict, but {type(stored).__name__}"
        raise ValueError(msg)  # noqa: TRY004 - of a file, not of a caller
    if kind == GRID:
        block: Grid | Table = _stored_grid(stored)
    elif kind in (TABLE, SUGGESTIONS):
        block = _stored_table(stored, kind)
    else:
        msg = f"its kind is {kind!r}"
        raise ValueError(msg)
    if block.size != count:
        msg = f"it makes {block.size} trials, and {count} are stored"
        raise ValueError(msg)
    return block


def _stored_table(stored: dict[str, Any], kind: str) -> Table:
    rows = stored.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        msg = "its rows are not a list of dicts"
        raise ValueError(msg)
    return Table(rows, kind)


def _stored_grid(stored: dict[str, Any]) -> Grid:
    configuration, lengths = stored.get("configuration"), stored.get("lengths")
    expansion = Expansion(configuration)  # type: ignore[arg-type] # which looks itself
    if lengths is None:
        return Grid(expansion)
    own = list(boxes.lengths_of(expansion))
    if lengths not in (own, [expansion.size]):
        msg = f"its axes are {own} long, and {lengths!r} is stored"
        raise ValueError(msg)
    try:
        parts = [_stored_box(tuple(lengths), box) for box in stored["boxes"]]
    except (TypeError, KeyError) as error:
        msg = f"it does not say which points of its grid it has ({error!r})"
        raise ValueError(msg) from error
    return Grid(expansion, parts)


def _stored_box(lengths: tuple[int, ...], box: Any) -> Box:
    pairs = zip(box, lengths, strict=True)
    return boxes.Box(
        lengths, tuple(boxes.from_plain(each, length) for each, length in pairs)
    )
