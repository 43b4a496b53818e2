"""Choose trials of an experiment by an SQL expression that can do nothing but read."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from .file import engine, views
from .lookup import trial_keys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from sqlalchemy import Connection

    from .file.storage import Storage

# Of one trial: its columns, and what its JSON holds.
_READABLE = {
    *("trials", "trial_records", "trial_places", "trial_errors"),
    *("json_each", "json_tree"),
}
_HARMLESS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION}
_NOT_TO_CALL = {"load_extension", "fts3_tokenizer"}
# Not the view of the file, which holds the trials of all experiments.
_TRIALS = views.trials_of(
    "?", "?", "trial_records", "trial_records.key BETWEEN ? AND ?"
)
_CHOOSE = f"""
WITH trials AS ({_TRIALS})
SELECT trial_index FROM trials WHERE ({{}}
) ORDER BY trial_index"""  # noqa: S608 - the authorizer refuses all that is more


def indices_where(
    storage: Storage,
    experiment_id: UUID | str,
    expression: str,
    *,
    aside: bool = False,
) -> list[int]:
    """Return the indices of the experiment's trials for which ``expression`` is true.

    It may use the columns of the view ``trials`` and SQLite's functions, as in
    ``status = 'failed' OR results ->> '$.loss' > 3``. Of trials that no run has
    touched there is no row, and so they are never among them. Those that are set aside
    are among them only if ``aside``.

    Raises:
        ConfigurationError: it is not such an expression.
    """
    query = _CHOOSE.format(expression)
    with storage.reading() as connection:
        keys = trial_keys(storage, connection, experiment_id)
        values = keys.ids.prefix, keys.experiment_id, keys.first, keys.last
        found = _chosen(connection, expression, query, values)
    indices = [index for (index,) in found]
    if keys.is_plain or aside:
        return indices
    return [index for index in indices if index in keys.asked]


def _chosen(
    connection: Connection, expression: str, query: str, values: tuple[Any, ...]
) -> list[tuple[int]]:
    with _reading_trials_only(connection) as driver:
        try:
            return driver.execute(query, values).fetchall()
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            if isinstance(error, sqlite3.DatabaseError) and _is_damage(error):
                raise
            raise _refused(expression, error) from None


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
    columns = ", ".join(views.COLUMNS)
    msg = (
        f"--where {expression!r} cannot be used: {reason}; it is an SQL expression "
        f"such as \"status = 'failed' AND configuration ->> '$.N' > 10\", over the "
        f"columns {columns}"
    )
    return ConfigurationError(msg)
