"""Large arrays as immutable HDF5 files beside the database, one file per payload.

Used by workers: nothing is imported here that they should not carry; h5py comes with
the first large array.
"""

from __future__ import annotations

import os
import stat
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ..errors import CorruptDocumentError, DatabaseWriteError
from .codec import ArrayRecord, Encoded, for_files
from .disk import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedReader

_TEMPORARY = ".part"


class ArrayFiles:
    """The folder of one database's array files.

    A file is complete and on disk when its name appears, and never changes after: no
    file is open across a kill, and whoever knows a name may read it.
    """

    def __init__(
        self, folder: str, *, refusal: str | None = None, is_linked: bool = False
    ) -> None:
        """``refusal`` says why it is not used; one that ``is_linked`` may hold more."""
        self.folder = folder
        self._refusal = refusal
        self._is_linked = is_linked
        # Folders, by name and number, that are on the disk as far as we had it done.
        self._durable: set[tuple[str, int]] = set()

    def write(self, encoded: Encoded) -> Encoded:
        """Move large arrays, or many, into a new file; durable on return.

        Raises:
            DatabaseWriteError: the folder cannot be written, or the disk is full.
        """
        large = for_files(encoded)
        if not large:
            return encoded
        name = uuid.uuid4().hex
        # 256 folders: a million files in one folder is what file servers are slow at.
        file = f"{name[:2]}/{name}.h5"
        moved = dict(zip((each.id for each in large), _datasets(large), strict=True))
        try:
            self._write_file(file, large, moved)
        except (OSError, RuntimeError) as error:  # RuntimeError: h5py, while closing
            msg = f"cannot write an array to {self._path(file)}: {reason(error)}"
            raise DatabaseWriteError(msg) from error
        arrays = tuple(
            _elsewhere(each, file, moved[each.id]) if each.id in moved else each
            for each in encoded.arrays
        )
        return Encoded(encoded.document, arrays, encoded.pickled)

    def read(self, record: ArrayRecord) -> Any:
        """Return the array.

        Raises:
            CorruptDocumentError: the file is missing, damaged, or holds another array.
        """
        if record.file is None:
            from .numpy_rules import to_array  # needs numpy

            return to_array(record)
        from . import hdf5_index as contents
        from .numpy_rules import UNREADABLE  # needs numpy

        with self._opened(record.file) as file:
            try:
                return contents.read(file, record)
            except UNREADABLE as error:
                msg = f"the array file {file.name} cannot be read: {reason(error)}"
                raise CorruptDocumentError(msg) from error

    def copy(self, file: str, source: ArrayFiles) -> None:
        """Copy a file from another database's folder, unless it is here already."""
        target = self._path(file)
        if os.path.exists(target):
            return
        with source._opened(file) as original:
            try:
                self._publish(file, lambda path: _copy_bytes(original, path))
            except OSError as error:
                msg = f"cannot copy an array to {target}: {reason(error)}"
                raise DatabaseWriteError(msg) from error

    def add_piece(self, file: str, offset: int, data: bytes, *, is_last: bool) -> None:
        """Write a piece of a file from afar; with the last one the name appears.

        Raises:
            DatabaseWriteError: the folder cannot be written, or the disk is full.
        """
        path = self._path(file)
        try:
            with self._unless_broken(path) as temporary:
                if offset == 0:
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(temporary, "r+b" if offset else "wb") as part:
                    part.seek(offset)
                    part.write(data)
                if is_last:
                    self._let_appear(path)
        except OSError as error:
            msg = f"cannot write an array to {path}: {reason(error)}"
            raise DatabaseWriteError(msg) from error

    def piece(self, file: str, offset: int, size: int) -> bytes:
        """Return bytes of a file, none beyond its end.

        Raises:
            CorruptDocumentError: the file is missing, or cannot be read.
        """
        with self._opened(file) as whole:
            try:
                whole.seek(offset)
                return whole.read(size)
            except OSError as error:
                msg = f"the array file {whole.name} cannot be read: {reason(error)}"
                raise CorruptDocumentError(msg) from error

    def remove(self, file: str) -> None:
        """Delete a file that no row refers to any more."""
        # What cannot be deleted now is swept later, what is not ours never.
        with suppress(OSError, CorruptDocumentError):
            os.unlink(self._path(file))

    def names(self) -> Iterator[str]:
        """Yield the names of all files, with those that were never finished."""
        if os.path.islink(self.folder):
            return
        for folder in _listed(self.folder):
            names = (f"{folder}/{name}" for name in _listed(self.folder, folder))
            yield from (name for name in names if self._may_be_ours(name))

    @contextmanager
    def _opened(self, file: str) -> Iterator[BufferedReader]:
        """Open a file that is there already.

        Raises:
            CorruptDocumentError: it is missing, or is not a plain file.
        """
        path = self._path(file)
        try:
            opened = open(path, "rb", opener=_open_at_once)  # noqa: SIM115
        except FileNotFoundError:
            msg = (
                f"the array file {path} is missing: it belongs to the database, copy "
                f"the folder {self.folder} along with it"
            )
            raise CorruptDocumentError(msg) from None
        except OSError as error:
            msg = f"the array file {path} cannot be read: {reason(error)}"
            raise CorruptDocumentError(msg) from error
        with opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                msg = f"the array file {path} is not a regular file, so it is not read"
                raise CorruptDocumentError(msg)
            yield opened

    def _write_file(
        self, file: str, records: list[ArrayRecord], datasets: dict[str, str]
    ) -> None:
        from . import hdf5  # needs h5py

        self._publish(file, lambda path: hdf5.write(path, records, datasets))

    def _publish(self, file: str, write: Callable[[str], None]) -> None:
        """Write under a temporary name, then let the name appear."""
        path = self._path(file)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with self._unless_broken(path) as temporary:
            write(temporary)
            self._let_appear(path)

    def _let_appear(self, path: str) -> None:
        """Rename a file once it is synced to disk, and sync its folder."""
        _sync(path + _TEMPORARY, forget=True)
        os.rename(path + _TEMPORARY, path)
        folder = os.path.dirname(path)
        _sync(folder)
        # Whoever made the folder may be about to do this, and may not live to do it. It
        # comes last, when file systems with a journal have little left to do.
        made = folder, os.stat(folder).st_ino
        if made not in self._durable:
            _sync(self.folder)
            _sync(os.path.dirname(self.folder))
            self._durable.add(made)

    @contextmanager
    def _unless_broken(self, path: str) -> Iterator[str]:
        """Provide the name to write under; nothing stays there if that fails."""
        temporary = path + _TEMPORARY
        try:
            yield temporary
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def _may_be_ours(self, file: str) -> bool:
        """Whether the file can be one that was written here."""
        return not self._is_linked or _is_ours(file)

    def _path(self, file: str) -> str:
        """Return a file's path; a database is data, and must not lead elsewhere."""
        if self._refusal is not None:
            raise CorruptDocumentError(self._refusal)
        if os.path.islink(self.folder):
            msg = (
                f"the array folder {self.folder} has become a link since the database "
                "was opened: open the database again"
            )
            raise CorruptDocumentError(msg)
        folder = os.path.realpath(self.folder)
        is_name = "\x00" not in file
        path = os.path.realpath(os.path.join(folder, file)) if is_name else ""
        if not path.startswith(folder + os.sep) or not self._may_be_ours(file):
            msg = (
                f"the array file {file!r} is outside of {self.folder}, so it "
                "is not read: this package never writes such a path, so do not trust "
                "this database"
            )
            raise CorruptDocumentError(msg)
        return path


def _is_ours(file: str) -> bool:
    """Whether ``write`` gives such names, or its copies have them while unfinished."""
    folder, _, name = file.removesuffix(_TEMPORARY).removesuffix(".h5").partition("/")
    is_name = len(name) == 32 and set(name) <= set("0123456789abcdef")  # noqa: PLR2004
    return is_name and folder == name[:2] and ".h5" in file


def _elsewhere(record: ArrayRecord, file: str, dataset: str) -> ArrayRecord:
    """Return the record without its bytes, which are in the file."""
    described = record.id, record.dtype, record.shape, record.order
    return ArrayRecord(*described, None, record.path, file, dataset)


def _datasets(records: list[ArrayRecord]) -> list[str]:
    """Name each array in its file after its place in the document."""
    names: dict[str, None] = {}
    for record in records:
        plain = record.path.encode("utf-8", "backslashreplace").decode()
        # A slash would make a group, and a lone dot means the group itself.
        name = plain.replace("/", "_").replace("\x00", "_").strip(".") or "array"
        names[name if name not in names else f"{name} ({record.id})"] = None
    return list(names)


def _open_at_once(path: str, flags: int) -> int:
    # What only looks like a file, a pipe for one, must not keep us waiting.
    return os.open(path, flags | os.O_NONBLOCK)


def _listed(*folder: str) -> list[str]:
    try:
        return sorted(os.listdir(os.path.join(*folder)))
    except OSError:  # there is none, or it is none
        return []


def _copy_bytes(source: BufferedReader, path: str) -> None:
    import shutil  # rank 0 only

    with open(path, "wb") as target:
        shutil.copyfileobj(source, target, 1024 * 1024)


def _sync(path: str, *, forget: bool = False) -> None:
    """Sync a file, or the names in a folder, to disk, and ``forget`` it in memory.

    Nobody reads it soon, and a node's memory is what trials need.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
        if forget and hasattr(os, "posix_fadvise"):  # not on macOS
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)
