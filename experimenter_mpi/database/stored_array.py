"""Arrays that stay where they are stored until somebody reads them."""

from __future__ import annotations

import math
import os
import weakref
from typing import TYPE_CHECKING, Any

from ..errors import CorruptDocumentError, DatabaseError
from . import documents

if TYPE_CHECKING:
    import numpy as np

    from ..encoding.codec import ArrayRecord
    from .file.storage import Storage


class StoredArray:
    """A numpy array in a database or in its folder of array files, not read yet.

    ``numpy.asarray(array)`` and ``array.read()`` read it, each time anew; ``shape``,
    ``dtype``, ``ndim``, ``size`` and ``nbytes`` are known without.
    """

    __slots__ = (
        *("_experiment_id", "_held", "_record", "_storage", "_what"),
        *("dtype", "id", "shape"),
    )

    def __init__(
        self,
        storage: Storage,
        experiment_id: str,
        plain: dict[str, Any],
        record: ArrayRecord | None = None,
        what: str | None = None,
    ) -> None:
        """``record`` says in which file it is, so that the database need not.

        ``what`` names what it belongs to, in errors.
        """
        from ..encoding.numpy_rules import outlined

        self._storage = storage
        self._experiment_id = experiment_id
        self._record = record
        self._what = what
        self._held: Any = None
        self.id: str = plain["$array"]
        self.dtype: np.dtype[Any]
        self.shape: tuple[int, ...]
        self.dtype, self.shape = outlined(plain)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def read(self) -> np.ndarray[Any, Any]:
        """Return the array: a new one, with memory of its own.

        Raises:
            CorruptDocumentError: it is missing or damaged.
        """
        array: np.ndarray[Any, Any]
        try:
            array = self._loaded()
        except CorruptDocumentError as error:
            if self._what is None:
                raise
            raise documents.explained(self._storage, self._what, error) from error
        return array

    def _loaded(self) -> Any:
        if self._record is not None and self._storage.files is not None:
            return self._storage.files.read(self._record)
        return documents.loader(self._storage, self._experiment_id)(self.id)

    def held(self) -> np.ndarray[Any, Any]:
        """Return the array that was returned before, as long as somebody holds it."""
        array = None if self._held is None else self._held()
        if array is None:
            array = self.read()
            self._held = weakref.ref(array)
        return array

    @property
    def place(self) -> tuple[str, str]:
        """The path of its HDF5 file, and the name of its dataset there.

        Raises:
            DatabaseError: it is in the database itself, as arrays of up to 1 MiB are.
        """
        record, files = self._found(), self._storage.files
        if record.file is None or record.dataset is None or files is None:
            msg = (
                f"the array of shape {self.shape} is in {self._storage.name} itself, "
                "as arrays of up to 1 MiB are: read it from trial.results"
            )
            raise DatabaseError(msg)
        return os.path.join(files.folder, record.file), record.dataset

    def _found(self) -> ArrayRecord:
        if self._record is None:
            with self._storage.reading() as connection:
                return documents.array_record(connection, self._experiment_id, self.id)
        return self._record

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if copy is False:
            msg = f"{self!r} must be read into a new array"
            raise ValueError(msg)
        array = self.read()
        return array if dtype is None else array.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"<stored array {self.shape} {self.dtype}>"


def refer(
    storage: Storage, experiment_id: str, what: str, plain: dict[str, Any]
) -> Any:
    """Return an array that a document refers to: one in a file is not read yet."""
    with storage.reading() as connection:
        record = documents.array_record(connection, experiment_id, plain["$array"])
    if record.file is None or storage.files is None:
        from ..encoding.numpy_rules import to_array

        return to_array(record)
    return StoredArray(storage, experiment_id, plain, record, what)
