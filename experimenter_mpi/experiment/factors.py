"""Grids by their axes: two of the same parameters are compared without their points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import boxes
from .json_texts import texts_of
from .points import text
from .ranges import Numbers
from .variables import Variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .blocks import Grid
    from .boxes import Box
    from .grid import Axis, Path

    # A value's text; with its ordinal where equal ones of the axis come before it.
    Element = str | tuple[str, int]
    # The paths of the parameters that move together, mostly one.
    Name = tuple[Path, ...]


# Stands in no text of JSON.
_SEPARATOR = "\n"


class NotComparableError(Exception):
    """Axes do not tell which points are equal: the points have to be looked at."""


class Factors:
    """The parameters of one grid: what each of them takes, axis or constant.

    ``repeated`` are those that take a value several times.
    """

    def __init__(self, grid: Grid) -> None:
        expansion = grid.expansion
        if expansion.matched:
            raise NotComparableError
        self._axes = [_name(axis) for axis in expansion.axes]
        self.elements: dict[Name, Sequence[Element]] = {}
        self.repeated: set[Name] = set()
        self._lengths = boxes.lengths_of(expansion)
        for axis in expansion.axes:
            self._add(_name(axis), _texts(axis))
        for path, value in leaves(expansion.configuration):
            if not isinstance(value, Variable):
                self._add((path,), [text(value)])

    def _add(self, name: Name, texts: list[str]) -> None:
        if len(set(texts)) < len(texts):
            self.repeated.add(name)
            self.elements[name] = list(_numbered(texts))
        else:
            self.elements[name] = texts

    def by_axis(self, of_name: dict[Name, Numbers]) -> list[Numbers]:
        """Return what belongs to each axis, in their order."""
        return [of_name[name] for name in self._axes]

    def require_axes(self, box: Box) -> None:
        """Refuse a box of places that are not products."""
        if box.lengths != self._lengths:
            raise NotComparableError

    def indices(self, box: Box) -> dict[Name, Numbers]:
        """Return which elements of each parameter are in a box of the grid."""
        one = Numbers([range(1)])
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
            name: _places(stored.elements[name], wanted.elements[name])
            for name in stored.elements
        }

    def of(self, box: Box) -> tuple[list[Numbers], list[Numbers]] | None:
        """Return which indices of a stored box are wanted, and which those are there.

        Each for every axis of its own grid; None if the box has no point of the other.
        """
        self._stored.require_axes(box)
        kept, covered = {}, {}
        for name, indices in self._stored.indices(box).items():
            places = self._places[name]
            found = [index for index in indices if places[index] >= 0]
            if not found:
                return None
            kept[name] = Numbers.of(found)
            covered[name] = Numbers.of(sorted(places[index] for index in found))
        return self._stored.by_axis(kept), self._wanted.by_axis(covered)


def cannot_meet(one: Grid, other: Grid) -> bool:
    """Whether the parameters alone say that no point of the two is equal."""
    ours, theirs = (
        {path for path, _ in leaves(each.expansion.configuration)}
        for each in (one, other)
    )
    if ours == theirs or _may_lack(one) or _may_lack(other):
        return False
    # A value may be a dict with a parameter that the other has by itself.
    inner = {path[:length] for path in ours | theirs for length in range(1, len(path))}
    return not inner & (ours | theirs)


def _may_lack(grid: Grid) -> bool:
    """Whether there are trials without one of the parameters."""
    return any(
        isinstance(value, Variable) and value.may_lack
        for _, value in leaves(grid.expansion.configuration)
    )


def leaves(value: dict[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every parameter of a configuration, those in inner dicts by themselves."""
    for key, entry in value.items():
        if isinstance(entry, dict) and entry and all(isinstance(k, str) for k in entry):
            yield from leaves(entry, (*path, key))
        else:
            yield (*path, key), entry


def _name(axis: Axis) -> Name:
    return tuple(sorted(each.path for each in axis.columns))


def _texts(axis: Axis) -> list[str]:
    """Return a text for each place on an axis, of all that moves together there."""
    columns = sorted(axis.columns, key=lambda each: each.path)
    texts = [texts_of(each.values, text) for each in columns]
    return (
        list(texts[0])
        if len(texts) == 1
        else list(map(_SEPARATOR.join, zip(*texts, strict=True)))
    )


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
