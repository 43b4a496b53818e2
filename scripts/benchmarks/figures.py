"""What is measured, and how it is told: medians, tables, what must hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


class Series:
    """The repeats of one measurement.

    ``error`` says why there are no more of them, ``remarks`` what else went wrong.
    """

    def __init__(self, name: str, unit: str = "") -> None:
        self.name = name
        self.unit = unit
        self.values: list[float] = []
        self.error: str | None = None
        self.remarks: list[str] = []

    @property
    def median(self) -> float | None:
        return median(self.values) if self.values else None

    def cells(self) -> list[str]:
        """Return name, median and spread for a table."""
        if not self.values:
            return [self.name, "-", "-"]
        low, high = number(min(self.values)), number(max(self.values))
        return [self.name, f"{number(self.median)}{self.unit}", f"{low} - {high}"]

    def as_json(self) -> dict[str, Any]:
        return {
            "median": self.median,
            "unit": self.unit.strip(" /"),
            "repeats": self.values,
            "error": self.error,
            "remarks": self.remarks,
        }

    def notes(self) -> list[str]:
        """Say what went wrong."""
        said = []
        if self.error is not None:
            said.append(f"{self.name}: not measured: {self.error}")
        return said + [f"{self.name}: {remark}" for remark in self.remarks]


@dataclass(frozen=True, slots=True)
class Requirement:
    """Something that must hold: ``at_least`` this much, or ``at_most``."""

    what: str
    measured: float | None
    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether it holds; None if it was not measured."""
        if self.measured is None:
            return None
        if self.at_least is not None:
            return self.measured >= self.at_least
        return self.at_most is not None and self.measured <= self.at_most

    def row(self) -> list[str]:
        bound = self.at_least if self.at_least is not None else self.at_most
        sign = "≥" if self.at_least is not None else "≤"
        return [
            self.what,
            f"{sign} {number(bound)}{self.unit}",
            number(self.measured) + (self.unit if self.measured is not None else ""),
            {True: "yes", False: "**no**", None: "not measured"}[self.reached],
        ]

    def as_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "at_least": self.at_least,
            "at_most": self.at_most,
            "unit": self.unit.strip(),
            "measured": self.measured,
            "reached": self.reached,
        }


@dataclass(slots=True)
class Section:
    """One case's findings, ready to be printed, written and drawn."""

    title: str
    about: str
    columns: Sequence[str]
    rows: list[list[str]] = field(default_factory=list)
    requirements: list[Requirement] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    # For the plots: ranks, seconds that a trial takes, trials per second.
    points: list[tuple[int, float, float]] = field(default_factory=list)

    def add(self, series: Series, *cells: str) -> None:
        """Add a measurement as a row, with further cells."""
        self.rows.append([*series.cells(), *cells])
        self.figures[series.name] = series.as_json()
        self.notes += series.notes()

    def require(
        self,
        what: str,
        measured: float | None,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        unit: str = "",
    ) -> None:
        """Add what must hold."""
        self.requirements.append(Requirement(what, measured, at_least, at_most, unit))

    def as_json(self) -> dict[str, Any]:
        required = [each.as_json() for each in self.requirements]
        return {"figures": self.figures, "required": required, "notes": self.notes}


def number(value: float | None) -> str:
    """Return a number as people read it: three digits that mean something."""
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{round(value, 2 - len(str(int(abs(value)))) + 1):,.0f}"
    if abs(value) >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.3g}"


def ratio(one: float | None, other: float | None) -> float | None:
    """Return one / other, None where either was not measured."""
    return one / other if one is not None and other else None


def paired(one: Series, other: Series) -> float | None:
    """Return the median of each round's ratio: both met the same noise."""
    ratios = [a / b for a, b in zip(one.values, other.values, strict=False)]
    return median(ratios) if ratios else None


REQUIRED_COLUMNS = ("required", "bound", "measured", "reached")


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown, aligned so that it can be read as plain text."""
    cells = [list(columns), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]

    def line(row: Sequence[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    rule = f"|{'|'.join('-' * (width + 2) for width in widths)}|"
    return "\n".join([line(cells[0]), rule, *map(line, cells[1:])])


def text(section: Section, *, judged: bool = True) -> str:
    """Return a section as Markdown, with what is required if it is ``judged``."""
    parts = [f"## {section.title}", section.about]
    if section.rows:
        parts.append(markdown(section.columns, section.rows))
    if section.requirements and judged:
        rows = [each.row() for each in section.requirements]
        parts.append(markdown(REQUIRED_COLUMNS, rows))
    if section.notes:
        parts.append("\n".join(f"- {note}" for note in section.notes))
    return "\n\n".join(parts)
