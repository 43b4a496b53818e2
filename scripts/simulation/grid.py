"""Simulated runs of up to a hundred thousand ranks, and what rank 0 can do at most."""

from __future__ import annotations

import sys
from typing import NamedTuple

from experimenter_mpi.coordination.batch_size import (
    BATCHES_HELD,
    LARGEST_BATCH,
    SHORT_SECONDS,
)
from experimenter_mpi.coordination.commits import MAX_ENTRIES
from experimenter_mpi.coordination.coordinator import MOST_WAITING
from experimenter_mpi.coordination.messages import HOLD_SECONDS
from support.simulation import Costs, SimulatedRun
from support.workloads import workload

from .check import middle

RANKS = (100, 1_000, 10_000, 100_000)
SECONDS = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)
# Each worker runs so many batches, in the middle half of which we look.
BATCHES_EACH = 8
# Beyond this number of trials, and where rank 0 is offered several times of what it can
# take, its limit is given instead: a simulation comes to the same (see the tests).
MOST_TRIALS = 400_000
OVERLOAD = 2.0
# Two of a worker's trials are in the middle half.
FEWEST_EACH = 4


class Cell(NamedTuple):
    """So many ranks, trials of so many seconds: what workers and rank 0 do.

    ``load`` is the part of rank 0's time that it needs, ``utilisation`` what it takes:
    it commits few outcomes at once while it has time.
    """

    ranks: int
    seconds: float
    efficiency: float
    load: float
    utilisation: float
    simulated: bool


def trials_per_message(seconds: float) -> int:
    """Return how many trials a report brings, in the middle of a long sweep."""
    return max(1, min(LARGEST_BATCH, int(HOLD_SECONDS / seconds)))


def busy_per_trial(costs: Costs, seconds: float) -> float:
    """Return rank 0's time per trial when messages never cease.

    A trial of ``SHORT_SECONDS`` or more is marked as running before it is sent: another
    row, and a commit for each ``MOST_WAITING`` of them. Else commits are full.
    """
    message = (costs.message + costs.assign) / trials_per_message(seconds)
    if seconds < SHORT_SECONDS:
        return message + costs.outcome + costs.row + costs.commit / MAX_ENTRIES
    return message + costs.outcome + 2 * costs.row + costs.commit / MOST_WAITING


def busy_per_trial_below(costs: Costs, seconds: float) -> float:
    """Return the time per trial of a rank 0 that coordinators report to.

    They bring a thousand outcomes, or starts of trials, at a time.
    """
    rows = 2 if seconds >= SHORT_SECONDS else 1
    message = (costs.message + costs.assign) / LARGEST_BATCH
    return message + costs.outcome + rows * (costs.row + costs.commit / MAX_ENTRIES)


def grid(costs: Costs) -> list[Cell]:
    """Return all cells."""
    return [_cell(costs, ranks, seconds) for ranks in RANKS for seconds in SECONDS]


def _cell(costs: Costs, ranks: int, seconds: float) -> Cell:
    workers = ranks - 1
    load = workers / seconds * busy_per_trial(costs, seconds)
    each = BATCHES_EACH * trials_per_message(seconds)
    if seconds < SHORT_SECONDS:
        each *= 2 * BATCHES_HELD  # the last ones are split: see Pace.size
    if load > OVERLOAD and workers * each > MOST_TRIALS:
        return Cell(ranks, seconds, 1 / load, load, 1.0, simulated=False)
    trials = workers * max(FEWEST_EACH, min(each, MOST_TRIALS // workers))
    return simulated(costs, ranks, seconds, trials)


def simulated(costs: Costs, ranks: int, seconds: float, trials: int) -> Cell:
    """Simulate a run and look at its middle half."""
    print(
        f"{trials} trials of {seconds:g} s, {ranks} ranks", file=sys.stderr, flush=True
    )
    durations = workload("noisy", trials, seconds)
    run = SimulatedRun(durations, ranks - 1, costs, fragile=True).run()
    efficiency = middle(run.arrived, ranks - 1).efficiency
    load = (ranks - 1) / seconds * busy_per_trial(costs, seconds)
    return Cell(ranks, seconds, efficiency, load, _utilisation(run), simulated=True)


def _utilisation(run: SimulatedRun) -> float:
    count = len(run.arrived)
    first, last = count // 4, max(3 * count // 4, count // 4 + 1)
    elapsed = run.arrived[last][0] - run.arrived[first][0]
    return min(1.0, (run.busy_then[last] - run.busy_then[first]) / elapsed)


def shortest(costs: Costs, ranks: int, *, levels: int, share: float = 0.8) -> float:
    """Return the length of trials that take ``share`` of rank 0's time."""
    busy = busy_per_trial if levels == 1 else busy_per_trial_below
    low, high = 1e-6, 1e4
    while high / low > 1.001:
        middle_of = (low * high) ** 0.5
        load = (ranks - 1) / middle_of * busy(costs, middle_of)
        low, high = (low, middle_of) if load <= share else (middle_of, high)
    return high
