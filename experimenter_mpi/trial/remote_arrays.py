"""Large arrays of a rank that does not see the database's folder: files in pieces.

The rank writes the same HDF5 file as everybody, in a temporary folder of its own, and
rank 0 puts it together again piece by piece. However large a result is, rank 0 holds
one piece of it, and no message is larger than that.
"""

from __future__ import annotations

import os
from _thread import allocate_lock  # as in worker: threading would be more modules
from typing import TYPE_CHECKING, Any, Protocol

from .signals import deferred

if TYPE_CHECKING:
    from ..encoding.array_files import ArrayFiles
    from ..encoding.codec import ArrayRecord, Encoded

# Large against what a round trip costs, small against rank 0's memory.
PIECE_BYTES = 16 * 1024 * 1024


class FileTransfer(Protocol):
    """Brings pieces of files to the database's folder, and from there."""

    def add_piece(self, file: str, offset: int, data: bytes, *, is_last: bool) -> None:
        """See ``Ledger.add_piece``."""

    def piece(self, file: str, offset: int, size: int) -> bytes:
        """See ``Ledger.piece``."""


class RemoteArrays:
    """Array files in a folder that only the ``transfer`` reaches.

    Threads may share it.
    """

    def __init__(self, transfer: FileTransfer) -> None:
        self._transfer = transfer
        self._folder: str | None = None
        # What was fetched last: a payload's arrays are in one file, and asked for
        # one after the other.
        self._fetched: str | None = None
        self._in_use = allocate_lock()

    def write(self, encoded: Encoded) -> Encoded:
        """Move large arrays into a new file beside the database; durable on return.

        Raises:
            DatabaseWriteError: there is no space for it, here or there.
        """
        files = self._files()
        written = files.write(encoded)
        for file in {record.file for record in written.arrays if record.file}:
            try:
                self._send(os.path.join(files.folder, file), file)
            finally:
                files.remove(file)
        return written

    def read(self, record: ArrayRecord) -> Any:
        """Return the array of a record that is in a file.

        Raises:
            CorruptDocumentError: the file is missing, damaged, or holds another array.
        """
        files, file = self._files(), record.file or ""
        with deferred(), self._in_use:
            if self._fetched != file:
                if self._fetched is not None:
                    files.remove(self._fetched)
                self._fetch(file, files)
                self._fetched = file
            return files.read(record)

    def _send(self, path: str, file: str) -> None:
        size = os.path.getsize(path)
        with open(path, "rb") as whole:
            for offset in range(0, size, PIECE_BYTES):
                data = whole.read(PIECE_BYTES)
                is_last = offset + PIECE_BYTES >= size
                self._transfer.add_piece(file, offset, data, is_last=is_last)

    def _fetch(self, file: str, files: ArrayFiles) -> None:
        offset, is_last = 0, False
        while not is_last:
            data = self._transfer.piece(file, offset, PIECE_BYTES)
            is_last = len(data) < PIECE_BYTES
            files.add_piece(file, offset, data, is_last=is_last)
            offset += len(data)

    def _files(self) -> ArrayFiles:
        import shutil
        import tempfile
        import weakref

        from ..encoding.array_files import ArrayFiles

        with deferred(), self._in_use:
            if self._folder is None:
                self._folder = tempfile.mkdtemp(prefix="experimenter_mpi-")
                weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return ArrayFiles(self._folder)
