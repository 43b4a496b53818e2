"""What a database says of itself: the id by which it is known wherever it stands.

The id is random and made with the file. A copy made by ``cp`` has it too, and so is
known by its path as well; an export is a new database.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from sqlalchemy import select

from ...errors import DatabaseError
from .rows import checked_value
from .tables import database_properties

if TYPE_CHECKING:
    from sqlalchemy import Connection


def read_id(connection: Connection) -> str:
    """Return the id of an open database of today's version.

    Raises:
        BadRowError: it was deleted.
    """
    value = database_properties.c.value
    query = select(value).where(database_properties.c.key == "id")
    found: str = checked_value(value, connection.execute(query).scalar())
    return found


def stored_id(path: str) -> str | None:
    """Return the id of the database at ``path``; None without one that can be read."""
    from .opening import open_storage

    try:
        with closing(open_storage(path, read_only=True)) as storage:
            return storage.database_id
    except DatabaseError:
        return None
