"""Write what was found into docs/scaling.md, between the marks that stand there."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from .grid import RANKS, SECONDS, busy_per_trial, shortest
from .plot import svg
from .words import duration, microseconds, percent, table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .check import Checked
    from .costs import Measured
    from .grid import Cell

DOCS = Path(__file__).parents[2] / "docs"
FEW = (1, 10, 100)


def write(measured: Measured, cells: Sequence[Cell], checked: Sequence[Checked]) -> str:
    """Write the page and its picture; give the page's path."""
    parts = {
        "machine": machine(),
        "costs": costs(measured),
        "efficiency": efficiency(cells),
        "load": load(cells),
        "levels": levels(measured),
        "efficiency checked": checked_efficiency(checked),
        "rank 0 checked": checked_rank_0(checked),
    }
    page = DOCS / "scaling.md"
    text = page.read_text("utf-8")
    for name, part in parts.items():
        text = _between(text, name, part)
    page.write_text(text, "utf-8")
    (DOCS / "scaling.svg").write_text(svg(cells), "utf-8")
    return str(page)


def _between(text: str, name: str, part: str) -> str:
    marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not marks.search(text):
        msg = f"docs/scaling.md has no place for '{name}': <!-- {name} --> <!-- end -->"
        raise SystemExit(msg)
    return marks.sub(lambda found: f"{found[1]}{part}\n{found[2]}", text)


def machine() -> str:
    """Say where and with what this was measured."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return (
        f"Measured on {os.cpu_count()} cores ({model}), Python "
        f"{platform.python_version()}, mpi4py {version('mpi4py')}, MPICH "
        f"{version('mpich')}, SQLite {sqlite3.sqlite_version}."
    )


def costs(measured: Measured) -> str:
    """Return what was measured as lines, and as what it comes to."""
    lines = {
        "receive a report of n outcomes, and decide": measured.report,
        "commit n of them (processor)": measured.commit,
        "worker: a batch of n trials of nothing": measured.batch,
    }
    rows = [
        [
            name,
            f"{microseconds(line.once)} + {microseconds(line.each)}·n",
            *(microseconds(line.once + line.each * n) for n in FEW),
        ]
        for name, line in lines.items()
    ]
    rows.append(["send an assignment", microseconds(measured.assign), "", "", ""])
    rows.append(
        ["wait for the disk, per commit", microseconds(measured.disk)] + 3 * [""]
    )
    return table(["", "seconds of n", *(f"n = {n}" for n in FEW)], rows)


def efficiency(cells: Sequence[Cell]) -> str:
    """Return the workers' part, a row per number of ranks."""
    return _grid(cells, lambda c: percent(c.efficiency) + ("" if c.simulated else "*"))


def load(cells: Sequence[Cell]) -> str:
    """Return rank 0's part: what it needs, and what it takes."""
    return _grid(cells, lambda c: f"{percent(c.load)} ({percent(c.utilisation)})")


def _grid(cells: Sequence[Cell], show: Callable[[Cell], str]) -> str:
    found = {(cell.ranks, cell.seconds): cell for cell in cells}
    head = ["ranks", *map(duration, SECONDS)]
    rows = [
        [f"{ranks:,}", *(show(found[ranks, seconds]) for seconds in SECONDS)]
        for ranks in RANKS
    ]
    return table(head, rows)


def levels(measured: Measured) -> str:
    """Return from when on one level, and two, carry how many ranks."""
    rows = []
    for ranks in RANKS:
        one, two = (shortest(measured.costs, ranks, levels=n) for n in (1, 2))
        rows.append([f"{ranks:,}", duration(one), duration(two)])
    most = [1 / busy_per_trial(measured.costs, seconds) for seconds in SECONDS[:3]]
    rates = ", ".join(
        f"{rate:,.0f} of {duration(seconds)}"
        for rate, seconds in zip(most, SECONDS, strict=False)
    )
    head = ["ranks", "one level carries trials of", "two levels would carry"]
    return f"{table(head, rows)}\n\nTrials per second at most, on one level: {rates}."


def checked_efficiency(checked: Sequence[Checked]) -> str:
    """Return rates and efficiency of real runs beside those of simulated ones."""
    head = ["trials of", "ranks", "load", "cores allow", "real rate", "simulated"]
    head += ["real efficiency", "simulated"]
    rows = [
        [
            duration(c.seconds) if c.seconds else "nothing",
            str(c.ranks),
            f"{c.load:.0f}",
            f"{c.most:,.0f}/s",
            f"{c.real.middle.rate:,.0f}/s",
            f"{c.simulated.middle.rate:,.0f}/s",
            *(_efficiency(c, each.middle.efficiency) for each in (c.real, c.simulated)),
        ]
        for c in checked
    ]
    return table(head, rows)


def _efficiency(checked: Checked, part: float) -> str:
    return percent(part) if checked.seconds else ""


def checked_rank_0(checked: Sequence[Checked]) -> str:
    """Return what does not depend on who else computes on these cores."""
    head = ["trials of", "ranks", "real messages per trial", "simulated"]
    head += ["rank 0, real, per trial", "simulated"]
    rows = [
        [
            duration(c.seconds) if c.seconds else "nothing",
            str(c.ranks),
            f"{c.real.messages:.3g}",
            f"{c.simulated.messages:.3g}",
            microseconds(c.real.busy),
            microseconds(c.simulated.busy),
        ]
        for c in checked
    ]
    return table(head, rows)
