"""Rows as they may be: SQLite keeps anything in any column, a stranger's file too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Boolean, Float, Integer, Text

from ...experiment.experiment import TrialIds
from .tables import (
    LARGEST_NUMBER,
    LARGEST_SEQUENCE,
    STATUSES,
    experiments,
    metadata,
    trial_errors,
    trial_places,
    trial_records,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Column, Table


_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SEED = re.compile(r"[0-9]{1,39}")


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
# A trial is read with its place and its error, which few have.
for _column in (*trial_places.columns, *trial_errors.columns):
    if _column.name not in _ALLOWED["trial_records"]:
        _ALLOWED["trial_records"][_column.name] = _kinds(_column) | {type(None)}
# What ``time.gmtime`` can tell: to the end of the year 9999.
_LAST_SECOND = 253_402_300_800
# What the ids of trials and experiments look like; that of an array has no dashes.
_IDS = {
    table.name: frozenset(column.name for column in table.columns if _is_id(column))
    - ({"id"} if table.name == "arrays" else set())
    for table in metadata.tables.values()
}


def checked(table: Table, row: Any) -> Any:
    """Return the row if each of its columns holds what ``table`` keeps there.

    Raises:
        BadRowError: it does not.
    """
    return all_checked(table, [row])[0]


def all_checked(table: Table, rows: Iterable[Any]) -> list[Any]:
    """Return the rows if they are what ``table`` keeps; see ``checked``."""
    found = list(rows)
    if not found:
        return found
    names = found[0]._fields
    places = [place for place, name in enumerate(names) if name in _IDS[table.name]]
    good: set[tuple[type, ...]] = set()  # of a million rows a few kinds are looked at
    for row in found:
        kinds = tuple(map(type, row))
        if kinds not in good:
            _check_kinds(table, names, kinds)
            good.add(kinds)
        for place in places:
            if not _ID.fullmatch(row[place]):
                raise _bad(
                    table, names[place], f"{row[place]!r:.60}, which is not an id"
                )
        if table is experiments:
            _check_experiment(row)
    return found


def _check_experiment(row: Any) -> None:
    if not 1 <= row.trial_count <= LARGEST_NUMBER + 1:
        raise _bad(experiments, "trial_count", str(row.trial_count))
    if row.asked_count is not None and not 1 <= row.asked_count <= row.trial_count:
        raise _bad(experiments, "asked_count", str(row.asked_count))
    if not 1 <= row.sequence <= LARGEST_SEQUENCE:
        raise _bad(experiments, "sequence", str(row.sequence))
    if TrialIds(UUID(row.id)).prefix != row.trial_prefix:
        raise _bad(experiments, "trial_prefix", f"{row.trial_prefix!r:.60}")
    seed = "0" if row.seed is None else row.seed
    if not _SEED.fullmatch(seed) or int(seed) >> 128:
        raise _bad(experiments, "seed", f"{row.seed!r:.60}, which is not a seed")


def checked_status(code: Any) -> str:
    """Return the word for what a row says that its trial is."""
    if type(code) is not int or not 0 <= code < len(STATUSES):
        raise _bad(trial_records, "status", f"{code!r:.60}")
    return STATUSES[code]


def checked_time(name: str, seconds: float | None) -> float | None:
    """Return a time that can be told as one."""
    if seconds is None or 0 <= seconds < _LAST_SECOND:
        return seconds
    raise _bad(trial_records, name, f"{seconds!r:.60}, which is not a time")


def _check_kinds(table: Table, names: Sequence[str], kinds: Sequence[type]) -> None:
    allowed = _ALLOWED[table.name]
    for name, kind in zip(names, kinds, strict=True):
        if name in allowed and kind not in allowed[name]:
            raise _bad(table, name, f"a value of type {kind.__name__}")


def checked_value(column: Column[Any], value: Any) -> Any:
    """Return one column's value if it is of its kind; see ``checked``."""
    if type(value) not in _kinds(column):
        raise _bad(column.table, column.name, f"a value of type {type(value).__name__}")
    return value


def checked_values(column: Column[Any], values: list[Any]) -> list[Any]:
    """Return one column's values if all are of its kind; see ``checked``."""
    for kind in set(map(type, values)):
        if kind not in _kinds(column):
            raise _bad(column.table, column.name, f"a value of type {kind.__name__}")
    return values


def later(before: Any, after: Any) -> Any:
    """Return ``after``, where to read on: in a damaged index it may lie before.

    Raises:
        BadRowError: so it is, and reading on would never end.
    """
    if not after > before:
        raise _bad(trial_records, "key", "rows out of order")
    return after


def _bad(table: Any, name: str, what: str) -> BadRowError:
    return BadRowError(f"column {name} of table {table.name} holds {what}")
