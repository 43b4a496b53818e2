"""How fast arrays reach the disk: large ones by workers, small ones by rank 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..figures import Section, Series, paired
from ..repeating import again, rate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..launching import Bench

ABOUT = """\
Trials that give one array. Arrays of {large} MB are written by {workers} workers, a
file each, synced; arrays of 8 KiB travel to rank 0 and into the database. Beside them
one process writes as many bytes, in pieces as large, into one file of the same folder,
and syncs once: that is the limit. Ours is timed around the whole call of `execute`."""

WORKERS = 3
LARGE_BYTES = 8_000_000
SMALL_BYTES = 8 * 1024
LARGE = "arrays of 8 MB, {} workers"
SMALL = "arrays of 8 KiB, {} workers"


def measure(bench: Bench) -> Section:
    """Compare arrays of both sizes with a raw write of their bytes."""
    section = Section(
        "Arrays",
        ABOUT.format(large=LARGE_BYTES // 10**6, workers=WORKERS),
        ["", "median", "spread", "arrays/s"],
    )
    pairs = {
        LARGE.format(WORKERS): (bench.count(360), LARGE_BYTES),
        SMALL.format(WORKERS): (bench.count(20_000), SMALL_BYTES),
    }
    found: dict[str, Series] = {}
    counts: dict[str, Series] = {}
    for name in [each for pair in pairs for each in (pair, _raw(pair))]:
        found[name], counts[name] = Series(name, " MB/s"), Series(name)
    for _ in range(bench.repeats):
        for name, (trials, size) in pairs.items():
            for each, run in ((name, _ours), (_raw(name), _write)):
                done = again(found[each], run(bench, trials, size), _megabytes)
                if done:
                    counts[each].values.append(rate(done))
    for name, series in found.items():
        section.add(series, counts[name].cells()[1])
    for name, (_, size) in pairs.items():
        if size == LARGE_BYTES:
            measured = paired(found[name], found[_raw(name)])
            section.require(f"{name} / raw write", measured, at_least=0.7, unit=" x")
    return section


def _raw(name: str) -> str:
    return f"raw write of the same bytes ({name.partition(',')[0]})"


def _megabytes(figures: dict[str, Any]) -> float:
    return float(figures["bytes"] / figures["seconds"] / 1e6)


def _ours(bench: Bench, trials: int, size: int) -> Callable[[], dict[str, Any]]:
    def run(folder: Path) -> dict[str, Any]:
        program = "programs/arrays.py"
        return bench.launch(program, trials, size, folder, ranks=1 + WORKERS)

    return bench.in_scratch(run)


def _write(bench: Bench, trials: int, size: int) -> Callable[[], dict[str, Any]]:
    return bench.in_scratch(
        lambda folder: bench.alone("programs/raw_write.py", trials, size, folder)
    )
