"""From version 7 to 8: an experiment may be extended, and trials set aside.

What is done here must never change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

_STATEMENTS = (
    "ALTER TABLE experiments ADD COLUMN asked_count INTEGER",
    "ALTER TABLE experiments ADD COLUMN assume TEXT",
    "ALTER TABLE blocks ADD COLUMN parts TEXT",
    """
    CREATE TABLE set_aside (
        experiment INTEGER NOT NULL,
        first INTEGER NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (experiment, first)
    )
    """,
)


def let_experiments_grow(connection: Connection) -> None:
    """Add which blocks are parts of grids, and which trials are not asked for."""
    for statement in _STATEMENTS:
        connection.exec_driver_sql(statement)
