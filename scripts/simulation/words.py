"""Numbers as a reader wants them, and tables of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LITTLE, MUCH = 0.001, 10


def duration(seconds: float) -> str:
    """Return a duration with two digits, in the unit that suits it."""
    for factor, unit in ((1, "s"), (1e-3, "ms")):
        if seconds >= factor * 0.9995:
            return f"{_digits(seconds / factor)} {unit}"
    return f"{_digits(seconds * 1e6)} µs"


def microseconds(seconds: float) -> str:
    """Return a duration in microseconds."""
    return f"{_digits(seconds * 1e6)} µs"


def percent(part: float) -> str:
    """Return a part; little is told from nothing, and much is told in times."""
    if part >= MUCH:
        return f"{part:,.0f} times"
    if part < LITTLE:
        return f"< {LITTLE:.1%}"
    return f"{part:.0%}" if part >= 100 * LITTLE else f"{part:.1%}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, numbers to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _digits(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"
