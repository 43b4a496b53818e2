"""Values in and out of the database: a document, and rows or files for its arrays."""

from __future__ import annotations

import json
import math
import re
import warnings
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from ..encoding import codec
from ..encoding.rules import expect
from ..errors import (
    CorruptDocumentError,
    EncodingError,
    PickleRefusedError,
    pickle_warning,
)
from ..experiment.derived import DerivedVariable
from ..experiment.designs import SampledVariable
from ..experiment.filters import KeptVariable
from ..experiment.listed import ABSENT, Absent, ListedVariable
from ..experiment.variables import (
    IntegerVariable,
    IterableVariable,
    LinearVariable,
    LogLinearVariable,
    MatchIterableVariable,
    RepeatVariable,
    Variable,
)
from ..experiment.zipped import ZippedVariable
from .file.rows import checked
from .file.tables import arrays

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection

    from ..encoding.codec import ArrayRecord, Encoded
    from .file.storage import Storage

_REFERENCE = re.compile(r'"\$array":\s*"([0-9a-f]{32})"')
# For the driver's executemany, as in trial_ledger.py: an array of 8 KiB in 30 us
# instead of 80.
_COLUMNS = (
    'INSERT OR IGNORE INTO arrays (experiment_id, id, dtype, shape, "order", nbytes, '
    "path, data, file, dataset)"
)
_INSERT = f"{_COLUMNS} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_OF_UNFINISHED = (
    f"{_COLUMNS} SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE NOT EXISTS "  # noqa: S608
    "(SELECT 1 FROM trial_records WHERE key = ? AND status = 2)"
)
_SELECT = select(arrays)
_LARGEST_INTEGER = (1 << 63) - 1  # of SQLite


# Arguments that are lists in JSON, of keys of the configuration or of ranges.
_PATHS = {"names", "of", "paths", "kept"}


def _rule(variable: type[Variable]) -> codec.Rule:
    """Store a variable as its arguments: ``{"$LinearVariable": {"min": 1, ...}}``."""

    def to_plain(value: Any) -> dict[str, Any]:
        arguments = {name: getattr(value, name) for name in variable.__slots__}
        if "entries" in arguments:
            arguments["iter"] = list(arguments.pop("entries"))
        for name in _PATHS & arguments.keys():
            arguments[name] = _lists(arguments[name])
        return arguments

    def from_plain(plain: Any) -> Variable:
        arguments = expect(dict, plain)
        if "iter" in arguments:  # written as a list; a range may be without end
            expect(list, arguments["iter"])
        return variable(**arguments)

    return codec.Rule(variable.__name__, variable, to_plain, from_plain)


def _lists(paths: Any) -> Any:
    return list(map(_lists, paths)) if isinstance(paths, tuple) else paths


_VARIABLES = (
    LinearVariable,
    LogLinearVariable,
    IntegerVariable,
    RepeatVariable,
    IterableVariable,
    MatchIterableVariable,
    ZippedVariable,
    DerivedVariable,
    KeptVariable,
    SampledVariable,
    ListedVariable,
)
VARIABLE_RULES = (
    *map(_rule, _VARIABLES),
    codec.Rule("absent", Absent, lambda _: True, lambda _: ABSENT),
)


def encode_configuration(value: Any, *, part: bool = False) -> Encoded:
    """Encode a configuration, or a part of it: equal ones give equal documents."""
    return codec.encode(value, hash_up_to=None, extra=VARIABLE_RULES, part=part)


def encode_payload(
    storage: Storage, what: str, value: Any, owner: str | None = None
) -> Encoded:
    """Encode results or a state; large arrays are in their files on return.

    Arrays of an ``owner`` are shared with no other; see ``codec.owned``.
    """
    if not isinstance(value, dict):
        msg = f"{what} must be a dict, not {type(value).__name__}"
        raise EncodingError(msg)
    encoded = codec.encode(value, hash_up_to=codec.INLINE_BYTES)
    warn_of_pickles(encoded.pickled)
    return settled(storage, encoded if owner is None else codec.owned(encoded, owner))


def settled(storage: Storage, encoded: Encoded) -> Encoded:
    """Move large arrays to a file, where the database has a folder for them."""
    if encoded.arrays and storage.files is not None:
        return storage.files.write(encoded)
    return encoded


def settled_records(
    storage: Storage, records: Iterable[ArrayRecord]
) -> tuple[ArrayRecord, ...]:
    """Move large arrays of a configuration to one file."""
    return settled(storage, codec.Encoded("", tuple(records))).arrays


def warn_of_pickles(pickled: Iterable[tuple[str, str]]) -> None:
    """Warn of what can be read back only with ``allow_pickle``."""
    for path, kind in dict.fromkeys(pickled):
        warnings.warn(pickle_warning(path, kind), stacklevel=5)


def storable(text: str | None) -> str | None:
    """Return text as UTF-8 can hold it: file names in messages are not always text."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def keep_arrays(
    connection: Connection, experiment_id: str, records: Iterable[ArrayRecord]
) -> None:
    """Insert what is not there yet; arrays never change, so equal ids are equal."""
    rows = [_row(experiment_id, record) for record in records]
    if rows:
        connection.exec_driver_sql(_INSERT, rows)


def keep_results_arrays(
    connection: Connection,
    experiment_id: str,
    payloads: Iterable[tuple[int, Iterable[ArrayRecord]]],
) -> None:
    """Insert the arrays of trials' results, unless a trial has its results already."""
    rows = [
        (*_row(experiment_id, record), key)
        for key, records in payloads
        for record in records
    ]
    if rows:
        connection.exec_driver_sql(_INSERT_OF_UNFINISHED, rows)


def _row(experiment_id: str, record: ArrayRecord) -> tuple[Any, ...]:
    return (
        experiment_id,
        record.id,
        record.dtype,
        f"[{', '.join(map(str, record.shape))}]",
        record.order,
        record.nbytes,
        storable(record.path),
        record.data,
        record.file,
        record.dataset,
    )


def array_record(
    connection: Connection, experiment_id: str, array_id: str
) -> ArrayRecord:
    """Return an array as it is kept.

    Raises:
        CorruptDocumentError: there is none of this id, or it is described wrongly.
    """
    mine = (arrays.c.experiment_id == experiment_id) & (arrays.c.id == array_id)
    row = connection.execute(_SELECT.where(mine)).one_or_none()
    if row is None:
        msg = f"array {array_id} is not in the database"
        raise CorruptDocumentError(msg)
    checked(arrays, row)
    shape = _shape(array_id, row.shape)
    record = codec.ArrayRecord(
        row.id,
        row.dtype,
        shape,
        row.order,
        # An empty array's bytes may have been stored as none at all.
        b""
        if row.data is None and row.file is None and not math.prod(shape)
        else row.data,
        row.path,
        row.file,
        row.dataset,
    )
    _require_size(record)
    return record


def _require_size(record: ArrayRecord) -> None:
    """Refuse a type that says no size: whoever moves the array asks for it."""
    try:
        size = record.nbytes
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
        msg = f"array {record.id} has the invalid type {record.dtype:.60}"
        raise CorruptDocumentError(msg) from None
    if size > _LARGEST_INTEGER:
        msg = (
            f"array {record.id} would take {size} bytes by its type and shape: it is "
            "damaged"
        )
        raise CorruptDocumentError(msg)


def _shape(array_id: str, text: str) -> tuple[int, ...]:
    try:
        shape = json.loads(text)
        if all(type(length) is int and length >= 0 for length in shape):
            return tuple(shape)
    except (ValueError, TypeError, RecursionError):
        pass
    msg = f"array {array_id} has the invalid shape {text:.60}"
    raise CorruptDocumentError(msg)


def inline(storage: Storage, record: ArrayRecord) -> ArrayRecord:
    """Return a record that holds its bytes itself instead of referring to a file."""
    if record.file is None or storage.files is None:
        return record
    array = storage.files.read(record)
    data = array.tobytes(order="F" if record.order == "F" else "C")
    described = record.id, record.dtype, record.shape, record.order
    return codec.ArrayRecord(*described, data, record.path)


def references(document: str | None) -> set[str]:
    """Return the ids of the arrays that a document refers to."""
    return set(_REFERENCE.findall(document)) if document else set()


def with_arrays(connection: Connection, experiment_id: str, document: str) -> Encoded:
    """Return a stored document with the records it refers to, as it was encoded."""
    ids = sorted(references(document))
    records = (array_record(connection, experiment_id, each) for each in ids)
    return codec.Encoded(document, tuple(records))


def decode(
    storage: Storage,
    experiment_id: str,
    document: str,
    what: str,
    refer: Callable[[dict[str, Any]], Any] | None = None,
) -> Any:
    """Return the value of a stored document; ``what`` names it in errors.

    With ``refer`` no array is read; see ``codec.decode``.

    Raises:
        PickleRefusedError: it holds a pickle, and none may be read.
        CorruptDocumentError: it, or an array of it, is not what this package writes.
    """
    try:
        return codec.decode(
            document,
            loader(storage, experiment_id),
            allow_pickle=storage.allow_pickle,
            extra=VARIABLE_RULES,
            refer=refer,
        )
    except (PickleRefusedError, CorruptDocumentError) as error:
        raise explained(storage, what, error) from error


def explained(
    storage: Storage, what: str, error: PickleRefusedError | CorruptDocumentError
) -> PickleRefusedError | CorruptDocumentError:
    """Return the error with where it was met, and what can be done about it."""
    return type(error)(f"{storage.name}: {what}: {error}{_remedy(error, what)}")


def _remedy(error: Exception, what: str) -> str:
    if isinstance(error, PickleRefusedError):
        return ""  # it says how it can be read
    if what.startswith("results"):
        return "; the rest can be read, and 'reset' lets the trial run again"
    return "; the rest can be read and exported"


def loader(storage: Storage, experiment_id: str) -> Callable[[str], Any]:
    """Return what reads the arrays of an experiment by their ids."""

    def load(array_id: str) -> Any:
        with storage.reading() as connection:
            record = array_record(connection, experiment_id, array_id)
        if record.file is None or storage.files is None:
            from ..encoding.numpy_rules import to_array

            return to_array(record)
        return storage.files.read(record)

    return load
