"""Which array files are in use, and the removal of those that are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from ..encoding.array_files import ArrayFiles
from .file.rows import checked_value
from .file.tables import arrays
from .garbage import in_groups

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from ..encoding.linked import ArrayFolder
    from .file.storage import Storage


def files_in(folder: ArrayFolder) -> ArrayFiles:
    """Return the files of a database's array folder, wherever that is."""
    return ArrayFiles(folder.path, refusal=folder.refusal, is_linked=folder.is_linked)


def used_files(connection: Connection, experiment_id: str | None = None) -> set[str]:
    """Return the files that an experiment's arrays, or any, are in."""
    query = select(arrays.c.file).where(arrays.c.file.is_not(None)).distinct()
    if experiment_id is not None:
        query = query.where(arrays.c.experiment_id == experiment_id)
    rows = connection.execute(query).scalars()
    return {checked_value(arrays.c.file, file) for file in rows}


def remove_unused(storage: Storage, files: Iterable[str]) -> None:
    """Delete those files that no row refers to; call it after the commit.

    Before it, a crash would leave rows without their files; after it, a crash leaves
    files without rows, which ``sweep_leftovers`` finds.
    """
    names = set(files)
    if not names or storage.files is None:
        return
    with storage.reading() as connection:
        for some in in_groups(sorted(names)):
            query = select(arrays.c.file).where(arrays.c.file.in_(some))
            names.difference_update(connection.execute(query).scalars())
    for name in names:
        storage.files.remove(name)


def sweep_leftovers(storage: Storage) -> int:
    """Delete files that killed runs left; give their number.

    Only while no worker writes: a file whose outcome is still on its way to rank 0
    looks like one.
    """
    if storage.files is None:
        return 0
    with storage.writing():
        with storage.reading() as connection:
            used = used_files(connection)
        unused = [name for name in storage.files.names() if name not in used]
        for name in unused:
            storage.files.remove(name)
    return len(unused)
