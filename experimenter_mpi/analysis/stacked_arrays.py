"""Results that are arrays, as one array with the trials' dimensions before their own.

Nothing is read until it is looked at, and then only the trials that are needed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..database.stored_array import StoredArray

if TYPE_CHECKING:
    from collections.abc import Sequence


def stacked(arrays: Sequence[Any], like: StoredArray, shape: tuple[int, ...]) -> Any:
    """Return arrays of one shape as one lazy array, NaN where there is none.

    ``arrays`` are in the order of a grid of this ``shape``, and all are as ``like``.
    """
    import numpy as np
    from xarray.backends import BackendArray
    from xarray.core import indexing

    dtype = _common_dtype(arrays)

    class Stack(BackendArray):  # type: ignore[misc, unused-ignore] # a class of Any
        """What xarray asks for a part of the array."""

        def __init__(self) -> None:
            self.shape = (*shape, *like.shape)
            self.dtype = dtype

        def __getitem__(self, key: Any) -> Any:
            support = indexing.IndexingSupport.OUTER
            return indexing.explicit_indexing_adapter(
                key, self.shape, support, self._read
            )

        def _read(self, key: tuple[Any, ...]) -> Any:
            outer, inner = key[: len(shape)], key[len(shape) :]
            trials = np.arange(math.prod(shape)).reshape(shape)
            trials = trials[np.ix_(*map(_as_list, outer, shape))]
            blank = _chosen(np.broadcast_to(_blank(dtype), like.shape), inner)
            made = np.empty((trials.size, *blank.shape), dtype=dtype)
            for place, trial in enumerate(trials.flat):
                array = arrays[trial]
                is_there = isinstance(array, StoredArray)
                made[place] = _chosen(array.read(), inner) if is_there else blank
            made = made.reshape((*trials.shape, *blank.shape))
            # A number in place of a range leaves its dimension out.
            return made[tuple(map(_whole_or_first, outer))]

    return indexing.LazilyIndexedArray(Stack())


def _common_dtype(arrays: Sequence[Any]) -> Any:
    """Return the type of all arrays, or one that also has NaN where one is missing."""
    import numpy as np

    kinds = {each.dtype for each in arrays if isinstance(each, StoredArray)}
    if len(kinds) == 1 and all(isinstance(each, StoredArray) for each in arrays):
        return kinds.pop()
    numbers = all(kind.kind in "biufc" for kind in kinds)
    return np.result_type(*kinds, np.float64) if numbers else np.dtype(object)


def _blank(dtype: Any) -> Any:
    import numpy as np

    return np.zeros((), dtype) if dtype.kind not in "fcO" else np.array(math.nan, dtype)


def _chosen(array: Any, key: tuple[Any, ...]) -> Any:
    """Return a part of an array; lists choose along their own axes each."""
    for axis in reversed(range(len(key))):
        place = [slice(None)] * axis + [key[axis]]
        array = array[tuple(place)]
    return array


def _as_list(key: Any, length: int) -> Any:
    import numpy as np

    if isinstance(key, slice):
        return np.arange(length)[key]
    return np.atleast_1d(key)


def _whole_or_first(key: Any) -> Any:
    import numpy as np

    return slice(None) if isinstance(key, slice) or np.ndim(key) else 0
