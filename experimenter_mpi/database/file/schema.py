"""Refuse a database whose schema does more than hold rows: it may be a stranger's.

A view in the place of a table, a trigger, a generated column, a check or an index of
expressions is SQL that runs by looking at or writing to the file, for as long and with
as much memory as its author liked. The view ``trials`` must be ours to the letter. What
people add to analyse their results (views, tables, columns, plain indexes) stays
allowed; this package reads no view.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ...errors import CorruptDocumentError
from . import views
from .tables import metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Row

# What our tables never say; a column of such a name would be refused as well.
_ACTIVE = re.compile(r"\b(CHECK|COLLATE|GENERATED|AS)\b", re.IGNORECASE)
_WHERE = re.compile(r"\bWHERE\b(.*)", re.IGNORECASE | re.DOTALL)
# The conditions of our own indexes, of today and before, without spaces and quotes.
_CONDITIONS = {"status<>2", "fileISNOTNULL", "deaths>0", "status<>'finished'"}
# Tables that version 1 did not have, and what is a view by now.
_LATER = {
    *("database_properties", "blocks", "trial_counts", "trial_places"),
    *("trial_records", "trial_errors", "set_aside", "trial_notes"),
    "trial_tags",
}
_TRIALS = "trials"


def require_passive(
    connection: Connection, path: str, *, before_upgrade: bool = False
) -> None:
    """Make sure that nothing in the schema runs SQL of its own.

    ``before_upgrade`` tables and columns may be missing that later versions have.

    Raises:
        CorruptDocumentError: something does, or a table is not what it should be.
    """
    query = "SELECT type, name, tbl_name, sql FROM sqlite_master"
    entries = connection.exec_driver_sql(query).all()
    ours = {*metadata.tables, _TRIALS}
    for entry in entries:
        if entry.type == "trigger":
            raise _refused(path, f"the trigger '{entry.name}'", "DROP TRIGGER", entry)
        if entry.type == "index" and entry.tbl_name in ours:
            _check_index(connection, path, entry)
    tables = {entry.name: entry for entry in entries if entry.type == "table"}
    for table in metadata.tables.values():
        if before_upgrade and table.name in _LATER and table.name not in tables:
            continue
        there = _check_table(connection, path, table.name, tables)
        if not before_upgrade and not there.issuperset(table.columns.keys()):
            raise _not_ours(path, table.name)
    if before_upgrade and _TRIALS in tables:  # before version 7
        _check_table(connection, path, _TRIALS, tables)
    elif (_TRIALS, views.TRIALS) not in {(each.name, each.sql) for each in entries}:
        raise _not_ours(path, _TRIALS)


def _check_table(
    connection: Connection, path: str, name: str, tables: Mapping[str, Row[Any]]
) -> set[str]:
    """Return the names of the table's columns."""
    if name not in tables:
        msg = (
            f"{path} is damaged or was tampered with: it has no table '{name}'; use an "
            "older copy, or a new database"
        )
        raise CorruptDocumentError(msg)
    sql = str(tables[name].sql)
    columns = connection.exec_driver_sql(f"PRAGMA table_xinfo({name})").all()
    there = {column.name for column in columns if not column.hidden}
    if (
        not sql.upper().startswith("CREATE TABLE")
        or _ACTIVE.search(sql)
        or any(column.hidden for column in columns)
        or any(_is_computed(column.dflt_value) for column in columns)
    ):
        raise _not_ours(path, name)
    return there


def _not_ours(path: str, name: str) -> CorruptDocumentError:
    msg = (
        f"{path}: the table '{name}' differs from the one that this package creates, "
        "so it was not read; use an older copy, or a new database"
    )
    return CorruptDocumentError(msg)


def _is_computed(default: Any) -> bool:
    return default is not None and re.fullmatch(r"'\w*'|-?\w+", str(default)) is None


def _check_index(connection: Connection, path: str, entry: Row[Any]) -> None:
    quoted = entry.name.replace('"', '""')
    columns = connection.exec_driver_sql(f'PRAGMA index_xinfo("{quoted}")').all()
    of_expressions = any(column.cid < -1 for column in columns)
    found = _WHERE.search(entry.sql or "")
    condition = re.sub(r'[\s"]+', "", found[1]) if found else None
    if of_expressions or condition not in {None, *_CONDITIONS}:
        raise _refused(path, f"the index '{entry.name}'", "DROP INDEX", entry)


def _refused(
    path: str, what: str, remedy: str, entry: Row[Any]
) -> CorruptDocumentError:
    name = entry.name.replace('"', '""')
    return CorruptDocumentError(
        f"{path} contains {what}, which would run SQL that someone else wrote: remove "
        f"it with sqlite3 and '{remedy} \"{name}\"' before using the file"
    )
