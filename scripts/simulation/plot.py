"""The efficiency against the duration of trials, a line per number of ranks, as SVG."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .words import duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .grid import Cell

WIDTH, HEIGHT = 790, 440
LEFT, RIGHT, TOP, BOTTOM = 80, 190, 50, 70
# Told apart by everybody, in print too, where each also has its own marks.
STYLES = {
    100: ("#0072b2", "none"),
    1_000: ("#009e73", "8 4"),
    10_000: ("#d55e00", "3 3"),
    100_000: ("#7b3294", "10 3 2 3"),
}


def svg(cells: Sequence[Cell]) -> str:
    """Draw the cells."""
    seconds = sorted({cell.seconds for cell in cells})
    ranks = sorted({cell.ranks for cell in cells})
    body = [*_frame(seconds), *_labels(cells, ranks)]
    for each in ranks:
        body += _line([cell for cell in cells if cell.ranks == each])
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="14">'
    )
    ground = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    return "\n".join([head, ground, *body, "</svg>", ""])


def _x(seconds: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(seconds) + 3) / 5


def _y(efficiency: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * efficiency


def _frame(seconds: Iterable[float]) -> Iterable[str]:
    right = WIDTH - RIGHT
    yield _text(LEFT, 28, "What workers do of what they could", weight="bold", size=16)
    for part in (0, 0.25, 0.5, 0.75, 1):
        y = _y(part)
        yield f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#ccc"/>'
        yield _text(LEFT - 10, y + 5, f"{part:.0%}", anchor="end")
    for each in seconds:
        x = _x(each)
        yield f'<path d="M{x:.1f} {_y(0):.1f}v6" stroke="#333"/>'
        yield _text(x, _y(0) + 24, duration(each), anchor="middle")
    yield _text((LEFT + right) / 2, HEIGHT - 18, "a trial takes", anchor="middle")
    yield f'<path d="M{LEFT} {TOP}V{_y(0):.1f}H{right}" stroke="#333" fill="none"/>'


def _line(cells: Sequence[Cell]) -> Iterable[str]:
    color, dashes = STYLES[cells[0].ranks]
    points = " ".join(f"{_x(c.seconds):.1f},{_y(c.efficiency):.1f}" for c in cells)
    yield (
        f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2.5" '
        f'stroke-dasharray="{dashes}"/>'
    )
    for cell in cells:
        fill = color if cell.simulated else "white"
        yield (
            f'<circle cx="{_x(cell.seconds):.1f}" cy="{_y(cell.efficiency):.1f}" '
            f'r="4" fill="{fill}" stroke="{color}" stroke-width="2"/>'
        )


def _labels(cells: Sequence[Cell], ranks: Sequence[int]) -> Iterable[str]:
    """Name the lines in a list beside the plot, where they do not meet."""
    x = WIDTH - RIGHT + 20
    for number, each in enumerate(ranks):
        color, dashes = STYLES[each]
        y = TOP + 30 + 28 * number
        yield (
            f'<path d="M{x} {y - 5}h30" stroke="{color}" stroke-width="2.5" '
            f'stroke-dasharray="{dashes}"/>'
        )
        yield _text(x + 38, y, f"{each:,} ranks", color=color)
    y = TOP + 50 + 28 * len(ranks)
    yield _text(x, y, "● simulated", size=12)
    if not all(cell.simulated for cell in cells):
        yield _text(x, y + 20, "○ rank 0's limit", size=12)


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    color: str = "#222",
    size: int = 14,
    weight: str = "normal",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}" '
        f'font-size="{size}" font-weight="{weight}">{text}</text>'
    )
