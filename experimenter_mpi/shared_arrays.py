"""Where a rank's large arrays go: into files beside the database, if it can see them.

A rank on another host may not share the database's folder; its arrays then travel to
rank 0 inside the message.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .codec import INLINE_BYTES

if TYPE_CHECKING:
    from .codec import ArrayRecord, Encoded


class SharedArrays:
    """Implements ``context.Arrays`` for a rank that may see the ``folder``.

    ``lock_token`` is what the database's lock file must say for the folder to be the
    coordinator's; None: it is this very process's.
    """

    def __init__(self, folder: str | None, lock_token: str | None = None) -> None:
        self._folder = folder
        self._lock_token = lock_token
        self._shared: bool | None = None

    def write(self, encoded: Encoded) -> Encoded:
        """Move large arrays to a file; the rest own their bytes from now on.

        The trial function may reuse its arrays for the next trial, before the outcome
        has left this rank.
        """
        if not encoded.arrays:
            return encoded
        if any(record.nbytes > INLINE_BYTES for record in encoded.arrays):
            encoded = self._write_files(encoded)
        return encoded._replace(arrays=tuple(map(_owned, encoded.arrays)))

    def read(self, record: ArrayRecord) -> Any:
        """Give the array, from the record itself or from its file."""
        if record.file is None:
            from .ndarrays import to_array

            return to_array(record)
        return self._files().read(record)

    def _write_files(self, encoded: Encoded) -> Encoded:
        if self._shared is None:
            self._shared = self._folder is not None and self._is_coordinators()
        return self._files().write(encoded) if self._shared else encoded

    def _files(self) -> Any:
        from .database.arrays import ArrayFiles

        return ArrayFiles(self._folder or "")

    def _is_coordinators(self) -> bool:
        if self._lock_token is None:
            return True
        lock_path = (self._folder or "").removesuffix(".arrays") + ".lock"
        try:
            with open(lock_path, encoding="utf-8") as file:
                return bool(json.load(file).get("token") == self._lock_token)
        except (OSError, ValueError, AttributeError):
            return False


def _owned(record: ArrayRecord) -> ArrayRecord:
    if record.data is None or isinstance(record.data, bytes):
        return record
    return record._replace(data=bytes(record.data))
