"""Find the grid that trials form: which parameters span it, and each trial's place."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from .columns import MISSING

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

REPETITION = "repetition"


class SpanningGrid(NamedTuple):
    """Parameters that span all trials, and where in their product each trial is.

    ``axes`` are the values of each dimension in the order of their first trial;
    ``places`` has an index of each dimension for every trial. ``constants`` are the
    same in all trials, ``others`` follow from the dimensions.
    """

    axes: dict[str, list[Any]]
    places: list[tuple[int, ...]]
    constants: dict[str, Any]
    others: list[str]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(map(len, self.axes.values()))


def find_grid(
    parameters: Mapping[str, Sequence[Any]], count: int
) -> SpanningGrid | None:
    """Return the grid that ``count`` trials form; None if they form none.

    Each combination of the values of the dimensions is there, and as often as every
    other one: where that is more than once, ``repetition`` is the last dimension.
    """
    keys = {name: list(map(key_of, values)) for name, values in parameters.items()}
    constants = {
        name: parameters[name][0] for name, key in keys.items() if len(set(key)) == 1
    }
    varying = [name for name in parameters if name not in constants]
    spanning = _spanning(varying, keys, count)
    others = [name for name in varying if name not in spanning]
    axes = {name: _first_values(parameters[name], keys[name]) for name in spanning}
    points = list(zip(*_numbered(spanning, keys), strict=True)) or [()] * count
    repetitions = Counter(points)
    times = set(repetitions.values())
    if len(times) != 1 or len(repetitions) != math.prod(map(len, axes.values())):
        return None
    if times != {1}:
        axes[REPETITION] = list(range(times.pop()))
        seen: Counter[tuple[int, ...]] = Counter()
        places = []
        for point in points:
            places.append((*point, seen[point]))
            seen[point] += 1
        return SpanningGrid(axes, places, constants, others)
    return SpanningGrid(axes, points, constants, others)


def key_of(value: Any) -> Hashable:
    """Return what is equal for equal values, NaN among them, of whatever type."""
    if type(value) in (list, tuple):
        return type(value), tuple(map(key_of, value))
    if type(value) is dict:
        pairs = ((key_of(key), key_of(entry)) for key, entry in value.items())
        return dict, frozenset(pairs)
    if isinstance(value, bool) or value is MISSING:
        return type(value), value
    if isinstance(value, float) and math.isnan(value):
        return float, "nan"
    try:
        hash(value)
    except TypeError:
        return type(value), repr(value)
    found: Hashable = value
    return found


def _spanning(
    varying: list[str], keys: Mapping[str, list[Hashable]], count: int
) -> list[str]:
    """Return the parameters that are needed to tell points apart, in their order.

    One that follows from those before it is left out, as of axes that move together.
    """
    chosen: list[str] = []
    known: list[Hashable] = [()] * count
    groups = 1
    for name in varying:
        refined: list[Hashable] = list(zip(known, keys[name], strict=True))
        found = len(set(refined))
        if found == groups:
            continue
        numbers: dict[Hashable, int] = {}
        known = [numbers.setdefault(each, len(numbers)) for each in refined]
        chosen.append(name)
        groups = found
    return chosen


def _first_values(values: Sequence[Any], keys: list[Hashable]) -> list[Any]:
    first: dict[Hashable, Any] = {}
    for key, value in zip(keys, values, strict=True):
        first.setdefault(key, value)
    return list(first.values())


def _numbered(names: list[str], keys: Mapping[str, list[Hashable]]) -> list[list[int]]:
    columns = []
    for name in names:
        order: dict[Hashable, int] = {}
        columns.append([order.setdefault(key, len(order)) for key in keys[name]])
    return columns
