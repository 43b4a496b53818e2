"""Choose trials of an experiment by an SQL expression that can do nothing but read."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from .file import engine
from .file.rows import checked_values
from .file.tables import trials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from .file.storage import Storage

# Of one trial: its columns, and what its JSON holds.
_READABLE = {"trials", "json_each", "json_tree"}
_HARMLESS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION}
_NOT_TO_CALL = {"load_extension", "fts3_tokenizer"}
_CHOOSE = """
SELECT trial_index FROM (SELECT * FROM trials WHERE experiment_id = ?) AS trials
WHERE ({}
) ORDER BY trial_index"""


def indices_where(storage: Storage, experiment_id: str, expression: str) -> list[int]:
    """Return the indices of the experiment's trials for which ``expression`` is true.

    It may use the columns of the table ``trials`` and SQLite's functions, as in
    ``status = 'failed' OR results ->> '$.loss' > 3``.

    Raises:
        ConfigurationError: it is not such an expression.
    """
    query = _CHOOSE.format(expression)
    with storage.reading() as connection, _reading_trials_only(connection) as driver:
        try:
            found = driver.execute(query, (experiment_id,)).fetchall()
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            if isinstance(error, sqlite3.DatabaseError) and _is_damage(error):
                raise
            raise _refused(expression, error) from None
        return checked_values(trials.c.trial_index, [index for (index,) in found])


@contextmanager
def _reading_trials_only(connection: Connection) -> Iterator[sqlite3.Connection]:
    """Let the connection do nothing but look at trials until the end of the block."""
    driver = engine.raw(connection)
    # Their first use makes them, which is more than a look.
    driver.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')").fetchall()
    driver.execute("PRAGMA query_only = ON")
    driver.set_authorizer(_permission)
    try:
        yield driver
    finally:
        # Python 3.10 cannot take an authorizer back.
        driver.set_authorizer(lambda *_: sqlite3.SQLITE_OK)
        driver.execute("PRAGMA query_only = OFF")


def _permission(action: int, first: Any, second: Any, *_: Any) -> int:
    """Tell SQLite whether a statement may do this, as it compiles it."""
    if action == sqlite3.SQLITE_READ:
        # Counting rows reads no column, and names no table of a subquery.
        allowed = first in _READABLE or not first
    else:
        allowed = action in _HARMLESS and second not in _NOT_TO_CALL
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return "malformed" in str(error) and "JSON" not in str(error)


def _refused(expression: str, error: Exception) -> ConfigurationError:
    reason = " ".join(str(error).split()) or type(error).__name__
    columns = ", ".join(column.name for column in trials.columns)
    msg = (
        f"--where {expression!r} cannot be used: {reason}; it is an SQL expression "
        f"such as \"status = 'failed' AND configuration ->> '$.N' > 10\", over the "
        f"columns {columns}"
    )
    return ConfigurationError(msg)
