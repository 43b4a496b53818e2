"""Arrays into one HDF5 file, readable with h5dump and exact in every bit."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import h5py
import numpy as np

from . import hdf5_index as contents
from .hdf5_index import Extent
from .numpy_rules import described

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .codec import ArrayRecord

# How a dataset holds an array: as it is; dates as integers; anything else as its bytes.
NATIVE, INTEGERS, BYTES = "native", "integers", "bytes"


def write(path: str, records: Sequence[ArrayRecord], names: Mapping[str, str]) -> None:
    """Create a file with one dataset per record, their places noted at its start."""
    kinds = {record.id: _how(_dtype(record)) for record in records}
    places = {names[each.id]: _place(each, kinds[each.id]) for each in records}
    with _create(path, contents.block_size(places)) as file:
        for record in records:
            name = names[record.id]
            offset = _add(file, name, record, kinds[record.id])
            places[name] = places[name]._replace(offset=offset)
    contents.note(path, places)


def _place(record: ArrayRecord, kind: str) -> Extent:
    # HDF5 has no order of its own: what it knows the shape of it keeps in C order.
    order: Literal["C", "F"] = "F" if (kind, record.order) == (BYTES, "F") else "C"
    return Extent(record.dtype, list(record.shape), order)


def _create(path: str, block: int) -> h5py.File:
    # The file is complete before anyone knows its name, and HDF5's locks fail on
    # parallel file systems that do not lock.
    return h5py.File(path, "x", locking=False, userblock_size=block)


def _add(file: h5py.File, name: str, record: ArrayRecord, kind: str) -> int:
    """Write one dataset, and give where in the file its bytes are."""
    array = _view(record)
    if kind == INTEGERS:
        data = array.view(array.dtype.str[0] + "i8")
    elif kind == BYTES:
        data = np.frombuffer(record.data or b"", np.uint8)
    else:
        data = array
    dataset = file.create_dataset(name, data=data)
    if kind != NATIVE:  # else the dataset says it all
        dataset.attrs["dtype"] = record.dtype
        dataset.attrs["stored_as"] = kind
    if kind == BYTES:
        dataset.attrs["shape"] = np.array(record.shape, np.int64)
        dataset.attrs["order"] = record.order
    elif kind == INTEGERS:
        dataset.attrs["unit"] = str(array.dtype)
    offset: int | None = dataset.id.get_offset()
    return offset or 0  # an array without entries is nowhere


@lru_cache(maxsize=1024)  # asked for every array
def _how(dtype: np.dtype[Any]) -> str:
    if dtype.kind in "mM":
        return INTEGERS
    try:
        stored = h5py.h5t.py_create(dtype, logical=True).dtype
    except (TypeError, ValueError):
        return BYTES
    return NATIVE if stored == dtype and dtype.kind != "O" else BYTES


def _view(record: ArrayRecord) -> np.ndarray[Any, Any]:
    """Return the array over the record's own bytes: large ones are not copied."""
    order: Literal["C", "F"] = "F" if record.order == "F" else "C"
    array: np.ndarray[Any, Any] = np.ndarray(
        record.shape, _dtype(record), record.data, order=order
    )
    return array


def _dtype(record: ArrayRecord) -> np.dtype[Any]:
    return described(record)[0]
