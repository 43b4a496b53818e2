"""Trials that ranks die of: who is blamed, who fails, and who is run alone."""

from __future__ import annotations

import pytest

from experimenter_mpi.coordination import messages as m
from experimenter_mpi.coordination.dispatch import Blame, Send
from experimenter_mpi.coordination.pending import taken_out
from experimenter_mpi.errors import ProtocolError
from experimenter_mpi.trial.outcome import Status
from support.crowd import Watched

MICROSECOND = 1e-6


def blames(instructions):
    return [i for i in instructions if isinstance(i, Blame)]


def starts(instructions):
    """Return each batch's rank and first trial, and whether that is marked before."""
    return [
        (i.rank, i.message.ranges[0][0], i.marked)
        for i in instructions
        if isinstance(i, Send) and isinstance(i.message, m.Assign)
    ]


# --- where the job outlives its ranks


def test_a_trial_that_kills_two_ranks_fails_and_the_others_go_on():
    """It is requeued after the first death, and not after the second."""
    watched = Watched([range(10)], 3, batch_size=1)
    watched.ready(1, 2, 3)
    (poison,) = watched.holds(1)
    first = blames(watched.lose(1))
    watched.finish(2)
    watched.begin(2)
    second = blames(watched.lose(2))
    watched.finish_everything()

    assert [Blame(1, (poison,), ())] == first
    assert [Blame(2, (poison,), (poison,))] == second
    assert set(range(10)) - {poison} == set(watched.recorded)
    assert {3} == watched.released


def test_it_fails_at_once_where_a_rank_died_of_it_in_an_earlier_run():
    watched = Watched([range(10)], 2, deaths={4: 1})
    watched.ready(1, 2)

    assert [4] == watched.holds(1)
    watched.begin(1)
    assert [Blame(1, (4,), (4,))] == blames(watched.lose(1))


def test_short_trials_of_a_dead_rank_are_all_suspects_and_run_one_by_one():
    """Nobody knows which of a batch it was, until each is run by itself."""
    watched = Watched([range(100)], 3, batch_size=10)
    watched.ready(1)
    watched.finish(1, 10, duration=MICROSECOND)
    held = watched.holds(1)
    (blame,) = blames(watched.lose(1))
    watched.ready(2)

    assert tuple(held) == blame.indices
    assert held[:1] == watched.holds(2)
    watched.finish(2)
    watched.begin(2)
    (last,) = blames(watched.lose(2))
    assert Blame(2, (held[1],), (held[1],)) == last


def test_of_long_trials_only_the_one_that_ran_is_a_suspect():
    """Each is reported when it ends, however many one message has carried."""
    watched = Watched([range(100)], 2, batch_size=10)
    watched.ready(1)
    watched.finish(1, 3, duration=1.0)
    (blame,) = blames(watched.lose(1))

    assert (3,) == blame.indices


def test_a_rank_that_dies_with_nothing_to_do_is_nobodys_fault():
    watched = Watched([range(1)], 3)
    watched.ready(1, 2)
    (idle,) = {1, 2} & set(watched.idle)

    assert [] == watched.lose(idle)
    assert [] == watched.lose(3)


def test_a_rank_that_was_dead_before_it_had_a_suspect_did_not_die_of_it():
    """Several were killed at once, and their deaths became known one by one."""
    watched = Watched([range(9)], 3, batch_size=1)
    watched.ready(1, 2, 3)
    (suspect,) = watched.holds(1)
    watched.lose(1)
    watched.finish(2)
    assert [suspect] == watched.holds(2)

    assert [] == blames(watched.lose(2))
    watched.finish_everything()
    assert list(range(9)) == sorted(watched.recorded)


def test_what_one_of_several_dead_ranks_held_goes_to_none_of_the_others():
    watched = Watched([range(1)], 3)
    watched.ready(1, 2)
    (busy,) = [rank for rank in (1, 2) if watched.holds(rank)]
    watched.lose(busy, 3 - busy)
    watched.ready(3)
    watched.finish(3)

    assert [0] == watched.recorded
    assert {0: 1} == watched.deaths


def test_a_rank_cannot_begin_what_it_does_not_hold():
    watched = Watched([range(9)], 1)
    watched.ready(1)

    with pytest.raises(ProtocolError, match="rank 1 begins trial 7 but was to run 0"):
        watched.on(1, m.Begun(7))


def test_a_suspect_that_ends_well_is_like_any_other():
    watched = Watched([range(6)], 2, batch_size=1)
    watched.ready(1, 2)
    watched.lose(1)
    watched.finish_everything()

    assert list(range(6)) == sorted(watched.recorded)
    assert [] == watched.condemned


def test_a_run_that_is_to_stop_at_a_failure_stops_at_this_one():
    watched = Watched([range(9)], 2, stop_on_failure=True, deaths={0: 1})
    watched.ready(1, 2)
    watched.begin(1)
    instructions = watched.lose(1)

    assert [0] == watched.condemned
    assert Send(2, m.StopWork("a failed trial")) in instructions


def test_a_death_during_a_drain_counts_as_well():
    watched = Watched([range(9)], 2, deaths={0: 1})
    watched.ready(1, 2)
    watched.begin(1)
    watched.drain()

    assert [Blame(1, (0,), (0,))] == watched.lose(1)


def test_what_deaths_say_of_trials_that_are_not_to_run_is_ignored():
    watched = Watched([range(3, 6)], 1, batch_size=3, deaths={1: 1, 4: 1, 8: 1})
    watched.ready(1)
    watched.finish_everything()

    assert [4, 3, 5] == watched.recorded


# --- where the whole job dies with a rank


def test_one_death_of_the_job_makes_no_suspect():
    watched = Watched([range(6)], 1, batch_size=2, deaths={3: 1}, fragile=True)
    watched.ready(1)
    watched.finish_everything()

    assert list(range(6)) == watched.recorded


def test_suspects_run_after_all_others_and_alone():
    """Else nobody would know which of them it was."""
    deaths = {0: 2, 1: 3}
    watched = Watched([range(6)], 3, batch_size=1, deaths=deaths, fragile=True)
    watched.ready(1, 2, 3)
    for rank in (1, 2, 3, 1):
        watched.finish(rank, status=Status.FINISHED)

    assert [2, 3, 4, 5] == watched.recorded
    for _ in range(2):
        (busy,) = [rank for rank in watched.ranks if watched.holds(rank)]
        watched.finish(busy)
    assert [2, 3, 4, 5, 0, 1] == watched.recorded
    assert {1, 2, 3} == watched.released


def test_trials_that_may_be_long_are_marked_before_they_start():
    """What is not durable is unknown when the job has died."""
    watched = Watched([range(100)], 1, fragile=True)
    unknown = starts(watched.ready(1))
    long = starts(watched.finish(1, duration=5.0))

    assert [(1, 0, True)] == unknown
    assert [(1, 1, True)] == long


def test_short_trials_wait_for_no_commit():
    watched = Watched([range(100)], 1, fragile=True)
    watched.ready(1)
    short = starts(watched.finish(1, duration=MICROSECOND))

    assert not any(marked for _, _, marked in short)


def test_after_a_crash_the_first_ones_are_marked_however_short():
    watched = Watched([range(100)], 1, fragile=True, careful=10)
    seen = starts(watched.ready(1))
    while watched.held[1]:
        seen += starts(watched.finish(1, duration=MICROSECOND))

    assert [(1, index, True) for index in range(10)] == seen[:10]
    assert not seen[10][2]


def test_where_the_job_outlives_its_ranks_nothing_waits_for_a_mark():
    watched = Watched([range(100)], 1, deaths={0: 1})

    assert [(1, 0, False)] == starts(watched.ready(1))


@pytest.mark.parametrize(
    ("ranges", "indices", "left", "found"),
    [
        ([], [], [], []),
        ([range(5)], [], [range(5)], []),
        ([range(5)], [0, 2, 4], [range(1, 2), range(3, 4)], [0, 2, 4]),
        ([range(2), range(4, 6)], [3, 5, 9], [range(2), range(4, 5)], [5]),
        ([range(1)], [0], [], [0]),
        (
            [range(4, 6), range(2)],  # as priorities may order them
            [1, 4, 5, 7],
            [range(1)],
            [1, 4, 5],
        ),
    ],
)
def test_indices_are_taken_out_of_ranges(ranges, indices, left, found):
    assert (left, found) == taken_out(ranges, indices)
