"""Arrays in and out of one HDF5 file, readable with h5dump and exact in every bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import h5py
import numpy as np

from ..codec import ArrayRecord
from ..ndarrays import to_array

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# How a dataset holds an array: as it is; dates as integers; anything else as its bytes.
NATIVE, INTEGERS, BYTES = "native", "integers", "bytes"


def write(path: str, records: Sequence[ArrayRecord], names: Mapping[str, str]) -> None:
    """Create a file with one dataset per record."""
    with _open(path, "x") as file:
        for record in records:
            _add(file, names[record.id], record)


def read(path: str, record: ArrayRecord) -> np.ndarray[Any, Any]:
    """Give the array that ``record`` describes.

    Raises:
        ValueError: the dataset has another shape or type.
    """
    with _open(path, "r") as file:
        dataset = file[record.dataset]
        kind = dataset.attrs["stored_as"]
        if dataset.attrs["dtype"] != record.dtype:
            msg = f"dataset {record.dataset!r} is {dataset.attrs['dtype']}"
            raise ValueError(msg)
        values = dataset[()]
    if kind == NATIVE:
        array = np.asarray(values, order="F" if record.order == "F" else "C")
        return _checked(array, record)
    if kind == INTEGERS:
        values = np.asarray(values).tobytes(order="F" if record.order == "F" else "C")
    else:
        values = values.tobytes()
    return to_array(_with_data(record, record.shape, values))


def _open(path: str, mode: str) -> h5py.File:
    # The file is complete before anyone knows its name, and HDF5's locks fail on
    # parallel file systems that do not lock.
    return h5py.File(path, mode, locking=False)


def _add(file: h5py.File, name: str, record: ArrayRecord) -> None:
    array = _view(record)
    kind = _how(array.dtype)
    if kind == INTEGERS:
        data = array.view(array.dtype.str[0] + "i8")
    elif kind == BYTES:
        data = np.frombuffer(record.data or b"", np.uint8)
    else:
        data = array
    dataset = file.create_dataset(name, data=data)
    dataset.attrs["dtype"] = record.dtype
    dataset.attrs["stored_as"] = kind
    if kind == BYTES:
        dataset.attrs["shape"] = np.array(record.shape, np.int64)
        dataset.attrs["order"] = record.order
    elif kind == INTEGERS:
        dataset.attrs["unit"] = str(array.dtype)


def _how(dtype: np.dtype[Any]) -> str:
    if dtype.kind in "mM":
        return INTEGERS
    try:
        stored = h5py.h5t.py_create(dtype, logical=True).dtype
    except (TypeError, ValueError):
        return BYTES
    return NATIVE if stored == dtype and dtype.kind != "O" else BYTES


def _checked(array: np.ndarray[Any, Any], record: ArrayRecord) -> np.ndarray[Any, Any]:
    dtype = _dtype(record)
    if array.shape != tuple(record.shape) or array.dtype != dtype:
        msg = f"dataset {record.dataset!r} is {array.dtype} of shape {array.shape}"
        raise ValueError(msg)
    # Equal, but h5py's own carries notes about its encoding.
    return array.view(dtype)


def _view(record: ArrayRecord) -> np.ndarray[Any, Any]:
    """Give the array over the record's own bytes: large ones are not copied."""
    order: Literal["C", "F"] = "F" if record.order == "F" else "C"
    array: np.ndarray[Any, Any] = np.ndarray(
        record.shape, _dtype(record), record.data, order=order
    )
    return array


def _dtype(record: ArrayRecord) -> np.dtype[Any]:
    return to_array(_with_data(record, (0,), b"")).dtype


def _with_data(record: ArrayRecord, shape: tuple[int, ...], data: bytes) -> ArrayRecord:
    return ArrayRecord(record.id, record.dtype, shape, record.order, data, record.path)
