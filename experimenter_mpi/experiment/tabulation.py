"""A function of the configuration as a table: its value for all that it looks at.

Most functions look at few parameters. They are called once for each combination of
those, not for each trial; which ones they are is seen while they are called.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import copy
from itertools import product
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError

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
        chosen, seen, entries = sorted(read), set(read), []
        for index in _indices(expansion, chosen):
            entries.append(function(_Reading(expansion[index], (), needs, seen)))
            if seen != read:
                break
        else:
            return chosen, entries
        read = seen
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


def _indices(expansion: Expansion, chosen: list[int]) -> Iterator[int]:
    """Yield a trial for each combination; the other axes stay at their first place."""
    steps = steps_of(expansion.axes, chosen)
    ranges = [range(0, stride * length, stride) for stride, length in steps]
    return map(sum, product(*ranges))


class _Reading(Mapping[str, Any]):
    """A configuration that notes which axes are looked at."""

    __slots__ = ("_needs", "_path", "_seen", "_value")

    def __init__(
        self,
        value: dict[str, Any],
        path: Path,
        needs: dict[Path, set[int]],
        seen: set[int],
    ) -> None:
        self._value, self._path = value, path
        self._needs, self._seen = needs, seen

    def __getitem__(self, key: str) -> Any:
        value, path = self._value[key], (*self._path, key)
        if path in self._needs:
            self._seen |= self._needs[path]
        elif type(value) is dict:
            return _Reading(value, path, self._needs, self._seen)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._value)

    def __len__(self) -> int:
        return len(self._value)
