"""How the rate grows with ranks, for trials of no, 1, 10 and 100 milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..figures import Section, Series, number, paired, ratio
from ..repeating import again

if TYPE_CHECKING:
    from ..launching import Bench

ABOUT = """\
Trials that do nothing, or sleep, each result durable, `batch_size="auto"`. Sleeping
trials need no core, so more ranks than this machine's {cores} cores tell how the
coordinator bears them; efficiency is the rate against workers / duration, start and end
of the run included. Trials that do nothing share the {cores} cores, whatever the number
of ranks."""

RANKS = (2, 3, 5, 9, 17, 33, 65)
DURATIONS = (0.0, 0.001, 0.01, 0.1)
# How long each run would take if nothing were lost, and the trials that do nothing: so
# many that 64 workers have more to do than to begin and to end.
IDEAL_SECONDS = 1.0
NO_OPS = 300_000
FEW, MANY = 9, 65
# Four sweeps in one launch, of more ranks than a machine has cores.
DEADLINE_SECONDS = 400


def measure(bench: Bench) -> Section:
    """Run all durations with each number of ranks."""
    ranks = RANKS[:3] if bench.quick else RANKS
    found = {
        (count, seconds): Series(_name(count, seconds), "/s")
        for count in ranks
        for seconds in DURATIONS
    }
    for _ in range(bench.repeats):
        for count in ranks:
            _once(bench, count, found)
    section = Section("Scaling", ABOUT.format(cores=bench.cores), _columns())
    for count in ranks:
        section.rows.append(_row(count, found))
    for series in found.values():
        section.figures[series.name] = series.as_json()
        section.notes += series.notes()
    section.points = [
        (count, seconds, series.median)
        for (count, seconds), series in found.items()
        if series.median is not None
    ]
    if not bench.quick:
        measured = paired(found[MANY, 0.0], found[FEW, 0.0])
        what = f"no-op trials, {MANY} ranks / {FEW} ranks"
        section.require(what, measured, at_least=0.5, unit=" x")
    return section


def _name(count: int, seconds: float) -> str:
    return f"{count} ranks, {_duration(seconds)}"


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds else "no-op"


def _columns() -> list[str]:
    columns = ["ranks"]
    for seconds in DURATIONS:
        columns.append(f"{_duration(seconds)}: trials/s")
        if seconds:
            columns.append("efficiency")
    return columns


def _row(count: int, found: dict[tuple[int, float], Series]) -> list[str]:
    cells = [str(count)]
    for seconds in DURATIONS:
        rate = found[count, seconds].median
        cells.append(number(rate))
        if seconds:
            part = ratio(rate, (count - 1) / seconds)
            cells.append("-" if part is None else f"{part:.0%}")
    return cells


def _once(bench: Bench, count: int, found: dict[tuple[int, float], Series]) -> None:
    """Run all durations in one launch, since many ranks take long to start."""
    asked: list[object] = []
    for seconds in DURATIONS:
        ideal = IDEAL_SECONDS * (count - 1) / seconds if seconds else NO_OPS
        asked += [bench.count(min(int(ideal), NO_OPS)), seconds]
    run = bench.in_scratch(
        lambda folder: bench.launch(
            "programs/sweep.py",
            "auto",
            folder,
            *asked,
            ranks=count,
            deadline=DEADLINE_SECONDS,
        )
    )
    no_ops = found[count, 0.0]
    done: dict[str, Any] = again(no_ops, run, lambda figures: _rate(figures["runs"][0]))
    for seconds, one in zip(DURATIONS, done.get("runs", ()), strict=False):
        if seconds:
            found[count, seconds].values.append(_rate(one))


def _rate(run: dict[str, float]) -> float:
    return run["trials"] / run["seconds"]
