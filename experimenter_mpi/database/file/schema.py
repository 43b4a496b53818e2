"""Refuse a database whose schema does more than hold rows: it may be a stranger's.

A view in the place of a table, a trigger, a generated column, a check or an index of
expressions is SQL that runs by looking at or writing to the file, for as long and with
as much memory as its author liked. What people add to analyse their results (views,
tables, columns, plain indexes) stays allowed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ...errors import CorruptDocumentError
from .tables import metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Table

# What our tables never say; a column of such a name would be refused as well.
_ACTIVE = re.compile(r"\b(CHECK|COLLATE|GENERATED|AS)\b", re.IGNORECASE)
_WHERE = re.compile(r"\bWHERE\b(.*)", re.IGNORECASE | re.DOTALL)
# The conditions of our own indexes, without spaces and quotes.
_OUR_CONDITIONS = {"status<>'finished'", "fileISNOTNULL", "deaths>0"}
# Tables that version 1 did not have.
_LATER = {"database_properties"}


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
    for entry in entries:
        if entry.type == "trigger":
            raise _refused(path, f"the trigger '{entry.name}'", "DROP TRIGGER", entry)
        if entry.type == "index" and entry.tbl_name in metadata.tables:
            _check_index(connection, path, entry)
    tables = {entry.name: entry for entry in entries if entry.type == "table"}
    for table in metadata.tables.values():
        if before_upgrade and table.name in _LATER and table.name not in tables:
            continue
        if table.name not in tables:
            msg = (
                f"{path} is damaged or was tampered with: it has no table "
                f"'{table.name}'; use an older copy, or a new database"
            )
            raise CorruptDocumentError(msg)
        there = _check_table(connection, path, table, tables[table.name])
        if not before_upgrade and not there.issuperset(table.columns.keys()):
            raise _not_ours(path, table)


def _check_table(
    connection: Connection, path: str, table: Table, entry: Row[Any]
) -> set[str]:
    """Return the names of the table's columns."""
    sql = str(entry.sql)
    columns = connection.exec_driver_sql(f"PRAGMA table_xinfo({table.name})").all()
    there = {column.name for column in columns if not column.hidden}
    if (
        not sql.upper().startswith("CREATE TABLE")
        or _ACTIVE.search(sql)
        or any(column.hidden for column in columns)
        or any(_is_computed(column.dflt_value) for column in columns)
    ):
        raise _not_ours(path, table)
    return there


def _not_ours(path: str, table: Table) -> CorruptDocumentError:
    msg = (
        f"{path}: the table '{table.name}' differs from the one that this package "
        "creates, so it was not read; use an older copy, or a new database"
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
    if of_expressions or condition not in {None, *_OUR_CONDITIONS}:
        raise _refused(path, f"the index '{entry.name}'", "DROP INDEX", entry)


def _refused(
    path: str, what: str, remedy: str, entry: Row[Any]
) -> CorruptDocumentError:
    name = entry.name.replace('"', '""')
    return CorruptDocumentError(
        f"{path} contains {what}, which would run SQL that someone else wrote: remove "
        f"it with sqlite3 and '{remedy} \"{name}\"' before using the file"
    )
