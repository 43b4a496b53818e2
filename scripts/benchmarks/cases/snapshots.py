"""How many snapshots a second are durable when they return."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..figures import Section, paired
from ..repeating import Contender, rates

if TYPE_CHECKING:
    from ..launching import Bench

ABOUT = """\
Trials that save a small snapshot again and again, each of which is durable before
`save_snapshot_in_global_database` returns. Beside them one process commits rows of that
size to SQLite one by one, with the same journal on the same disk, and no MPI."""

SEVERAL = 3
ONE = "one worker"
MANY = f"{SEVERAL} workers"
BARE = "bare SQLite, one commit each"


def measure(bench: Bench) -> Section:
    """Compare one worker, several, and a loop of commits."""
    rows = bench.count(3_000)

    def save(workers: int) -> Contender:
        name = {1: ONE, SEVERAL: MANY}[workers]
        run = bench.in_scratch(
            lambda folder: bench.launch(
                "programs/snapshots.py", rows // workers, folder, ranks=1 + workers
            )
        )
        return Contender(name, "", run)

    commit = bench.in_scratch(
        lambda folder: bench.alone("programs/raw_commits.py", rows, folder)
    )
    contenders = [save(1), save(SEVERAL), Contender(BARE, "", commit)]
    found = rates(contenders, bench.repeats)
    section = Section(
        "Snapshots", ABOUT, ["", "durable snapshots/s", "spread", "/ bare"]
    )
    for series in found.values():
        part = paired(series, found[BARE])
        section.add(series, "-" if part is None else f"{part:.2f}")
    return section
