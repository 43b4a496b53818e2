"""Runs in simulated time, and what scripts/simulate makes of them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from simulation.check import middle
from simulation.costs import fitted
from simulation.grid import busy_per_trial, shortest, simulated
from simulation.page import _between
from simulation.words import duration, table

from experimenter_mpi.coordination.batch_size import LARGEST_BATCH
from experimenter_mpi.coordination.commits import MAX_ENTRIES
from experimenter_mpi.coordination.coordinator import MOST_WAITING
from support.simulation import Costs, SimulatedRun, list_schedule, lower_bound

# Ten times those of a real rank 0, so that a tenth of the workers keep it as busy.
COSTS = Costs(message=5e-4, outcome=2e-5, assign=1e-4, commit=1e-2, row=1e-4)


# --- runs in simulated time


def test_one_worker_takes_its_trials_one_after_the_other():
    run = SimulatedRun([1.0, 2.0, 3.0], 1, Costs(latency=0.25), batch_size=3).run()

    # Ready and the assignment are on their way, then it works.
    assert [1.5, 3.5, 6.5] == run.ended
    assert 0.5 / 6.5 == pytest.approx(run.idle)


def test_rank_0_does_one_thing_after_the_other():
    """Two workers are ready at once; a report takes it a second, a commit two."""
    costs = Costs(latency=0, message=1.0, commit=2.0)
    run = SimulatedRun([10.0, 10.0], 2, costs, batch_size=1).run()

    assert [11.0, 12.0] == run.ended
    assert [14.0, 17.0] == run.durable
    assert 4 * 1.0 + 2 * 2.0 == run.busy


def test_a_simulated_run_comes_out_the_same_each_time():
    rng = random.Random(3)
    durations = [rng.expovariate(100) for _ in range(500)]
    one, other = (SimulatedRun(durations, 7, COSTS).run() for _ in range(2))

    assert one.ended == other.ended
    assert one.durable == other.durable


def test_the_best_schedule_gives_each_trial_to_who_is_free_first():
    durations = [3.0, 1.0, 1.0, 2.0, 4.0]

    assert (7.0, 3.0) == list_schedule(durations, 2)
    assert 5.5 == lower_bound(durations, 2)
    assert 4.0 == lower_bound(durations, 5)


# --- what a rank 0 can do


@pytest.mark.parametrize("seconds", [0.002, 0.01, 0.2])
def test_a_rank_0_that_is_offered_too_much_does_what_the_formula_says(seconds):
    """Cells of the table that are not simulated rest on this."""
    ranks = round(3 * seconds / busy_per_trial(COSTS, seconds))
    trials = ranks * (120 if seconds < 0.01 else 24)
    cell = simulated(COSTS, ranks, seconds, trials)

    assert 1 / cell.load == pytest.approx(cell.efficiency, rel=0.1)
    assert 1.0 == pytest.approx(cell.utilisation, abs=0.01)


def test_a_rank_0_that_has_time_keeps_workers_busy():
    cell = simulated(COSTS, 20, 1.0, 400)

    assert cell.efficiency > 0.98
    assert cell.load < 0.05


def test_the_shortest_trials_take_four_fifths_of_rank_0():
    seconds = shortest(COSTS, 1_000, levels=1)

    assert 0.8 == pytest.approx(
        999 / seconds * busy_per_trial(COSTS, seconds), rel=0.01
    )


def test_a_second_level_is_spared_messages_but_no_rows():
    one, two = (shortest(COSTS, 10_000, levels=levels) for levels in (1, 2))
    messages = COSTS.message + COSTS.assign
    rows = 2 * COSTS.row + COSTS.outcome
    above = messages + rows + COSTS.commit / MOST_WAITING
    below = messages / LARGEST_BATCH + rows + 2 * COSTS.commit / MAX_ENTRIES

    assert above / below == pytest.approx(one / two, rel=0.01)


# --- what is measured, and how it is written


def test_costs_are_found_in_what_other_processes_disturb():
    rng = random.Random(1)
    noted = [
        (n, (40e-6 + 3e-6 * n) * (1 if rng.random() < 0.6 else rng.uniform(1, 5)))
        for n in (1, 10, 100, 1000)
        for _ in range(50)
    ]
    line = fitted(noted)

    assert 40e-6 == pytest.approx(line.once, rel=0.1)
    assert 3e-6 == pytest.approx(line.each, rel=0.1)


def test_the_middle_of_a_run_leaves_its_start_and_its_end_out():
    """Nothing comes for a minute, then ten trials of 0.3 s a second, then one late."""
    arrived = [(60 + second, 10, 3.0) for second in range(100)] + [(10_000, 1, 0.3)]

    assert 10.0 == pytest.approx(middle(arrived, 4).rate)
    assert 0.75 == pytest.approx(middle(arrived, 4).efficiency)


def test_what_is_written_replaces_what_stood_there():
    text = "before\n<!-- here -->\nold\n<!-- end -->\nafter"

    assert "before\n<!-- here -->\nnew\n<!-- end -->\nafter" == _between(
        text, "here", "new"
    )
    with pytest.raises(SystemExit, match="has no place for 'there'"):
        _between(text, "there", "new")


def test_the_page_has_a_place_for_all_that_is_found():
    page = (Path(__file__).parents[3] / "docs/scaling.md").read_text("utf-8")
    names = ["machine", "costs", "efficiency", "load", "levels"]
    names += ["efficiency checked", "rank 0 checked"]

    assert all(_between(page, name, "x") for name in names)


def test_numbers_are_written_for_readers():
    written = [duration(seconds) for seconds in (1e-6, 0.0012, 0.1, 1.0, 100.0)]

    assert ["1 µs", "1.2 ms", "100 ms", "1 s", "100 s"] == written
    assert "| a | b |\n| --- | ---: |\n| 1 | 2 |" == table(["a", "b"], [["1", "2"]])
