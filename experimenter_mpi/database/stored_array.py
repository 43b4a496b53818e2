"""Arrays that stay where they are stored until somebody reads them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from . import documents

if TYPE_CHECKING:
    import numpy as np

    from .file.storage import Storage


class StoredArray:
    """A numpy array in a database or in its folder of array files, not read yet.

    ``numpy.asarray(array)`` and ``array.read()`` read it, each time anew; ``shape``,
    ``dtype``, ``ndim``, ``size`` and ``nbytes`` are known without.
    """

    __slots__ = ("_experiment_id", "_storage", "dtype", "id", "shape")

    def __init__(
        self, storage: Storage, experiment_id: str, plain: dict[str, Any]
    ) -> None:
        from ..encoding.numpy_rules import outlined

        self._storage = storage
        self._experiment_id = experiment_id
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
        read = documents.loader(self._storage, self._experiment_id)
        array: np.ndarray[Any, Any] = read(self.id)
        return array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if copy is False:
            msg = f"{self!r} has to be read, which makes an array of its own"
            raise ValueError(msg)
        array = self.read()
        return array if dtype is None else array.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"<stored array {self.shape} {self.dtype}>"
