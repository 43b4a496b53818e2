"""Points that stand in a table: rows of a list, a CSV file or a data frame."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from .zipped import joined

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .zipped import ZippedVariable


def table(rows: Any) -> dict[str, ZippedVariable]:
    """Return the columns of a table, which move together as one axis of the product.

    Write ``**table("points.csv")`` among the other parameters of a configuration.
    ``rows`` is a list of dicts with the same keys, the path of a CSV file whose first
    line has the names, or a data frame of pandas or polars. In a CSV file, what reads
    as a whole number or as a float is one, an empty cell is None, and the rest is text.

    Raises:
        ConfigurationError: there are no rows, or they differ in their keys.
    """
    if isinstance(rows, (str, os.PathLike)):
        columns = _of_csv(os.fspath(rows))
    elif hasattr(rows, "columns") and hasattr(rows, "__getitem__"):
        columns = {_name(each): _listed(rows[each]) for each in rows.columns}
    else:
        columns = _of_rows(rows)
    return joined("table", columns)


def _name(column: Any) -> str:
    if not isinstance(column, str):
        msg = f"table: the name of a column must be a string, not {column!r}"
        raise ConfigurationError(msg)
    return column


def _listed(column: Any) -> list[Any]:
    """Return a data frame's column as Python's own numbers and texts."""
    for method in ("tolist", "to_list"):
        if hasattr(column, method):
            return list(getattr(column, method)())
    return list(column)


def _of_rows(rows: Iterable[Any]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {}
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            msg = f"table: row {number} must be a dict, not {type(row).__name__}"
            raise ConfigurationError(msg)
        if number == 0:
            columns = {_name(key): [] for key in row}
        if different := row.keys() ^ columns.keys():
            name = min(different, key=str)
            has, lacks = (0, number) if name in columns else (number, 0)
            msg = f"table: row {has} has '{name}' and row {lacks} has not"
            raise ConfigurationError(msg)
        for key, value in row.items():
            columns[key].append(value)
    if not columns:
        raise ConfigurationError("table: no rows, so there would be no trials")
    return columns


def _of_csv(path: str) -> dict[str, list[Any]]:
    import csv  # which few experiments need

    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"table: cannot read {path}: {reason}") from error
    if len(lines) < 2:  # noqa: PLR2004 - the names and a row
        msg = f"table: {path} has no rows below its names"
        raise ConfigurationError(msg)
    names, *rows = lines
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigurationError(f"table: {path} has the column '{twice}' twice")
    for number, row in enumerate(rows, 1):
        if len(row) != len(names):
            cells = f"{len(row)} cells, not {len(names)}"
            msg = f"table: row {number} of {path} has {cells}"
            raise ConfigurationError(msg)
    columns = zip(*rows, strict=True)
    return {
        name: list(map(_cell, column))
        for name, column in zip(names, columns, strict=True)
    }


def _cell(text: str) -> Any:
    for kind in (int, float):
        try:
            # Python reads 1_000 as a number, and no other program does.
            return text if "_" in text else kind(text)
        except ValueError:
            pass
    return text or None
