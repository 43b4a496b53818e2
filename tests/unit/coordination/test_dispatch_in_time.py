"""How well work is shared out, in simulated time: against the best possible schedule.

The real dispatcher shares trials of many shapes out among workers that are half a
millisecond away. Nothing here takes a time: all comes out the same on any machine.
"""

from __future__ import annotations

from functools import cache

import pytest

from experimenter_mpi.coordination.batch_size import BATCH_SECONDS
from experimenter_mpi.coordination.dispatch import Send
from experimenter_mpi.coordination.messages import HOLD_SECONDS, Assign
from experimenter_mpi.coordination.worker import LATE_SECONDS
from support.crowd import Watched
from support.fakes import outcome
from support.simulation import Costs, SimulatedRun, list_schedule, lower_bound
from support.workloads import SHAPES, workload

LATENCY = 0.0005
ROUND_TRIP = 2 * LATENCY
# What starting, learning and the last small batches take, whatever the sweep.
START_AND_END = 20 * ROUND_TRIP
# Of what trials take together, for all else.
OVERHEAD = 0.02
SWEEPS = {
    "microseconds": (1e-5, 30_000, 3),
    "milliseconds": (1e-3, 8_000, 15),
    "hundredths": (0.02, 6_300, 63),
    "seconds": (1.0, 600, 15),
}
everywhere = pytest.mark.parametrize(
    ("shape", "sweep"), [(shape, sweep) for shape in SHAPES for sweep in SWEEPS]
)


@cache
def shared_out(shape, sweep, seed=1):
    mean, trials, workers = SWEEPS[sweep]
    durations = workload(shape, trials, mean, seed)
    return SimulatedRun(durations, workers, Costs(LATENCY), fragile=True).run()


def wait(run):
    """Return how long the rest of a batch may wait for a trial of the same batch."""
    mean = sum(run.durations) / len(run.durations)
    return max(run.durations) if mean < BATCH_SECONDS else 0.0


# --- idle workers, and the tail


@everywhere
def test_a_sweep_takes_hardly_longer_than_the_best_schedule_in_its_order(shape, sweep):
    run = shared_out(shape, sweep)
    best = list_schedule(run.durations, len(run.ranks)).makespan

    assert run.makespan <= (1 + OVERHEAD) * best + wait(run) + START_AND_END


@everywhere
def test_a_sweep_never_takes_twice_what_none_can_take_less_than(shape, sweep):
    """Whatever the order: who does not know durations cannot promise more."""
    run = shared_out(shape, sweep)
    least = lower_bound(run.durations, len(run.ranks))

    assert least <= run.makespan
    assert run.makespan <= 2 * least + START_AND_END


@everywhere
def test_workers_idle_hardly_more_than_in_the_best_schedule(shape, sweep):
    run = shared_out(shape, sweep)
    work, workers = sum(run.durations), len(run.ranks)
    best = 1 - work / (workers * list_schedule(run.durations, workers).makespan)
    once = (wait(run) + START_AND_END) / run.makespan

    assert run.idle <= best + OVERHEAD + once


@everywhere
def test_the_tail_is_hardly_longer_than_in_the_best_schedule(shape, sweep):
    """From when a first worker is out of work until the last one is."""
    run = shared_out(shape, sweep)
    best = list_schedule(run.durations, len(run.ranks)).tail

    assert run.tail <= (1 + OVERHEAD) * best + wait(run) + START_AND_END


@pytest.mark.parametrize("seed", range(2, 8))
@pytest.mark.parametrize("shape", ["heavy_tailed", "bimodal"])
def test_luck_has_no_part_in_it(shape, seed):
    run = shared_out(shape, "microseconds", seed)
    best = list_schedule(run.durations, len(run.ranks)).makespan

    assert run.makespan <= (1 + OVERHEAD) * best + wait(run) + START_AND_END


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_fixed_size_shares_out_as_well_where_trials_are_long(shape, batch_size):
    durations = workload(shape, 1_500, 1.0)
    run = SimulatedRun(durations, 15, Costs(LATENCY), batch_size).run()
    best = list_schedule(durations, 15).makespan

    assert run.makespan <= 1.01 * best + 2 * batch_size * max(durations)


# --- what has ended is not held back


@everywhere
def test_no_result_waits_for_another_trial(shape, sweep):
    run = shared_out(shape, sweep)

    assert run.longest_held <= LATE_SECONDS + HOLD_SECONDS + LATENCY


@pytest.mark.parametrize("batch_size", [None, 10, 1000])
def test_a_long_trial_holds_back_no_result_of_its_batch(batch_size):
    """Trial 5000 takes an hour, the others a tenth of a millisecond."""
    durations = [1e-4] * 10_000
    durations[5_000] = 3_600.0
    run = SimulatedRun(durations, 3, Costs(LATENCY), batch_size).run()

    assert run.longest_held <= LATE_SECONDS + HOLD_SECONDS + LATENCY


@pytest.mark.parametrize("batch_size", [None, 10, 1000])
def test_a_long_trial_holds_back_no_more_than_its_worker_holds(batch_size):
    """All else has ended long before: what waits is the rest of at most two batches."""
    durations = [1e-4] * 10_000
    durations[5_000] = 3_600.0
    run = SimulatedRun(durations, 3, Costs(LATENCY), batch_size).run()
    held_up = sum(ended > 3_600 for ended in run.ended)
    largest = batch_size or BATCH_SECONDS / 1e-4

    assert held_up <= 2 * largest


def test_before_a_long_trial_is_known_nothing_waits_behind_it():
    """The first trial of all takes an hour."""
    durations = [3_600.0] + [1e-4] * 10_000
    run = SimulatedRun(durations, 3, Costs(LATENCY)).run()

    assert [0] == [index for index, ended in enumerate(run.ended) if ended > 3_600]


# --- how batches come to be as large as they are


def sizes_of(orders):
    given = [order.message for order in orders if isinstance(order, Send)]
    return [
        sum(stop - start for start, stop in message.ranges)
        for message in given
        if isinstance(message, Assign)
    ]


def test_long_trials_that_are_known_to_come_leave_batches_as_they_are():
    """One in a hundred takes a hundred times as long: that is how this sweep is."""
    watched = Watched([range(1_000_000)], 1)
    watched.ready(1)
    sizes = []
    for _ in range(1_000):
        batch = watched.held[1][0]
        ended = [outcome(i, duration=0.05 if i % 100 == 50 else 5e-4) for i in batch]
        sizes += sizes_of(watched.report(1, *ended))

    assert min(sizes[-900:]) >= 5


def test_near_the_end_no_trial_waits_behind_one_that_may_be_long():
    """Else two of a minute might follow each other, while all others are idle."""
    watched = Watched([range(2_000)], 4)
    watched.ready(1, 2, 3, 4)
    held = []
    for number in range(1_960):
        rank = number % 4 + 1
        watched.finish(rank, duration=1.0 if number % 50 == 0 else 0.02)
        held.append(len(watched.holds(rank)))

    assert 2 == max(held[:1_000])
    assert 1 == max(held[-40:])
