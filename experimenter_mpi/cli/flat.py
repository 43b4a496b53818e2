"""Trials as a table of plain values: columns chosen, rows sorted, means taken."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from ..analysis.columns import DOCUMENTS, MISSING, named
from ..errors import ConfigurationError, did_you_mean
from .arguments import count

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Sequence

    from .arguments import Parser

_FIXED = ("trial", "status")


class Flat(NamedTuple):
    """Rows of values under the names of their columns; MISSING where there is none."""

    header: list[str]
    rows: list[list[Any]]

    def column(self, name: str) -> int:
        """Return where a column is.

        Raises:
            ConfigurationError: there is none of this name.
        """
        if name not in self.header:
            hint = did_you_mean(name, self.header)
            msg = f"there is no column '{name}'{hint}: {', '.join(self.header)}"
            raise ConfigurationError(msg)
        return self.header.index(name)


def add_arrangement(parser: Parser) -> None:
    """Add the options that say which columns and rows are printed, in which order."""
    add = parser.add_argument
    add("--columns", metavar="A,B", type=_names, help="only these columns, in order")
    add(
        "--sort",
        metavar="A,B",
        type=_names,
        help="sort by these columns; --sort=-A sorts from the largest down",
    )
    add("--limit", metavar="N", type=count, help="only the first N rows")
    add(
        "--stats",
        metavar="A,B",
        type=_names,
        help="one row for each combination of values of these columns: of all numbers "
        "the mean and its standard error over the finished trials, n of them",
    )


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def flattened(rows: Sequence[dict[str, Any]]) -> Flat:
    """Return trials as a table; ``rows`` have their documents' entries by path."""
    places = dict.fromkeys(
        (part, path) for part in DOCUMENTS for row in rows for path in row[part]
    )
    names = named(places, _FIXED)
    body = [
        [
            row["index"],
            row["status"],
            *(row[part].get(path, MISSING) for part, path in names),
        ]
        for row in rows
    ]
    return Flat([*_FIXED, *names.values()], body)


def arranged(table: Flat, given: Namespace) -> Flat:
    """Return the table as the options ask for it."""
    if given.stats:
        table = averaged(table, given.stats)
    for name in reversed(given.sort or ()):
        descending = name.startswith("-") and name not in table.header
        place = table.column(name[1:] if descending else name)
        table.rows.sort(key=lambda row: _rank(row[place], descending=descending))
    rows = table.rows[: given.limit]
    if not given.columns:
        return Flat(table.header, rows)
    places = list(map(table.column, given.columns))
    return Flat(given.columns, [[row[place] for place in places] for row in rows])


def _rank(value: Any, *, descending: bool) -> tuple[int, Any, str]:
    """Return what sorts numbers before texts, and what is missing behind all."""
    sign = -1 if descending else 1
    if _is_number(value):
        return 0, sign * value, ""
    if value is MISSING or value is None or value != value:  # noqa: PLR0124 - NaN
        return 2, 0, ""
    text = value if isinstance(value, str) else repr(value)
    if not descending:
        return 1, 0, text
    return 1, tuple(-ord(character) for character in text), ""


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and not math.isnan(value)


def averaged(table: Flat, by: Sequence[str]) -> Flat:
    """Return means and standard errors of all numbers, for each value of some columns.

    The standard error of the mean is that of the sample, s / sqrt(n) with n - 1 degrees
    of freedom; of a single number there is none.
    """
    keys = list(map(table.column, by))
    finished = [row for row in table.rows if row[1] == "finished"]
    groups: dict[str, list[list[Any]]] = {}
    for row in finished:
        groups.setdefault(repr([row[key] for key in keys]), []).append(row)
    numbers = [
        place
        for place in range(len(_FIXED), len(table.header))
        if place not in keys and any(_is_number(row[place]) for row in finished)
    ]
    header = [*by, "n"]
    for place in numbers:
        header += [table.header[place], f"{table.header[place]} (SE)"]
    rows = [_averaged_row(group, keys, numbers) for group in groups.values()]
    return Flat(header, rows)


def _averaged_row(
    group: list[list[Any]], keys: list[int], numbers: list[int]
) -> list[Any]:
    row = [*(group[0][key] for key in keys), len(group)]
    for place in numbers:
        row += mean_and_error(each[place] for each in group)
    return row


def mean_and_error(values: Iterable[Any]) -> tuple[Any, Any]:
    """Return the mean of the numbers among values, and its standard error."""
    found = [value for value in values if _is_number(value)]
    if not found:
        return MISSING, MISSING
    mean = math.fsum(found) / len(found)
    if len(found) == 1 or not math.isfinite(mean):
        return mean, MISSING
    squares = math.fsum((value - mean) ** 2 for value in found)
    return mean, math.sqrt(squares / (len(found) - 1) / len(found))
