"""What stands where in an array file, in its first line: reading needs no HDF5.

An HDF5 file may begin with a block that HDF5 itself skips. There each dataset's place
is noted, and its bytes are read from there. A stranger's file may hold links to other
files, compressed bombs, filters to be loaded as plugins, or what makes the HDF5
library read beyond its memory; nothing of that is looked at.
"""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from .numpy_rules import described

if TYPE_CHECKING:
    from collections.abc import Mapping
    from io import BufferedReader

    from .codec import ArrayRecord

_FORMAT = 1
_SMALLEST_BLOCK = 512
# An offset is not known before the datasets are written: as many digits as it may have.
_LARGEST_OFFSET = 2**63 - 1
_LONGEST_LINE = 16 * 1024 * 1024


class Extent(NamedTuple):
    """Where a dataset's bytes are, and in which order."""

    dtype: str
    shape: list[int]
    order: Literal["C", "F"]
    offset: int = _LARGEST_OFFSET


def block_size(places: Mapping[str, Extent]) -> int:
    """Return the size of a block that can hold the line: HDF5 wants a power of two."""
    size = _SMALLEST_BLOCK
    while size < len(_line(places)):
        size *= 2
    return size


def note(path: str, places: Mapping[str, Extent]) -> None:
    """Write the line into the block at the start of a file."""
    with open(path, "r+b") as file:
        file.write(_line(places))


def read(file: BufferedReader, record: ArrayRecord) -> np.ndarray[Any, Any]:
    """Return the array that ``record`` describes, with memory of its own.

    Raises:
        ValueError: the file does not say that it holds such an array.
    """
    place = _place(file, record)
    dtype, shape = described(record)
    size, end = math.prod(shape) * dtype.itemsize, os.fstat(file.fileno()).st_size
    if not 0 <= place.offset <= end - size:
        msg = f"{record.dataset!r} is {size:,} bytes in a file of {end:,}"
        raise ValueError(msg)
    array: np.ndarray[Any, Any] = np.ndarray(shape, dtype, order=place.order)
    file.seek(place.offset)
    if array.nbytes and file.readinto(_bytes_of(array)) != array.nbytes:
        msg = f"{record.dataset!r} ended too early"
        raise ValueError(msg)
    return np.asarray(array, order="F" if record.order == "F" else "C")


def _bytes_of(array: np.ndarray[Any, Any]) -> memoryview:
    flat = (array if array.flags.c_contiguous else array.T).reshape(-1)
    return memoryview(flat.view(np.uint8))  # type: ignore[arg-type]


def _place(file: BufferedReader, record: ArrayRecord) -> Extent:
    noted = json.loads(file.readline(_LONGEST_LINE))
    if noted["experimenter_mpi"] != _FORMAT:
        msg = f"it is of format {noted['experimenter_mpi']!r}: a newer version wrote it"
        raise ValueError(msg)
    place = Extent(*noted["datasets"][record.dataset])
    if place.dtype != record.dtype or place.shape != list(record.shape):
        msg = f"{record.dataset!r} is {place.dtype} of shape {place.shape}"
        raise ValueError(msg)
    if type(place.offset) is not int or place.order not in ("C", "F"):
        msg = f"{record.dataset!r} is said to be at {place.offset!r}"
        raise ValueError(msg)
    return place


def _line(places: Mapping[str, Extent]) -> bytes:
    noted = {"experimenter_mpi": _FORMAT, "datasets": places}
    return json.dumps(noted).encode() + b"\n"
