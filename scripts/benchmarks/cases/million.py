"""Grids of a million trials and of a hundred million: begun, found again, looked at."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from itertools import chain
from typing import TYPE_CHECKING, Any

from ..figures import Section, Series
from ..launching import Bench, ProgramError, environment
from ..repeating import again, rate

if TYPE_CHECKING:
    from pathlib import Path

ABOUT = """\
Grids of trials that do nothing, on {ranks} ranks. *First trial*: of {many:,} trials,
from the launch of mpiexec to the begin of the first one. *Run*: the same grid with a
time limit of {limit} s, each result durable. *Resume*: of {fewer:,} trials a third, at
random, is marked as finished; timed is from the call of `execute` to the begin of the
first trial. *Rest*: all that are left of them. *Status*: the whole command
`experimenter-mpi status`. *File*: bytes for each trial but for its own JSON."""
LIMIT = 10
# What the file takes beside trials.
EMPTY = 120_000


def measure(bench: Bench) -> Section:
    """Begin, resume, run and look at grids."""
    many, fewer = (10**6, 20**3) if bench.quick else (10**8, 10**6)
    series = {
        "first": Series("first trial", " s"),
        "limited": Series(f"run for {LIMIT} s", " trials"),
        "status": Series("status", " s"),
        "resume": Series("resume", " s"),
        "run": Series("rest, keeping all", " trials/s"),
        "file": Series("file", " bytes a trial"),
        **{f"{verb}'s": _memory(verb) for verb in ("limited", "resume", "run")},
    }
    for turn in range(bench.repeats):
        with bench.scratch() as folder:
            _large_grid(bench, many, folder, series)
        with bench.scratch() as folder:
            _resumed_grid(bench, fewer, folder, series, turn == bench.repeats - 1)
    section = Section(
        f"Grids of {fewer:,} and of {many:,} trials",
        ABOUT.format(many=many, fewer=fewer, ranks=bench.ranks, limit=LIMIT),
        ["", "median", "spread"],
    )
    for each in series.values():
        section.add(each)
    section.require("first trial", series["first"].median, at_most=2, unit=" s")
    section.require(
        "trials in the time limit", series["limited"].median, at_least=200_000, unit=""
    )
    section.require("resume", series["resume"].median, at_most=1, unit=" s")
    peaks = (series[f"{verb}'s"].values for verb in ("limited", "resume", "run"))
    memory = max(chain(*peaks), default=None)
    section.require("rank 0's memory", memory, at_most=150, unit=" MB")
    section.require("status", series["status"].median, at_most=1, unit=" s")
    section.require("file", series["file"].median, at_most=150, unit=" bytes a trial")
    return section


def _memory(verb: str) -> Series:
    what = {"limited": "run of the large grid", "run": "rest"}.get(verb, verb)
    return Series(f"{what}: rank 0's memory at its peak", " MB")


def _note_memory(
    series: dict[str, Series], verb: str, figures: dict[str, Any]
) -> dict[str, Any]:
    if figures:
        megabytes = figures["peak_mib"] * 2**20 / 1e6
        series[f"{verb}'s"].values.append(megabytes)
    return figures


def _seconds(figures: dict[str, Any]) -> float:
    return float(figures["seconds"])


def _large_grid(
    bench: Bench, trials: int, folder: Path, series: dict[str, Series]
) -> None:
    def launch(verb: str, *more: object) -> dict[str, Any]:
        return bench.launch("programs/grid.py", verb, trials, folder, *more)

    again(series["first"], lambda: launch("first", time.monotonic()), _seconds)
    limit = 1 if bench.quick else LIMIT
    figures = again(
        series["limited"],
        lambda: launch("limited", limit),
        lambda found: float(found["trials"]),
    )
    _note_memory(series, "limited", figures)
    if figures:
        size = _own_size(folder / "grid.db")
        series["file"].values.append(size)
    again(series["status"], lambda: _status(folder / "grid.db"), _seconds)


def _resumed_grid(
    bench: Bench, trials: int, folder: Path, series: dict[str, Series], runs: bool
) -> None:
    def launch(verb: str) -> dict[str, Any]:
        return bench.launch("programs/grid.py", verb, trials, folder)

    bench.alone("programs/grid.py", "store", trials, folder)
    _finish_a_third(folder / "grid.db", trials)
    found = again(series["resume"], lambda: launch("resume"), _seconds)
    _note_memory(series, "resume", found)
    if runs:
        _note_memory(series, "run", again(series["run"], lambda: launch("run"), rate))


def _finish_a_third(path: Path, trials: int) -> None:
    """Let a third of the trials have finished, at random."""
    rng = random.Random(1)  # noqa: S311
    database = sqlite3.connect(path)
    with database:
        database.executemany(
            "INSERT INTO trial_records (key, status, attempts, configuration, results) "
            "SELECT sequence << 40 | ?, 2, 1, '{}', '{}' FROM experiments",
            ((number,) for number in range(trials) if rng.random() < 1 / 3),
        )
        database.execute(
            "UPDATE trial_counts SET finished = (SELECT count(*) FROM trials)"
        )
    database.close()


def _own_size(path: Path) -> float:
    """Return the bytes of the file for each trial without its documents."""
    database = sqlite3.connect(path)
    (count, documents), (pages,), (size,) = (
        database.execute(query).fetchone()
        for query in (
            "SELECT count(*), sum(length(configuration) + length(results)) FROM trials",
            "PRAGMA page_count",
            "PRAGMA page_size",
        )
    )
    database.close()
    return float((pages * size - EMPTY - documents) / count)


def _status(path: Path) -> dict[str, Any]:
    words = [sys.executable, "-m", "experimenter_mpi", "status", str(path)]
    start = time.perf_counter()
    done = subprocess.run(
        words, env=environment(), capture_output=True, text=True, check=False
    )
    took = time.perf_counter() - start
    if done.returncode:
        raise ProgramError(done.stderr)
    return {"seconds": took}
