"""From the launcher to the first trial, and what each worker reads on the way."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import sys
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from ..figures import Section, Series
from ..launching import HERE, Bench, ProgramError, run
from ..repeating import again

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ABOUT = """\
`mpiexec -n {ranks} python -m experimenter_mpi run exp.py`, from the launch to the begin
of the first trial, beside a program that imports mpi4py, starts MPI and meets the other
ranks. Modules are those that a worker had loaded in a trial; file-system calls are
those of a rank's whole life that name a file outside /proc, /sys and /dev, by `strace
-e trace=%file`: what thousands of ranks ask one shared file system at the same time."""

# A call in a trace that names a file which ranks might share.
SHARED = re.compile(r'^\d* *\w+\([^"]*"/(?!proc/|sys/|dev/)', re.MULTILINE)

# These programs need nothing of this folder, and are not to look for it.
PLAIN = {"PYTHONPATH": ""}

FIRST_TRIAL = "launch to first trial"
BARE = "launch to bare mpi4py"
MODULES = "modules of a worker"
CALLS = "file-system calls of a worker"
CALLS_OF_RANK_0 = "file-system calls of rank 0"
BARE_CALLS = "file-system calls of bare mpi4py"


def measure(bench: Bench) -> Section:
    """Time starts, and count what workers read."""
    section = Section(
        "Start-up", ABOUT.format(ranks=bench.ranks), ["", "median", "spread"]
    )
    first, bare = Series(FIRST_TRIAL, " s"), Series(BARE, " s")
    modules = Series(MODULES)
    for _ in range(bench.repeats):
        done = again(first, bench.in_scratch(lambda f: _first(bench, f)), _seconds)
        if done:
            modules.values.append(done["modules"])
        again(bare, lambda: _bare(bench), _seconds)
    for series in (first, bare, modules, *_calls(bench)):
        section.add(series)
    section.require(MODULES, modules.median, at_most=130)
    return section


def _seconds(figures: dict[str, Any]) -> float:
    return float(figures["seconds"])


def _ours(folder: Path) -> list[str]:
    script = str(HERE / "programs" / "first_trial.py")
    database = ["--db", str(folder / "first.db"), "--progress", "none"]
    return ["-m", "experimenter_mpi", "run", script, *database]


def _first(bench: Bench, folder: Path) -> dict[str, Any]:
    start = time.monotonic()
    run(bench.words(sys.executable, *_ours(folder)), PLAIN, tells=False)
    results = _results(folder / "first.db")
    begin = min(each["at"] for each in results)
    most = max(each["modules"] for each in results)
    return {"seconds": begin - start, "modules": most}


def _results(path: Path) -> list[dict[str, Any]]:
    database = sqlite3.connect(path)
    rows = database.execute("SELECT results FROM trials").fetchall()
    database.close()
    return [json.loads(row[0]) for row in rows]


def _bare(bench: Bench) -> dict[str, Any]:
    start = time.monotonic()
    script = str(HERE / "programs" / "bare_start.py")
    done = run(bench.words(sys.executable, script), PLAIN)
    return {"seconds": done["at"] - start}


def _calls(bench: Bench) -> list[Series]:
    """Count file-system calls, ours and bare ones, where strace is there."""
    script = [str(HERE / "programs" / "bare_start.py")]
    workers, rank_0, bare = map(Series, (CALLS, CALLS_OF_RANK_0, BARE_CALLS))
    for series, work in (
        (workers, _traced(bench, _ours)),
        (rank_0, _traced(bench, _ours, of_rank_0=True)),
        (bare, _traced(bench, lambda _: script)),
    ):
        again(series, bench.in_scratch(work), lambda f: f["calls"])
    return [workers, rank_0, bare]


def _traced(
    bench: Bench, program: Callable[[Path], list[str]], *, of_rank_0: bool = False
) -> Callable[[Path], dict[str, Any]]:
    """Run each worker under strace, and rank 0 as it is, or the other way round."""

    def counted(folder: Path) -> dict[str, Any]:
        strace = shutil.which("strace")
        if strace is None:
            msg = "there is no strace"
            raise ProgramError(msg)
        arguments = [sys.executable, *program(folder)]
        trace = f"exec {strace} -f -qq -e trace=%file -o {folder}/trace.$$ " + '"$@"'
        traced = ["sh", "-c", trace, "sh", *arguments]
        first, others = (traced, arguments) if of_rank_0 else (arguments, traced)
        workers = ["-n", str(bench.workers), *others]
        run([*bench.words(*first, ranks=1), ":", *workers], PLAIN, tells=False)
        counts = [len(SHARED.findall(f.read_text())) for f in folder.glob("trace.*")]
        if not all(counts):
            msg = "strace may not trace here"
            raise ProgramError(msg)
        return {"calls": median(counts)}

    return counted
