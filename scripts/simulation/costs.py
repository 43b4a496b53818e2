"""What messages, outcomes and commits take, measured in real runs of no-op trials."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from support.simulation import Costs

RANKS = 3
BATCHES = {1: 20_000, 3: 20_000, 10: 20_000, 30: 30_000, 100: 50_000, 300: 50_000}
BATCHES |= {1000: 100_000}
# Half of the longest sleep of a rank that waits; a fabric's microseconds are nothing.
LATENCY = 0.0005
FEWEST = 5
FEW_ROWS = 10
LONGEST_RUN = 300
# So many trials that sleep so long, one by one: what a commit of few rows takes.
RARE = (600, 0.01)

Noted = dict[str, list[Any]]


class Line(NamedTuple):
    """Seconds for n things: ``once + each * n``; ``measured`` are (n, seconds)."""

    once: float
    each: float
    measured: list[tuple[int, float]]


class Measured(NamedTuple):
    """Rank 0: a report, an assignment, a commit; a worker: a batch.

    ``disk`` is what a commit of few rows waits besides.
    """

    report: Line
    assign: float
    commit: Line
    batch: Line
    disk: float

    @property
    def costs(self) -> Costs:
        """Return what the simulation is fed with."""
        return Costs(
            latency=LATENCY,
            message=self.report.once,
            outcome=self.report.each,
            assign=self.assign,
            commit=self.commit.once + self.disk,
            row=self.commit.each,
            trial=self.batch.each,
            batch=self.batch.once,
        )


def run(ranks: int, trials: int, batch: int, seconds: float) -> tuple[Noted, Noted]:
    """Run a real sweep; give what rank 0 and rank 1 noted."""
    mpiexec = Path(sys.executable).with_name("mpiexec")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "noted"
        given = [str(out), str(trials), str(batch), str(seconds)]
        command = [str(mpiexec), "-n", str(ranks), sys.executable]
        subprocess.run(
            [*command, "-m", "simulation.probe", *given],
            check=True,
            timeout=LONGEST_RUN,
            env=os.environ,
            stdout=subprocess.DEVNULL,
        )
        texts = (out, out.with_suffix(".worker"))
        rank_0, rank_1 = (json.loads(each.read_text("utf-8")) for each in texts)
        return rank_0, rank_1


def measure() -> Measured:
    """Run trials of nothing in batches of many sizes."""
    noted: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for batch, trials in BATCHES.items():
        print(f"batches of {batch}", file=sys.stderr, flush=True)
        for part in run(RANKS, trials, batch, 0):
            for name in ("report", "assign", "commit", "commit by the clock", "batch"):
                noted[name] += [(n, s) for n, s in part.get(name, [])]
    rare, _ = run(RANKS, RARE[0], 1, RARE[1])
    for name in ("commit", "commit by the clock"):
        noted[name] += [(n, s) for n, s in rare[name]]
    assign = quartile([seconds for _, seconds in noted["assign"]])
    report, commit, batch = (fitted(noted[n]) for n in ("report", "commit", "batch"))
    few, by_clock = (
        quartile([s for n, s in noted[name] if n <= FEW_ROWS])
        for name in ("commit", "commit by the clock")
    )
    return Measured(report, assign, commit, batch, max(0.0, by_clock - few))


def quartile(seconds: list[float]) -> float:
    """Return the first quartile: other processes share this machine's cores."""
    return float(np.quantile(seconds, 0.25))


def fitted(noted: list[tuple[int, float]]) -> Line:
    """Fit a line through the quartiles of equal n, relative errors counting."""
    by_size = defaultdict(list)
    for count, seconds in noted:
        by_size[_rounded(count)].append((count, seconds))
    points = [
        (float(np.mean([n for n, _ in those])), quartile([s for _, s in those]))
        for _, those in sorted(by_size.items())
        if len(those) >= FEWEST
    ]
    n, seconds = (np.array(each) for each in zip(*points, strict=True))
    relative = np.stack([1 / seconds, n / seconds], axis=1)
    once, each = np.linalg.lstsq(relative, np.ones(len(n)), rcond=None)[0]
    rounded = [(round(count), float(s)) for count, s in points]
    return Line(max(0.0, float(once)), max(0.0, float(each)), rounded)


def _rounded(count: int) -> int:
    """Put sizes that are alike together: eight to each factor of two."""
    return count if count < 8 else round(8 * np.log2(count)) + 1000
