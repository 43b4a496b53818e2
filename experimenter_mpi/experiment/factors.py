"""Grids by their axes: two of the same parameters are compared without their points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import boxes, points
from .ranges import Ranges
from .variables import Variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .blocks import Grid
    from .boxes import Box
    from .grid import Path

    # A value's text; with its ordinal where equal ones of the axis come before it.
    Element = str | tuple[str, int]


class NotComparableError(Exception):
    """Axes do not tell which points are equal: the points have to be looked at."""


class Factors:
    """The parameters of one grid: what each of them takes, axis or constant.

    ``repeated`` are those that take a value several times.
    """

    def __init__(self, grid: Grid, assume: dict[str, Any]) -> None:
        expansion = grid.expansion
        if expansion.matched or any(axis.others for axis in expansion.axes):
            raise NotComparableError
        self._axes = [axis.path for axis in expansion.axes]
        self.elements: dict[Path, Sequence[Element]] = {}
        self.repeated: set[Path] = set()
        self._lengths = boxes.lengths_of(expansion)
        for path, value in leaves(points.filled(expansion.configuration, assume)):
            values = value.values if isinstance(value, Variable) else (value,)
            texts = list(map(points.text, values))
            if len(set(texts)) < len(texts):
                self.repeated.add(path)
                self.elements[path] = list(_numbered(texts))
            else:
                self.elements[path] = texts

    def by_axis(self, of_path: dict[Path, Ranges]) -> list[Ranges]:
        """Return what belongs to each axis, in their order."""
        return [of_path[path] for path in self._axes]

    def require_axes(self, box: Box) -> None:
        """Refuse a box of places that are not products."""
        if box.lengths != self._lengths:
            raise NotComparableError

    def indices(self, box: Box) -> dict[Path, Ranges]:
        """Return which elements of each parameter are in a box of the grid."""
        one = Ranges([range(1)])
        return dict.fromkeys(self.elements, one) | dict(
            zip(self._axes, box.indices, strict=True)
        )


class Overlap:
    """Which elements of two grids' parameters are the same."""

    def __init__(self, stored: Factors, wanted: Factors) -> None:
        if stored.elements.keys() != wanted.elements.keys():
            raise NotComparableError
        self._stored, self._wanted = stored, wanted
        self._places = {
            path: _places(stored.elements[path], wanted.elements[path])
            for path in stored.elements
        }

    def of(self, box: Box) -> tuple[list[Ranges], list[Ranges]] | None:
        """Return which indices of a stored box are wanted, and which those are there.

        Each for every axis of its own grid; None if the box has no point of the other.
        """
        self._stored.require_axes(box)
        kept, covered = {}, {}
        for path, indices in self._stored.indices(box).items():
            places = self._places[path]
            found = [index for index in indices if places[index] >= 0]
            if not found:
                return None
            kept[path] = Ranges.of(found)
            covered[path] = Ranges.of(sorted(places[index] for index in found))
        return self._stored.by_axis(kept), self._wanted.by_axis(covered)


def cannot_meet(one: Grid, other: Grid, assume: dict[str, Any]) -> bool:
    """Whether the parameters alone say that no point of the two is equal."""
    ours, theirs = (
        {
            path
            for path, _ in leaves(points.filled(each.expansion.configuration, assume))
        }
        for each in (one, other)
    )
    if ours == theirs:
        return False
    # A value may be a dict with a parameter that the other has by itself.
    inner = {path[:length] for path in ours | theirs for length in range(1, len(path))}
    return not inner & (ours | theirs)


def leaves(value: dict[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every parameter of a configuration, those in inner dicts by themselves."""
    for key, entry in value.items():
        if isinstance(entry, dict) and entry and all(isinstance(k, str) for k in entry):
            yield from leaves(entry, (*path, key))
        else:
            yield (*path, key), entry


def _numbered(texts: Iterable[str]) -> Iterator[Element]:
    seen: dict[str, int] = {}
    for each in texts:
        ordinal = seen.get(each, 0)
        seen[each] = ordinal + 1
        yield (each, ordinal) if ordinal else each


def _places(ours: Sequence[Element], theirs: Sequence[Element]) -> list[int]:
    """Return where each of ours is among theirs, -1 where it is not."""
    if ours == theirs:
        return list(range(len(ours)))
    place_of = {element: place for place, element in enumerate(theirs)}
    return [place_of.get(element, -1) for element in ours]
