"""What ranks that wait take of a processor, and how soon rank 0 answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..figures import Section, Series
from ..repeating import again

if TYPE_CHECKING:
    from ..launching import Bench

ABOUT = """\
On {ranks} ranks, all workers computing without pause. Processor time is what the kernel
counted for the process, all threads together. A worker asks rank 0 for its latest
snapshot now and then, and waits for the answer. With more ranks than cores ({ranks} on
{cores} here), who answers must first get a core from who computes."""

QUANTITIES = {
    "coordinator": ("rank 0 while workers compute", " % of a core", 100),
    "waiting": ("a worker that waits for the last trial", " % of a core", 100),
    "answer_median": ("answer of rank 0, median", " ms", 1000),
    "answer_95th": ("answer of rank 0, 95th percentile", " ms", 1000),
    "answer_worst": ("answer of rank 0, worst", " ms", 1000),
}


def measure(bench: Bench) -> Section:
    """Watch ranks that wait."""
    found = {key: Series(name, unit) for key, (name, unit, _) in QUANTITIES.items()}
    seconds = 0.5 if bench.quick else 2
    run = bench.in_scratch(
        lambda folder: bench.launch("programs/idle.py", seconds, folder)
    )
    for _ in range(bench.repeats):
        done: dict[str, Any] = again(
            found["coordinator"], run, lambda figures: figures["coordinator"] * 100
        )
        for key, value in done.items():
            if key in QUANTITIES and key != "coordinator":
                found[key].values.append(value * QUANTITIES[key][2])
    section = Section(
        "Idle ranks",
        ABOUT.format(ranks=bench.ranks, cores=bench.cores),
        ["", "median", "spread"],
    )
    for series in found.values():
        section.add(series)
    for key, bound in (("coordinator", 2), ("waiting", 2), ("answer_95th", 2)):
        name, unit, _ = QUANTITIES[key]
        section.require(name, found[key].median, at_most=bound, unit=unit)
    return section
