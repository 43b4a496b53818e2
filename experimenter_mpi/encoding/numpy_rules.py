"""The numpy rules: arrays as records of bytes, scalars, and random generators.

The only module of the codec that imports numpy; what needs it imports it late.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import uuid
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.format import descr_to_dtype

from ..errors import CorruptDocumentError
from . import numpy_random as generators
from .rules import (
    ArrayRecord,
    Rule,
    by_name,
    expect,
    find,
    from_base64,
    integers,
    to_base64,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    Array = np.ndarray[Any, np.dtype[Any]]

# Types whose values are plain numbers (longdouble is more than a float can hold).
NUMBERS = frozenset(np.dtype(code).type for code in "?bBhHiIlLqQefdFD")
# What reading a record or a file that contradicts itself may raise.
UNREADABLE = (
    *(ArithmeticError, LookupError, MemoryError, OSError, RecursionError),
    *(TypeError, ValueError),
)
_ARRAYS = (np.ndarray, np.memmap)
_SCALARS = (np.longdouble, np.clongdouble, np.datetime64, np.timedelta64, np.void)

# --- dtypes -------------------------------------------------------------------------

_SIMPLE = re.compile(r"[<>|][biufcmMSUV][0-9]{1,9}(\[[0-9]*[a-zA-Z]{1,7}\])?|\|O")
# What a document can make us set aside for one element with objects in it.
_MAX_OBJECT_ITEMSIZE = 1024 * 1024


@lru_cache(maxsize=1024)  # asked for every array, and takes as long as hashing 8 KiB
def _descr(dtype: np.dtype[Any]) -> Any:
    """Return a dtype as JSON, None where reading that would give another dtype."""
    if dtype.names is None and (dtype.str[1] == "O" or dtype.char == "T"):
        return None
    try:
        # As dtype_to_descr, but without its warning of metadata, which is left out.
        descr = dtype.str if dtype.names is None else dtype.descr
        plain = json.loads(json.dumps(descr))
        return plain if _dtype(plain) == dtype else None
    except (TypeError, ValueError):
        return None  # overlapping fields, or a dtype of another package


def _dtype(plain: Any) -> np.dtype[Any]:
    dtype: np.dtype[Any] = descr_to_dtype(_as_descr(plain))
    if dtype.hasobject and dtype.itemsize > _MAX_OBJECT_ITEMSIZE:
        msg = f"records with objects cannot have {dtype.itemsize} bytes"
        raise ValueError(msg)
    return dtype


def _raw_dtype(plain: Any) -> np.dtype[Any]:
    dtype = _dtype(plain)
    if dtype.hasobject:
        msg = "bytes cannot hold objects"
        raise ValueError(msg)
    return dtype


def _as_descr(plain: Any) -> Any:
    """Undo what JSON does to tuples, and let nothing but descriptions through."""
    if isinstance(plain, str):
        if not _SIMPLE.fullmatch(plain):
            msg = f"{plain!r} is not a dtype"
            raise ValueError(msg)
        return plain
    fields = []
    for name, descr, *shape in expect(list, plain):
        field_name = name if isinstance(name, str) else tuple(expect(list, name))
        fields.append((field_name, _as_descr(descr), *map(_shape, shape)))
    return fields


def _shape(plain: Any) -> tuple[int, ...]:
    shape = tuple(integers(plain))
    if any(length < 0 for length in shape):
        msg = f"{shape} is not a shape"
        raise ValueError(msg)
    return shape


# --- arrays of bytes ----------------------------------------------------------------


def is_raw(value: Any) -> bool:
    """Whether this is an array that its bytes say all about."""
    if type(value) not in _ARRAYS or value.dtype.hasobject:
        return False
    return _descr(value.dtype) is not None


def to_record(array: Array, path: str, hash_up_to: int | None) -> ArrayRecord:
    """Describe an array for which ``is_raw``; without a copy if it is contiguous."""
    array = _without_padding(np.asarray(array))
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        array = array.copy(order="C")
    dtype = json.dumps(_descr(array.dtype), separators=(",", ":"))
    order = _order(array)
    data = memoryview(_bytes_of(array))  # type: ignore[arg-type]
    if hash_up_to is not None and data.nbytes > hash_up_to:
        array_id = uuid.uuid4().hex
    else:
        array_id = _content_id(f"{dtype} {array.shape} {order} ", data)
    return ArrayRecord(array_id, dtype, array.shape, order, data, path)


def to_array(record: ArrayRecord) -> Array:
    """Return the array of a record with data: writable, with memory of its own.

    Raises:
        CorruptDocumentError: the record contradicts itself.
    """
    try:
        return _filled(*described(record), record.order, record.data)
    except UNREADABLE as error:
        msg = f"stored array {record.id} ('{record.path}') cannot be read: {error}"
        raise CorruptDocumentError(msg) from error


def described(record: ArrayRecord) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return a record's type and shape.

    Raises:
        ValueError: the record describes no array of bytes.
    """
    return _raw_dtype(json.loads(record.dtype)), _shape(list(record.shape))


def outlined(plain: Mapping[str, Any]) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return the type and shape that a document states of an array.

    Raises:
        CorruptDocumentError: they are none.
    """
    try:
        return _raw_dtype(plain.get("dtype")), _shape(plain.get("shape"))
    except UNREADABLE as error:
        msg = f"stored array {plain.get('$array')} is described wrongly: {error}"
        raise CorruptDocumentError(msg) from error


def _filled(dtype: Any, shape: tuple[int, ...], order: Any, data: Any) -> Array:
    size = math.prod(shape) * dtype.itemsize
    if data is None or len(data) != size or order not in ("C", "F"):
        found = "nothing" if data is None else f"{len(data)} bytes"
        msg = f"{shape} of {dtype} in order {order} is {size} bytes, not {found}"
        raise ValueError(msg)
    # Not np.empty, which makes U1 of U0.
    array: Array = np.ndarray(shape, dtype, order=order)
    _bytes_of(array)[:] = np.frombuffer(data, np.uint8)
    return array


def _order(array: Array) -> str:
    return "C" if array.flags.c_contiguous else "F"


def _bytes_of(array: Array) -> Array:
    """Return a view of a contiguous array's bytes; buffers know not all dtypes."""
    if not array.nbytes:
        return np.empty(0, np.uint8)
    flat = (array if array.flags.c_contiguous else array.T).reshape(-1)
    return flat.view(np.uint8)


def _without_padding(array: Array) -> Array:
    """Zero what the processor leaves undefined in a long double of x86.

    It uses ten bytes of sixteen; equal numbers would have unequal hashes.
    """
    if array.dtype.char not in "gG" or np.finfo(np.longdouble).nmant != 63:  # noqa: PLR2004
        return array
    array = array.copy(order="A")
    long_doubles = _bytes_of(array).reshape(-1, np.dtype(np.longdouble).itemsize)
    big_endian = array.dtype.str[0] == ">"
    long_doubles[:, slice(0, -10) if big_endian else slice(10, None)] = 0
    return array


def _content_id(header: str, data: memoryview) -> str:
    digest = hashlib.blake2b(header.encode(), digest_size=16)
    digest.update(data)
    return digest.hexdigest()


# --- arrays of objects and texts ----------------------------------------------------


def _from_objects(items: Any, shape: Any, order: Any) -> Array:
    flat: Array = np.empty(len(expect(list, items)), dtype=object)
    for index, item in enumerate(items):
        flat[index] = item
    return _ordered(flat.reshape(_shape(shape)), order)


def _from_records(columns: Any, dtype: Any, shape: Any, order: Any) -> Array:
    kind, sizes = _dtype(dtype), _shape(shape)
    names = kind.names or ()
    if not names or len(expect(list, columns)) != len(names):
        msg = f"{len(columns)} columns for {len(names)} names"
        raise ValueError(msg)
    for column in columns:
        if not isinstance(column, np.ndarray) or column.shape[: len(sizes)] != sizes:
            msg = f"every column must be an array of shape {sizes}"
            raise ValueError(msg)
    array: Array = np.zeros(sizes, kind)
    for name, column in zip(names, columns, strict=True):
        if array[name].shape != column.shape or array[name].dtype != column.dtype:
            msg = f"column {name} must be {array[name].dtype} {array[name].shape}"
            raise ValueError(msg)
        array[name][...] = column
    return _ordered(array, order)


def _string_parts(array: Any) -> tuple[Any, ...]:
    dtype = array.dtype
    missing = [dtype.na_object] if hasattr(dtype, "na_object") else None
    items, *layout = _flat_parts(array)
    return items, *layout, missing, None if dtype.coerce else False


def _from_strings(
    items: Any, shape: Any, order: Any, missing: Any, coerce: Any
) -> Array:
    options = {} if missing is None else {"na_object": expect(list, missing)[0]}
    dtype: Any = np.dtypes.StringDType(coerce=coerce is None, **options)
    flat: Array = np.array(expect(list, items), dtype=dtype)
    return _ordered(flat.reshape(_shape(shape)), order)


def _flat_parts(array: Array) -> tuple[Any, ...]:
    return array.reshape(-1).tolist(), list(array.shape), _layout(array)


def _record_parts(array: Array) -> tuple[Any, ...]:
    columns = [array[name] for name in array.dtype.names or ()]
    return columns, _descr(array.dtype), list(array.shape), _layout(array)


def _layout(array: Array) -> str | None:
    only_fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    return "F" if only_fortran else None


def _ordered(array: Array, order: Any) -> Array:
    if order not in (None, "F"):
        msg = f"{order!r} is not an order"
        raise ValueError(msg)
    return array if order is None else np.asfortranarray(array)


_OBJECTS = Rule("objects", np.ndarray, _flat_parts, _from_objects, ("shape", "order"))
_RECORDS = Rule(
    "records", np.ndarray, _record_parts, _from_records, ("dtype", "shape", "order")
)
_STRINGS = Rule(
    "strings",
    np.ndarray,
    _string_parts,
    _from_strings,
    ("shape", "order", "missing", "coerce"),
)


def _array_rule(dtype: Any) -> Rule | None:
    if dtype.char == "O":
        return _OBJECTS
    if dtype.char == "T":
        return _STRINGS
    return _RECORDS if dtype.hasobject and _descr(dtype) is not None else None


# --- scalars and masked arrays ------------------------------------------------------


def _scalar_parts(value: Any) -> Any:
    descr = None if value.dtype.hasobject else _descr(value.dtype)
    if descr is None:
        return NotImplemented
    return descr, to_base64(_without_padding(np.asarray(value)).tobytes())


def _scalar(dtype: Any, data: Any) -> Any:
    return _filled(_raw_dtype(dtype), (), "C", from_base64(data))[()]


def _masked_parts(array: Any) -> Any:
    if array.baseclass is not np.ndarray:
        return NotImplemented
    mask = None if array.mask is np.ma.nomask else np.asarray(array.mask)
    # Its default, which depends on the dtype, unless it was set.
    fill = array._fill_value  # noqa: SLF001
    hard = True if array.hardmask else None
    return array.data, mask, None if fill is None else fill[()], hard


def _masked(data: Any, mask: Any, fill: Any, hard: Any) -> Any:
    shape = expect(np.ndarray, data).shape
    if mask is None:
        mask = np.ma.nomask
    elif expect(np.ndarray, mask).shape != shape:
        msg = f"a mask of {mask.shape} for data of {shape}"
        raise ValueError(msg)
    return np.ma.MaskedArray(data, mask, fill_value=fill, hard_mask=hard is True)


_SCALAR = Rule("scalar", np.generic, _scalar_parts, _scalar, ("data",))
_NAMED_RULES = (
    Rule(
        "masked",
        "numpy.ma.MaskedArray",
        _masked_parts,
        _masked,
        ("mask", "fill_value", "hard"),
    ),
    Rule(
        "maskedconstant",
        "numpy.ma.core.MaskedConstant",
        lambda _: None,
        lambda _: np.ma.masked,
    ),
    *generators.RULES,
)
_NAMED = by_name(_NAMED_RULES)
BY_TAG = {r.tag: r for r in (_OBJECTS, _RECORDS, _STRINGS, _SCALAR, *_NAMED_RULES)}


def rule_for(value: Any) -> Rule | None:
    """Return the rule of a value of numpy's that is neither a number nor raw."""
    kind = type(value)
    if kind in _ARRAYS:
        return _array_rule(value.dtype)
    return _SCALAR if kind in _SCALARS else find(_NAMED, kind)
