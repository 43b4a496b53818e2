"""Where a rank's large arrays go: into files beside the database.

By itself if it sees that folder, else piece by piece through rank 0. In either case
only a reference is part of the message that holds the outcome, so that neither a
message nor rank 0's memory grows with the size of an array.
"""

from __future__ import annotations

import json
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any

from ..encoding.codec import for_files
from ..errors import CorruptDocumentError, EncodingError

if TYPE_CHECKING:
    from ..encoding.codec import ArrayRecord, Encoded
    from .remote_arrays import FileTransfer

# Without files, arrays are part of the message and of the database's memory: SQLite
# takes 1 GB in a row, and on the way they are held several times.
MAX_BYTES_WITHOUT_FILES = 512 * 1024 * 1024
# From here on it costs rank 0 no more to keep bytes apart than to copy them once more.
APART_BYTES = 8192


class SharedArrays:
    """Implements ``context.Arrays`` for a rank that may see the ``folder``.

    ``folder`` is None for a database in memory. ``lock_token`` is what the database's
    lock file must say for the folder to be the coordinator's; None: it is this very
    process's. If it is not, ``transfer`` brings the files there and back; without one,
    arrays stay in the message, up to a limit.
    """

    def __init__(
        self,
        folder: str | None,
        lock_token: str | None = None,
        transfer: FileTransfer | None = None,
    ) -> None:
        self._folder = folder
        self._lock_token = lock_token
        self._transfer = transfer
        self._place: Any = None

    def write(self, encoded: Encoded) -> Encoded:
        """Move large arrays to a file; the rest own their bytes from now on.

        The trial function may reuse its arrays for the next trial, before the outcome
        has left this rank.

        Raises:
            DatabaseWriteError: the file cannot be written.
            EncodingError: there can be no file, and the arrays are too large.
        """
        if not encoded.arrays:
            return encoded
        if for_files(encoded):
            encoded = self._write_files(encoded)
        return encoded._replace(arrays=tuple(map(_owned, encoded.arrays)))

    def read(self, record: ArrayRecord) -> Any:
        """Return the array, from the record itself or from its file."""
        if record.file is None:
            from ..encoding.numpy_rules import to_array

            return to_array(record)
        files = self._files()
        if files is None:
            msg = f"the array file {record.file} cannot be reached from this process"
            raise CorruptDocumentError(msg)
        return files.read(record)

    def _write_files(self, encoded: Encoded) -> Encoded:
        files = self._files()
        if files is not None:
            written: Encoded = files.write(encoded)
            return written
        size = sum(record.nbytes for record in encoded.arrays)
        if size > MAX_BYTES_WITHOUT_FILES:
            msg = (
                f"the value holds {size:,} bytes of arrays, and a database in memory "
                f"takes at most {MAX_BYTES_WITHOUT_FILES:,} at once: use one in a file"
            )
            raise EncodingError(msg)
        return encoded

    def _files(self) -> Any:
        """Return what writes and reads the files, None if there can be none."""
        if self._place is None and self._folder is not None:
            if self._is_coordinators():
                from ..encoding.array_files import ArrayFiles

                self._place = ArrayFiles(self._folder)
            elif self._transfer is not None:
                from .remote_arrays import RemoteArrays

                self._place = RemoteArrays(self._transfer)
        return self._place

    def _is_coordinators(self) -> bool:
        if self._lock_token is None:
            return True
        folder, token = self._folder or "", self._lock_token
        try:
            with open(f"{folder.removesuffix('.arrays')}.lock", encoding="utf-8") as f:
                if json.load(f).get("token") == token:
                    return True
        except (OSError, ValueError, AttributeError):
            pass
        from ..encoding.linked import is_claimed

        return is_claimed(folder, token)  # it is not beside its lock


def _owned(record: ArrayRecord) -> ArrayRecord:
    if record.data is None or isinstance(record.data, bytes):
        return record
    kind = bytes if record.nbytes < APART_BYTES else Apart
    return record._replace(data=kind(record.data))


class Apart(bytes):
    """Bytes that are a buffer of their own beside the pickle of what holds them.

    Whoever unpickles that is given the buffer as it arrived, uncopied (PEP 574).
    """

    __slots__ = ()

    def __reduce_ex__(self, protocol: Any) -> Any:
        if protocol < 5:  # noqa: PLR2004 - the first that knows buffers
            return bytes, (bytes(self),)
        return _as_it_came, (PickleBuffer(self),)


def _as_it_came(buffer: Any) -> Any:
    return buffer
