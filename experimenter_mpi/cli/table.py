"""Print tables: aligned plain columns on a pipe, a little colour on a terminal.

On a terminal a table is as wide as there is room: its texts are shortened, then its
last columns are left out, and named below it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..errors import printable
from ..run.terminal import width_of
from .layout import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_COLOURS = {"finished": "32", "failed": "31", "running": "36", "pending": "2"}
_GAP = "  "
# Texts are cut to this before a column is left out.
_NARROWEST = 12
_NAMES_SHOWN = 8


def print_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], all_of_it: str = "--json"
) -> None:
    """Print rows under a header; columns of numbers are aligned to the right.

    ``all_of_it`` is what prints the columns that have no room.
    """
    header = [_in_one_line(cell) for cell in header]
    body = [[_in_one_line(cell) for cell in row] for row in rows]
    columns = [[name, *cells] for name, *cells in zip(header, *body, strict=True)]
    numeric = [bool(body) and all(map(_is_number, column[1:])) for column in columns]
    widths = [max(map(len, column)) for column in columns]
    least = [
        max([min(width, _NARROWEST), *(len(cell) for cell in column[1:] if right)])
        for width, column, right in zip(widths, columns, numeric, strict=True)
    ]
    shown = _fitted(widths, least, width_of(sys.stdout) or 0)
    for number, row in enumerate([header, *body]):
        print(_line(row[: len(shown)], shown, numeric, style="" if number else "1"))
    if left_out := header[len(shown) :]:
        names = ", ".join(left_out[:_NAMES_SHOWN])
        more = len(left_out) - _NAMES_SHOWN
        others = f" and {more} more" if more > 0 else ""
        say(f"no room for {names}{others}: widen the terminal, or use {all_of_it}")


def _fitted(widths: list[int], least: list[int], room: int) -> list[int]:
    """Return the widths of the columns that have room; all have where ``room`` is 0."""
    if not room:
        return widths
    count = len(widths)
    while count > 1 and _total(least[:count]) > room:
        count -= 1
    fitted = widths[:count]
    while _total(fitted) > room and fitted != least[:count]:
        spare = [at for at in range(count) if fitted[at] > least[at]]
        fitted[max(spare, key=fitted.__getitem__)] -= 1
    return fitted


def _total(widths: list[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _in_one_line(cell: str) -> str:
    return printable(cell).replace("\n", "\\n").replace("\t", "\\t")


def _line(
    cells: Sequence[str], widths: list[int], numeric: list[bool], style: str = ""
) -> str:
    parts = []
    for cell, width, right in zip(cells, widths, numeric, strict=False):
        cut = cell if len(cell) <= width else f"{cell[: width - 1]}…"
        padded = cut.rjust(width) if right else cut.ljust(width)
        parts.append(coloured(padded, style or _COLOURS.get(cell, "")))
    return _GAP.join(parts).rstrip()


def coloured(text: str, style: str) -> str:
    """Wrap text in an ANSI style, if standard output is a terminal."""
    if not style or not sys.stdout.isatty():
        return text
    return f"\x1b[{style}m{text}\x1b[0m"


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", ""))
    except ValueError:
        return cell in ("", "-")
    return True
