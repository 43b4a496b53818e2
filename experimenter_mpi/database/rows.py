"""Rows as they may be: SQLite keeps anything in any column, a stranger's file too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, Float, Integer, Text

from .tables import experiments, metadata, trials

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Column, Table


_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class BadRowError(Exception):
    """A row holds what this package never writes; becomes a CorruptDocumentError."""


def _kinds(column: Column[Any]) -> frozenset[type]:
    empty: set[type] = {type(None)} if column.nullable else set()
    if isinstance(column.type, Text):
        return frozenset({str} | empty)
    if isinstance(column.type, Boolean):
        return frozenset({bool} | empty)
    if isinstance(column.type, Integer):
        return frozenset({int} | empty)
    if isinstance(column.type, Float):
        return frozenset({float, int} | empty)
    return frozenset({bytes} | empty)


def _is_id(column: Column[Any]) -> bool:
    is_text = isinstance(column.type, Text)
    return is_text and column.name in ("id", "experiment_id", "trial_id")


_ALLOWED = {
    table.name: {column.name: _kinds(column) for column in table.columns}
    for table in metadata.tables.values()
}
# What the ids of trials and experiments look like; that of an array has no dashes.
_IDS = {
    table.name: frozenset(column.name for column in table.columns if _is_id(column))
    - ({"id"} if table.name == "arrays" else set())
    for table in metadata.tables.values()
}


def checked(table: Table, row: Any) -> Any:
    """Give the row back if each of its columns holds what ``table`` keeps there.

    Raises:
        BadRowError: it does not.
    """
    allowed, ids = _ALLOWED[table.name], _IDS[table.name]
    for name, value in zip(row._fields, row, strict=True):
        kinds = allowed.get(name)
        if kinds is not None and type(value) not in kinds:
            raise _bad(table, name, f"a value of type {type(value).__name__}")
        if name in ids and not _ID.fullmatch(value):
            raise _bad(table, name, f"{value!r:.60}, which is no id")
    if table is experiments and row.trial_count < 1:
        raise _bad(table, "trial_count", str(row.trial_count))
    return row


def all_checked(table: Table, rows: Iterable[Any]) -> list[Any]:
    """Give the rows if they are what ``table`` keeps; see ``checked``."""
    return [checked(table, row) for row in rows]


def checked_value(column: Column[Any], value: Any) -> Any:
    """Give one column's value if it is of its kind; see ``checked``."""
    if type(value) not in _kinds(column):
        raise _bad(column.table, column.name, f"a value of type {type(value).__name__}")
    return value


def later(before: Any, after: Any) -> Any:
    """Give ``after``, where to read on: in a damaged index it may lie before.

    Raises:
        BadRowError: so it is, and reading on would never end.
    """
    if not after > before:
        raise _bad(trials, "id", "its rows in no order")
    return after


def _bad(table: Any, name: str, what: str) -> BadRowError:
    return BadRowError(f"column {name} of table {table.name} holds {what}")
