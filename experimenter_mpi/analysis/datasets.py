"""``to_xarray``: an experiment as an xarray Dataset, on its grid where it has one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..database.handle import session_of
from ..database.stored_array import StoredArray
from ..errors import ConfigurationError, missing_package
from .columns import MISSING, named
from .spanning import REPETITION, SpanningGrid, find_grid, key_of
from .stacked_arrays import stacked
from .trial_table import read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr

    from ..database.handle import ExperimentDatabase
    from .trial_table import TrialTable

_TRIAL = "trial"
# What xarray writes to a netCDF file as an attribute.
_PLAIN = (bool, int, float, str)


def to_xarray(
    database: ExperimentDatabase,
    name: str,
    *,
    dims: Mapping[str, Sequence[str]] | None = None,
) -> xr.Dataset:
    """Implements ``ExperimentDatabase.to_xarray``; see there."""
    try:
        import xarray
    except ImportError:
        raise missing_package("xarray", "xarray") from None
    session = session_of(database)
    return _Dataset(xarray, read(session, name), name, dims or {}).made()


class _Dataset:
    def __init__(
        self,
        xarray: Any,
        table: TrialTable,
        name: str,
        dims: Mapping[str, Sequence[str]],
    ) -> None:
        self._xarray = xarray
        self._table = table
        self._name = name
        self._dims = dims
        places = table.columns.lists
        self._names = named(places, ("status", "duration", _TRIAL, REPETITION))
        parameters = {
            name: places[place]
            for place, name in self._names.items()
            if place[0] == "configuration"
        }
        self._parameters = parameters
        grid = find_grid(parameters, len(table)) if len(table) else None
        self._grid = grid or _line(parameters, len(table))

    def made(self) -> xr.Dataset:
        grid, dimensions = self._grid, tuple(self._grid.axes)
        coordinates: dict[str, Any] = {
            dimension: (dimension, self._values(values))
            for dimension, values in grid.axes.items()
        }
        for name in grid.others:
            along = self._along(name) or tuple(enumerate(dimensions))
            shape = tuple(grid.shape[number] for number, _ in along)
            values = self._first(name, [number for number, _ in along])
            coordinates[name] = (
                tuple(dimension for _, dimension in along),
                self._values(values).reshape(shape),
            )
        variables: dict[str, Any] = {
            name: self._variable(name, self._table.columns.lists[place])
            for place, name in self._names.items()
            if place[0] == "results"
        }
        for name in ("status", "duration"):
            values = self._placed(self._table.facts[name], None)
            variables[name] = dimensions, self._values(values).reshape(grid.shape)
        made: xr.Dataset = self._xarray.Dataset(
            variables, coordinates, {"experiment": self._name, **self._attributes()}
        )
        return made

    def _attributes(self) -> dict[str, Any]:
        return {
            name: value if isinstance(value, _PLAIN) else repr(value)
            for name, value in self._grid.constants.items()
        }

    def _along(self, name: str) -> tuple[tuple[int, str], ...]:
        """Return the one dimension that a parameter follows from, none if several."""
        keys = list(map(key_of, self._parameters[name]))
        for number, dimension in enumerate(self._grid.axes):
            pairs = {
                (place[number], key)
                for place, key in zip(self._grid.places, keys, strict=True)
            }
            if len(pairs) == self._grid.shape[number]:
                return ((number, dimension),)
        return ()

    def _first(self, name: str, numbers: list[int]) -> list[Any]:
        """Return a parameter's values along some dimensions, in the order of a grid."""
        first: dict[tuple[int, ...], Any] = {}
        pairs = zip(self._grid.places, self._parameters[name], strict=True)
        for place, value in pairs:
            first.setdefault(tuple(place[number] for number in numbers), value)
        return [first[place] for place in sorted(first)]

    def _variable(self, name: str, values: Sequence[Any]) -> Any:
        dimensions, shape = tuple(self._grid.axes), self._grid.shape
        placed = self._placed(values, MISSING)
        arrays = [value for value in placed if isinstance(value, StoredArray)]
        others = [v for v in placed if v is not MISSING and v is not None]
        if arrays and len(arrays) == len(others):
            inner = {array.shape for array in arrays}
            if len(inner) == 1:
                own = self._own_dimensions(name, inner.pop())
                data = stacked(placed, arrays[0], shape)
                return (*dimensions, *own), data
        if name in self._dims:
            msg = f"dims: '{name}' is not an array of one shape in all trials"
            raise ConfigurationError(msg)
        return dimensions, self._values(placed).reshape(shape)

    def _own_dimensions(self, name: str, shape: tuple[int, ...]) -> tuple[str, ...]:
        given = self._dims.get(name)
        if given is None:
            return tuple(f"{name}_{number}" for number in range(len(shape)))
        if len(given) != len(shape):
            msg = f"dims: '{name}' has the shape {shape}, for {len(given)} names"
            raise ConfigurationError(msg)
        return tuple(given)

    def _placed(self, values: Sequence[Any], fill: Any) -> list[Any]:
        """Return values of trials in the order of the grid."""
        import numpy as np

        shape = self._grid.shape
        if not shape:
            return list(values)
        placed = [fill] * math.prod(shape)
        where = np.ravel_multi_index(np.array(self._grid.places).T, shape)
        for place, value in zip(where.tolist(), values, strict=True):
            placed[place] = value
        return placed

    def _values(self, values: Sequence[Any]) -> Any:
        """Return an array that keeps the values, with NaN for what is missing."""
        import numpy as np

        kinds = set(map(type, values)) - {type(MISSING), type(None)}
        gaps = any(value is MISSING or value is None for value in values)
        numbers = kinds <= {int, float, bool} and bool(kinds)
        if numbers and (gaps or float in kinds):
            return np.array([_number(value) for value in values], dtype=np.float64)
        if kinds == {complex}:
            missing = complex(math.nan, math.nan)
            return np.array([missing if _is_gap(v) else v for v in values])
        if not gaps and kinds in ({int}, {bool}, {str}):
            made = np.array(list(values))
            if made.dtype.kind in "ibU":
                return made
        made = np.empty(len(values), dtype=object)
        for place, value in enumerate(values):
            made[place] = math.nan if value is MISSING else value
        return made


def _is_gap(value: Any) -> bool:
    return value is MISSING or value is None


def _number(value: Any) -> float:
    return math.nan if _is_gap(value) else float(value)


def _line(parameters: Mapping[str, Sequence[Any]], count: int) -> SpanningGrid:
    """Return one dimension along which all parameters are coordinates."""
    places: list[tuple[int, ...]] = [(number,) for number in range(count)]
    return SpanningGrid({_TRIAL: list(range(count))}, places, {}, list(parameters))
