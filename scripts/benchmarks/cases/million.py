"""A million trials: stored, found again, run, and looked at."""

from __future__ import annotations

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
A grid of {trials:,} trials that do nothing, on {ranks} ranks. *Store*: expand the grid
and insert every trial. *Resume*: a third of the trials, scattered, is marked as
finished; timed is from the call of `execute` to the begin of the first trial. *Run*:
all that are left. *Status*: the whole command `experimenter-mpi status`, once all have
finished."""


def measure(bench: Bench) -> Section:
    """Store, resume, run and look at a grid."""
    side = 20 if bench.quick else 100
    series = {
        "store": Series("store", " rows/s"),
        "resume": Series("resume", " s"),
        "run": Series("run, keeping all", " trials/s"),
        "status": Series("status", " s"),
        **{f"{verb}'s": _memory(verb) for verb in ("store", "resume", "run")},
    }
    for turn in range(bench.repeats):
        with bench.scratch() as folder:
            _one_round(bench, side, folder, series, runs=turn == bench.repeats - 1)
    section = Section(
        f"A grid of {side**3:,} trials",
        ABOUT.format(trials=side**3, ranks=bench.ranks),
        ["", "median", "spread"],
    )
    for each in series.values():
        section.add(each)
    section.require("rows/s", series["store"].median, at_least=150_000, unit="/s")
    section.require("resume", series["resume"].median, at_most=3, unit=" s")
    peaks = (series[f"{verb}'s"].values for verb in ("store", "resume", "run"))
    memory = max(chain(*peaks), default=None)
    section.require("rank 0's memory", memory, at_most=300, unit=" MB")
    section.require("status", series["status"].median, at_most=1, unit=" s")
    return section


def _memory(verb: str) -> Series:
    return Series(f"{verb}: rank 0's memory at its peak", " MB")


def _one_round(
    bench: Bench, side: int, folder: Path, series: dict[str, Series], *, runs: bool
) -> None:
    def note_memory(verb: str, figures: dict[str, Any]) -> None:
        if figures:
            mebibytes = figures["peak_mib"]
            series[f"{verb}'s"].values.append(mebibytes * 2**20 / 1e6)

    def launch(verb: str) -> dict[str, Any]:
        return bench.launch("programs/grid.py", verb, side, folder)

    def seconds(figures: dict[str, Any]) -> float:
        return float(figures["seconds"])

    store = ("programs/grid.py", "store", side, folder)
    note_memory("store", again(series["store"], lambda: bench.alone(*store), rate))
    _mark_a_third(folder / "grid.db")
    note_memory("resume", again(series["resume"], lambda: launch("resume"), seconds))
    if runs:
        note_memory("run", again(series["run"], lambda: launch("run"), rate))
        for _ in range(bench.repeats):
            again(series["status"], lambda: _status(folder / "grid.db"), seconds)


def _mark_a_third(path: Path) -> None:
    """Let every third trial have finished, so that no range of them is long."""
    database = sqlite3.connect(path)
    with database:
        database.execute(
            "UPDATE trials SET status = 'finished', results = '{}', attempts = 1 "
            "WHERE trial_index % 3 = 0"
        )
    database.close()


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
