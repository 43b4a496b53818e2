"""An experiment as an append-only list of blocks, whose trial numbers never move.

A *grid* block is a configuration, of which trial i is computed, with all its points or
some. A *table* has its configurations one by one, and *suggestions* are a table of
what a search asked for. A worker of an experiment that was never extended reads
nothing of this: its one grid is the experiment's ``expansion``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from . import boxes
from .boxes import Parts
from .copies import copied
from .grid import Expansion
from .ranges import Numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

KINDS = GRID, TABLE, SUGGESTIONS = "grid", "table", "suggestions"


class Grid:
    """Points of one configuration's grid: all, or those that ``parts`` has."""

    kind = GRID

    def __init__(self, expansion: Expansion, parts: Parts | None = None) -> None:
        self.expansion = expansion
        if parts is None:
            whole = boxes.whole(boxes.lengths_of(expansion))
            parts = Parts(expansion.size, [whole])
        self.parts = parts

    @property
    def size(self) -> int:
        return self.parts.size

    def __getitem__(self, k: int) -> dict[str, Any]:
        """Return the configuration of the block's k-th trial, a new one each time."""
        return self.expansion[self.parts.place(k)]

    @property
    def plain(self) -> dict[str, Any]:
        """What the block is stored as, variables and all, beside its ``parts``."""
        return self.expansion.configuration

    def __reduce__(self) -> tuple[Any, ...]:
        return _grid, (self.expansion.configuration, self.parts)


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

    @property
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


class Study(NamedTuple):
    """The trials that an experiment ever had, and the numbers of those asked for."""

    blocks: Blocks
    asked: Numbers

    @property
    def aside(self) -> Numbers:
        """The numbers of the trials that are not asked for any more."""
        return Numbers([range(self.blocks.size)]) - self.asked


def _grid(configuration: dict[str, Any], parts: Parts) -> Grid:
    return Grid(Expansion(configuration), parts)


def from_plain(kind: str, stored: Any, parts: Any, count: int) -> Grid | Table:
    """Make a block of so many trials again, of its ``plain`` and that of its parts.

    Raises:
        ValueError: this does not describe a block of that kind and size.
        ConfigurationError: its configuration cannot be expanded.
    """
    if kind == GRID:
        expansion = Expansion(stored)
        block: Grid | Table = Grid(expansion)
        if parts is not None:
            block = Grid(expansion, boxes.parts(expansion.size, parts))
    elif kind in (TABLE, SUGGESTIONS):
        block = Table(_rows(stored), kind)
    else:
        msg = f"its kind is {kind!r}"
        raise ValueError(msg)
    if block.size != count:
        msg = f"it makes {block.size} trials, and {count} are stored"
        raise ValueError(msg)
    return block


def _rows(stored: Any) -> list[dict[str, Any]]:
    rows = stored.get("rows") if isinstance(stored, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        msg = "its rows are not a list of dicts"
        raise ValueError(msg)
    return rows
