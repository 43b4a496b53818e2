"""A function of the configuration as a table: its value for all that it looks at.

Most functions look at few parameters. They are called once for each combination of
those, not for each trial; which ones they are is seen while they are called.
"""

from __future__ import annotations

import math
from copy import copy
from itertools import product
from operator import mul
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from .noting import Noting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .grid import Axis, Expansion, Path

    Function = Callable[[Any], Any]

# In the place of axes: all trials, one by one.
_ALL = -1


class Lookup:
    """What each trial has of a table over some axes: nothing is kept but the table.

    ``places`` are those of the axes in the product; the last one moves fastest.
    """

    def __init__(self, axes: Sequence[Axis], places: list[int], entries: Any) -> None:
        self.places = set(places)
        self._steps = steps_of(axes, places)
        self._entries = entries
        self._n = math.prod(len(axis.values) for axis in axes)

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, trial: int) -> Any:
        if not 0 <= trial < self._n:
            raise IndexError(trial)
        place = 0
        for stride, length in self._steps:
            place = place * length + trial // stride % length
        return self._entries[place]

    def __iter__(self) -> Iterator[Any]:
        return map(self.__getitem__, range(self._n))

    def mapped(self, function: Callable[[Any], Any]) -> Lookup:
        """Return the same of other entries, each of which is made once."""
        other = copy(self)
        other._entries = tuple(map(function, self._entries))  # noqa: SLF001
        return other


def steps_of(axes: Sequence[Axis], chosen: Sequence[int]) -> list[tuple[int, int]]:
    """Return how many trials each chosen axis stays at a place, and its length."""
    lengths = [len(axis.values) for axis in axes]
    return [(math.prod(lengths[place + 1 :]), lengths[place]) for place in chosen]


def tabulated(
    what: str, function: Function, expansion: Expansion
) -> tuple[list[Path] | None, list[Any]]:
    """Return what a function depends on, and its values for these.

    That are the first paths of axes; None stands for all trials one by one. ``what``
    names the function in errors.

    Raises:
        ConfigurationError: the function failed.
    """
    try:
        chosen, entries = _by_axes(function, expansion)
    except Exception:  # noqa: BLE001 - it may do what only a dict can
        chosen, entries = None, []
    if chosen is not None:
        return [expansion.axes[place].path for place in chosen], entries
    return None, [_called(what, function, expansion, i) for i in range(expansion.size)]


def _called(what: str, function: Function, expansion: Expansion, index: int) -> Any:
    configuration = expansion[index]
    try:
        return function(configuration)
    except Exception as error:
        msg = f"{what} failed for trial {index}: {type(error).__name__}: {error}"
        raise ConfigurationError(msg) from error


def _by_axes(
    function: Function, expansion: Expansion
) -> tuple[list[int] | None, list[Any]]:
    """Call the function for all combinations of axes, of ever more if it needs more."""
    needs = _needs(expansion)
    read: set[int] = set()
    while _ALL not in read:
        chosen, noted, entries = sorted(read), set(read), []
        for point in _points(expansion, needs, chosen, noted):
            entries.append(function(point))
            if noted != read:
                break
        else:
            return chosen, entries
        read = noted
    return None, []


def _needs(expansion: Expansion) -> dict[Path, set[int]]:
    """Return of which axes each parameter is that is not the same in all trials."""
    needs = {
        each.path: {place}
        for place, axis in enumerate(expansion.axes)
        for each in axis.columns
    }
    for path, values, _ in expansion.matched:
        needs[path] = values.places if isinstance(values, Lookup) else {_ALL}
    return needs


def _points(
    expansion: Expansion,
    needs: dict[Path, set[int]],
    chosen: list[int],
    noted: set[int],
) -> Iterator[dict[str, Any]]:
    """Yield a point, each time the same object, for each combination of chosen axes.

    It lacks the parameters of the others, which stay at their first place.
    """
    lacking = {path: of for path, of in needs.items() if not of <= set(chosen)}
    point = _noting(expansion[0], (), lacking, noted)
    slots = [
        [(_inner(point, each.path), each.path[-1], each.values) for each in columns]
        for columns in (expansion.axes[place].columns for place in chosen)
    ]
    looked_up = [
        (_inner(point, path), path[-1], values)
        for path, values, _ in expansion.matched
        if path not in lacking
    ]
    strides = [stride for stride, _ in steps_of(expansion.axes, chosen)]
    lengths = (range(len(expansion.axes[place].values)) for place in chosen)
    for places in product(*lengths):
        for place, columns in zip(places, slots, strict=True):
            for inner, key, values in columns:
                inner[key] = values[place]
        if looked_up:
            trial = sum(map(mul, strides, places))
            for inner, key, values in looked_up:
                inner[key] = values[trial]
        yield point


def _noting(
    value: dict[str, Any], path: Path, lacking: dict[Path, set[int]], noted: set[int]
) -> dict[str, Any]:
    for key, entry in value.items():
        here = (*path, key)
        if type(entry) is dict and any(each[: len(here)] == here for each in lacking):
            value[key] = _noting(entry, here, lacking, noted)
    heres = {key: (*path, key) for key in value}
    needs = {key: lacking[here] for key, here in heres.items() if here in lacking}
    return Noting(value, needs, noted)


def _inner(point: Any, path: Path) -> Any:
    for key in path[:-1]:
        point = point[key]
    return point
