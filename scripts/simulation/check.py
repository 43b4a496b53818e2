"""Real runs beside simulated ones of the same size, on this machine's cores."""

from __future__ import annotations

import os
import sys
from typing import Any, NamedTuple

from support.simulation import Costs, SimulatedRun

from .costs import Measured, Noted, run

RANKS = (2, 4, 8, 16, 32, 64)
# Seconds of a trial, and how many each worker has; of nothing, how many all have.
SLEEPS = {0.1: 25, 0.01: 200}
OF_NOTHING = 40_000


class Middle(NamedTuple):
    """The middle half of a run: trials per second, and the part of it that is work."""

    rate: float
    efficiency: float


class Run(NamedTuple):
    """What became of a run: its middle, and per trial messages and rank 0's processor.

    Both of these depend on what the dispatcher decides, and not on who else computes.
    """

    middle: Middle
    messages: float
    busy: float


class Checked(NamedTuple):
    """A real run and its simulation.

    ``most`` is the rate that the cores have time for, ``load`` how many processes
    wanted them at the end of the real run, not only this one's.
    """

    seconds: float
    ranks: int
    real: Run
    simulated: Run
    most: float
    load: float


def middle(arrived: list[Any], workers: int) -> Middle:
    """Look at a run from when a quarter had arrived to when three quarters had."""
    total = sum(count for _, count, _ in arrived)
    seen, count, work, times = 0, 0, 0.0, []
    for now, number, seconds in arrived:
        if total / 4 <= seen <= 3 * total / 4:
            times.append(now)
            if len(times) > 1:
                count, work = count + number, work + seconds
        seen += number
    elapsed = times[-1] - times[0]
    # Where ranks keep step, a round more or less at the edges would make more than all.
    return Middle(count / elapsed, min(1.0, work / elapsed / workers))


def check(measured: Measured) -> list[Checked]:
    """Run sweeps for real and in simulation at all ``RANKS``."""
    cases = [(s, ranks, each) for s, each in SLEEPS.items() for ranks in RANKS]
    cases += [(0.0, ranks, 0) for ranks in RANKS]
    return [_checked(measured, *case) for case in cases]


def _checked(measured: Measured, seconds: float, ranks: int, each: int) -> Checked:
    print(f"trials of {seconds:g} s on {ranks} ranks", file=sys.stderr, flush=True)
    workers = ranks - 1
    trials = each * workers or OF_NOTHING
    noted, _ = run(ranks, trials, 0, seconds)
    load = os.getloadavg()[0]
    real = _real(noted, workers)
    work = sum(work for _, _, work in noted["arrived"])
    simulated = SimulatedRun(
        [work / trials] * trials, workers, measured.costs, fragile=True
    ).run()
    most = (os.cpu_count() or 1) / _processor_time(measured.costs, seconds)
    return Checked(seconds, ranks, real, _simulated(simulated, measured), most, load)


def _real(noted: Noted, workers: int) -> Run:
    trials = sum(count for _, count, _ in noted["arrived"])
    busy = sum(s for name in ("report", "assign", "commit") for _, s in noted[name])
    found = middle(noted["arrived"], workers)
    return Run(found, len(noted["arrived"]) / trials, busy / trials)


def _simulated(run: SimulatedRun, measured: Measured) -> Run:
    trials, reports = len(run.durations), len(run.arrived)
    busy = run.busy - run.commits * measured.disk
    return Run(middle(run.arrived, len(run.ranks)), reports / trials, busy / trials)


def _processor_time(costs: Costs, seconds: float) -> float:
    """Return what a trial takes of all ranks' processors at best, waiting left out."""
    each = costs.outcome + costs.row + costs.trial
    batch = costs.message + costs.assign + costs.batch
    return each + (batch if seconds else 0.0)
