"""Print tables: aligned plain columns on a pipe, a little colour on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_COLOURS = {"finished": "32", "failed": "31", "running": "36", "pending": "2"}


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under a header; columns of numbers are aligned to the right."""
    body = [[_in_one_line(cell) for cell in row] for row in rows]
    header = [_in_one_line(cell) for cell in header]
    widths = [
        max(len(cell) for cell in column) for column in zip(header, *body, strict=True)
    ]
    numeric = [
        all(_is_number(cell) for cell in column) for column in zip(*body, strict=True)
    ] or [False] * len(header)
    print(_line(header, widths, numeric, style="1"))
    for row in body:
        print(_line(row, widths, numeric))


def _in_one_line(cell: str) -> str:
    return printable(cell).replace("\n", "\\n").replace("\t", "\\t")


def _line(
    cells: Sequence[str], widths: list[int], numeric: list[bool], style: str = ""
) -> str:
    parts = []
    for cell, width, right in zip(cells, widths, numeric, strict=True):
        padded = cell.rjust(width) if right else cell.ljust(width)
        parts.append(coloured(padded, style or _COLOURS.get(cell, "")))
    return "  ".join(parts).rstrip()


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
