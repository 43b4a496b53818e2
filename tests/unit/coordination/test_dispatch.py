"""Who runs which trials: races and deaths told as stories, each judged by the rules.

``Watched`` checks at every step that no trial is run twice or forgotten, that nobody
is spoken to after its release, and that no rank is left waiting.
"""

from __future__ import annotations

import pytest

from experimenter_mpi.coordination import messages as m
from experimenter_mpi.coordination.batch_size import BATCHES_HELD, LARGEST_BATCH
from experimenter_mpi.coordination.dispatch import Blame, Record, Send
from experimenter_mpi.errors import ProtocolError
from experimenter_mpi.trial.outcome import Status
from support.crowd import Watched
from support.fakes import HERE, outcome

MICROSECOND = 1e-6
HOUR = 3600.0
SHORT_AND_LONG = [MICROSECOND, 0.001, 1.0, HOUR]


def sizes(instructions):
    """Return how many trials each batch among the instructions holds."""
    return [
        sum(stop - start for start, stop in instruction.message.ranges)
        for instruction in instructions
        if isinstance(instruction, Send) and isinstance(instruction.message, m.Assign)
    ]


def everyone(watched):
    return set(watched.ranks)


# --- the usual course of a run


@pytest.mark.parametrize("batch_size", [None, 1, 3, 1000])
@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("duration", SHORT_AND_LONG)
def test_every_trial_is_recorded_once_and_everyone_is_released(
    batch_size, workers, duration
):
    watched = Watched([range(100)], workers, batch_size)
    watched.ready(*watched.ranks)
    watched.finish_everything(duration)

    assert list(range(100)) == sorted(watched.recorded)
    assert everyone(watched) == watched.released


def test_trials_are_handed_out_in_order():
    watched = Watched([range(5), range(90, 95)], 1, batch_size=1)
    watched.ready(1)
    watched.finish_everything()

    assert [0, 1, 2, 3, 4, 90, 91, 92, 93, 94] == watched.recorded


def test_a_message_carries_ranges_over_the_gaps_of_an_earlier_run():
    watched = Watched([range(2, 4), range(7, 8), range(20, 30)], 1, batch_size=5)
    first = watched.ready(1)[0]

    assert Send(1, m.Assign(((2, 4), (7, 8), (20, 22)))) == first


def test_outcomes_are_recorded_before_more_is_sent():
    """What a worker reports is on its way to the disk before anything else."""
    watched = Watched([range(10)], 1, batch_size=2)
    watched.ready(1)
    record, *others = watched.finish(1)

    assert Record(1, (outcome(0), outcome(1))) == record
    assert others and all(isinstance(other, Send) for other in others)


def test_with_nothing_to_run_everyone_is_released_as_it_comes():
    watched = Watched([], 2)

    assert [Send(2, m.Release())] == watched.ready(2)
    assert [Send(1, m.Release())] == watched.ready(1)
    assert watched.dispatcher.done


def test_without_workers_there_is_nothing_to_wait_for():
    assert Watched([range(3)], 0).dispatcher.done


def test_a_trillion_trials_take_no_memory():
    watched = Watched([], 1)
    dispatcher = type(watched.dispatcher)([range(10**12)], [1])
    dispatcher.on(1, m.Ready(HERE))

    assert 10**12 > dispatcher.left > 10**12 - 10


# --- who waits for whom


def test_a_worker_with_short_trials_holds_one_batch_in_advance():
    """So it never idles while its report and the answer are on their way."""
    watched = Watched([range(10_000)], 2)
    watched.ready(1, 2)
    for _ in range(5):
        watched.finish(1, duration=0.001)

    assert BATCHES_HELD == 2 == len(watched.held[1])


@pytest.mark.parametrize("batch_size", [None, 1])
def test_as_many_long_trials_as_workers_run_all_at_once(batch_size):
    """64 ranks and 64 trials of an hour take an hour, not two: nobody hoards."""
    watched = Watched([range(4)], 4, batch_size)
    watched.ready(1, 2, 3, 4)

    assert [] == watched.idle


@pytest.mark.parametrize("batch_size", [None, 1])
def test_no_long_trial_waits_for_its_worker_while_another_worker_is_idle(batch_size):
    """The last trials of an hour each go to whoever is free first."""
    watched = Watched([range(12)], 4, batch_size)
    watched.ready(1, 2, 3, 4)
    for rank in (4, 3, 2, 1, 4, 3, 2, 1):
        if watched.held[rank]:
            watched.finish(rank, duration=HOUR)
        waiting = [r for r in watched.ranks if len(watched.holds(r)) > 1]

        assert not (waiting and watched.idle)


def test_nobody_holds_in_advance_what_ranks_still_to_come_could_run():
    """However short trials seem: the last ones may be the long ones."""
    watched = Watched([range(4)], 3, batch_size=1)
    watched.ready(1)
    watched.finish(1, duration=MICROSECOND)
    watched.ready(2, 3)

    assert [[1], [2], [3]] == [watched.holds(rank) for rank in watched.ranks]


def test_a_worker_that_is_ready_after_all_work_is_handed_out_waits():
    """Its node was slow to load the script. It is still needed if another dies."""
    watched = Watched([range(2)], 2, batch_size=2)
    watched.ready(1)

    assert [] == watched.ready(2)
    assert [2] == watched.idle


def test_a_worker_that_waited_is_released_with_the_others():
    watched = Watched([range(2)], 2, batch_size=2)
    watched.ready(1, 2)
    watched.finish(1)

    assert everyone(watched) == watched.released


def test_a_worker_that_is_ready_when_all_is_done_is_released_at_once():
    watched = Watched([range(2)], 2, batch_size=2)
    watched.ready(1)
    watched.finish(1)
    before = watched.dispatcher.done

    assert [Send(2, m.Release())] == watched.ready(2)
    assert (False, True) == (before, watched.dispatcher.done)


def test_nobody_is_released_while_a_batch_is_out():
    watched = Watched([range(4)], 3, batch_size=2)
    watched.ready(1, 2, 3)
    watched.finish(1)

    assert set() == watched.released


def test_part_of_a_batch_is_recorded_as_it_comes():
    watched = Watched([range(100)], 1, batch_size=10)
    watched.ready(1)
    watched.finish(1, 4)

    assert [0, 1, 2, 3] == watched.recorded
    assert [4, 5, 6] == watched.holds(1)[:3]


def test_part_of_a_batch_asks_for_no_third_one():
    watched = Watched([range(100)], 1, batch_size=10)
    watched.ready(1)
    watched.finish(1, duration=MICROSECOND)
    before = len(watched.held[1])
    watched.finish(1, 4, duration=MICROSECOND)

    assert 2 == before == len(watched.held[1])


def test_one_message_may_report_the_end_of_two_batches():
    watched = Watched([range(100)], 1, batch_size=2)
    watched.ready(1)
    watched.finish(1, duration=MICROSECOND)
    held = watched.holds(1)
    watched.report(1, *(outcome(index, duration=MICROSECOND) for index in held))

    assert [0, 1, *held] == watched.recorded
    assert watched.holds(1)


# --- workers that die


def test_a_worker_that_dies_gives_its_trials_back():
    """A node was lost; the run goes on with the others and misses nothing."""
    watched = Watched([range(20)], 2, batch_size=3)
    watched.ready(1, 2)
    watched.finish(1, 1)
    watched.lose(1)
    watched.finish_everything()

    assert list(range(20)) == sorted(watched.recorded)
    assert {2} == watched.released


def test_a_worker_that_dies_with_two_batches_gives_both_back():
    watched = Watched([range(100)], 2, batch_size=5)
    watched.ready(1)
    watched.finish(1, duration=MICROSECOND)
    held = watched.holds(1)
    watched.lose(1)
    watched.ready(2)
    watched.finish_everything()

    assert 10 == len(held)
    assert set(held) < set(watched.recorded)
    assert 100 == len(watched.recorded)


def test_what_a_dead_worker_left_is_handed_out_next_and_in_order():
    watched = Watched([range(100)], 2, batch_size=5)
    watched.ready(1)
    watched.finish(1, 2)
    held = watched.holds(1)
    watched.lose(1)
    watched.ready(2)
    for _ in held:
        watched.finish(2)

    assert held == watched.recorded[2:]


def test_what_a_dead_worker_reported_is_not_run_again():
    watched = Watched([range(10)], 2, batch_size=5)
    watched.ready(1)
    watched.finish(1, 3)
    watched.lose(1)
    watched.ready(2)
    watched.finish_everything()

    assert 10 == len(watched.recorded)


def test_the_last_trial_of_a_dead_worker_goes_to_one_that_was_idle():
    """All others had long been out of work, and must still be there."""
    watched = Watched([range(6)], 3, batch_size=2)
    watched.ready(1, 2, 3)
    last = max(rank for rank in watched.ranks if watched.held[rank])
    others = set(watched.ranks) - {last}
    while any(watched.held[rank] for rank in others):
        watched.finish(next(rank for rank in others if watched.held[rank]))
    left = watched.holds(last)
    watched.lose(last)

    assert left
    assert left == sorted(index for rank in others for index in watched.holds(rank))


def test_what_one_dead_worker_left_is_shared_among_all_that_are_idle():
    watched = Watched([range(4)], 3, batch_size=2)
    watched.ready(1)
    if len(watched.holds(1)) < 4:
        watched.finish(1, duration=MICROSECOND)
    watched.ready(2, 3)
    left = watched.holds(1)
    watched.lose(1)

    assert sorted(left) == sorted(watched.holds(2) + watched.holds(3))
    watched.finish_everything()
    assert [0, 1, 2, 3] == sorted(watched.recorded)


def test_a_worker_may_die_before_it_says_a_word():
    watched = Watched([range(3)], 2, batch_size=1)
    watched.lose(1)
    watched.ready(2)
    watched.finish_everything()

    assert [0, 1, 2] == watched.recorded
    assert watched.dispatcher.done


def test_the_death_of_the_last_worker_that_was_waited_for_ends_the_run():
    watched = Watched([range(2)], 2, batch_size=2)
    watched.ready(1)
    watched.finish(1)
    watched.lose(2)

    assert watched.dispatcher.done


def test_when_all_workers_die_the_run_ends_and_their_trials_are_left():
    watched = Watched([range(10)], 2, batch_size=2)
    watched.ready(1, 2)
    watched.lose(1)
    watched.lose(2)

    assert watched.dispatcher.done
    assert 10 == watched.dispatcher.left


def test_a_worker_that_dies_after_its_release_changes_nothing():
    watched = Watched([range(2)], 1, batch_size=2)
    watched.ready(1)
    watched.finish(1)

    assert [] == watched.lose(1)


def test_a_death_that_is_noticed_twice_counts_once():
    """Several requests to one rank fail when it dies."""
    watched = Watched([range(4)], 2, batch_size=2)
    watched.ready(1)
    watched.lose(1)
    watched.lose(1)

    assert 4 == watched.dispatcher.left


# --- workers that cannot work


def test_a_worker_that_cannot_work_is_sent_home_while_others_work():
    """On one node a library is missing; the others do its share."""
    watched = Watched([range(10)], 2, batch_size=2)
    watched.ready(1)

    assert [Send(2, m.Release())] == watched.unable(2)
    watched.finish_everything()
    assert 10 == len(watched.recorded)
    assert [2] == list(watched.dispatcher.unable)


def test_when_no_worker_can_work_the_run_ends_with_everything_left():
    """The script has a mistake: all say so, and nobody waits for the others."""
    watched = Watched([range(10)], 3)
    for rank in watched.ranks:
        watched.unable(rank)

    assert watched.dispatcher.done
    assert everyone(watched) == watched.released == set(watched.dispatcher.unable)
    assert 10 == watched.dispatcher.left


def test_the_last_to_come_cannot_work_and_the_idle_ones_go_home():
    watched = Watched([range(2)], 2, batch_size=2)
    watched.ready(1)
    watched.finish(1)
    watched.unable(2)

    assert everyone(watched) == watched.released


def test_one_that_cannot_work_leaves_the_work_to_those_still_to_come():
    watched = Watched([range(2)], 2, batch_size=2)
    watched.unable(1)
    before = watched.dispatcher.done
    watched.ready(2)
    watched.finish_everything()

    assert not before
    assert [0, 1] == watched.recorded


# --- stopping early


def test_a_drain_reaches_every_worker_that_is_ready():
    watched = Watched([range(10)], 3, batch_size=1)
    watched.ready(1, 3)

    assert [
        Send(1, m.StopWork("SIGTERM")),
        Send(3, m.StopWork("SIGTERM")),
    ] == watched.drain()


def test_a_drain_while_batches_are_in_flight_loses_and_repeats_nothing():
    """Each worker ends its running trial, reports it, and gives the rest back."""
    watched = Watched([range(100)], 2, batch_size=5)
    watched.ready(1, 2)
    watched.finish(1, 3)
    watched.drain()
    watched.finish(1, 1)
    watched.on(1, m.WorkStopped())
    watched.finish(2, 1)
    watched.on(2, m.WorkStopped())

    assert 5 == len(watched.recorded)
    assert 95 == watched.dispatcher.left
    assert everyone(watched) == watched.released
    assert watched.dispatcher.done


def test_a_drained_worker_is_released_without_waiting_for_the_others():
    watched = Watched([range(100)], 2, batch_size=5)
    watched.ready(1, 2)
    watched.drain()

    assert [Send(1, m.Release())] == watched.on(1, m.WorkStopped())


def test_outcomes_that_crossed_the_drain_are_recorded_and_ask_for_nothing():
    watched = Watched([range(100)], 1, batch_size=5)
    watched.ready(1)
    watched.drain()
    outcomes = tuple(outcome(index) for index in watched.holds(1)[:5])

    assert [Record(1, outcomes)] == watched.report(1, *outcomes)


def test_a_worker_that_becomes_ready_during_a_drain_is_given_no_trial():
    watched = Watched([range(100)], 2, batch_size=5)
    watched.ready(1)
    watched.drain()
    (instruction,) = watched.ready(2)
    watched.on(1, m.WorkStopped())
    watched.on(2, m.WorkStopped())

    assert isinstance(instruction.message, m.StopWork)
    assert everyone(watched) == watched.released


def test_a_drain_that_is_asked_for_twice_is_sent_once():
    """A time limit and a signal, or a signal and another."""
    watched = Watched([range(10)], 1)
    watched.ready(1)
    watched.drain()

    assert [] == watched.drain("the time limit")


def test_a_drain_before_anyone_is_ready_waits_for_all_of_them():
    watched = Watched([range(10)], 2)
    nobody = watched.drain()
    watched.ready(1, 2)
    watched.on(1, m.WorkStopped())
    before = watched.dispatcher.done
    watched.on(2, m.WorkStopped())

    assert [] == nobody
    assert (False, True) == (before, watched.dispatcher.done)


def test_an_idle_worker_answers_a_drain_like_any_other():
    watched = Watched([range(2)], 2, batch_size=2)
    watched.ready(1, 2)
    watched.drain()
    watched.on(2, m.WorkStopped())
    watched.finish(1)
    watched.on(1, m.WorkStopped())

    assert [0, 1] == watched.recorded
    assert everyone(watched) == watched.released


def test_a_worker_that_cannot_work_hurries_no_one_who_is_draining():
    """All trials were done when the signal came, and the slowest rank fails to start.

    The other has been asked to drain and its answer is on the way: a release before
    it would make that answer a message from a rank that has gone.
    """
    watched = Watched([range(2)], 3, batch_size=2)
    watched.ready(1, 2)
    watched.drain()
    watched.finish(1)
    watched.unable(3)
    watched.on(1, m.WorkStopped())
    watched.on(2, m.WorkStopped())

    assert everyone(watched) == watched.released


def test_a_worker_that_dies_during_a_drain_is_not_waited_for():
    watched = Watched([range(100)], 2, batch_size=5)
    watched.ready(1, 2)
    watched.drain()
    watched.on(1, m.WorkStopped())
    watched.lose(2)

    assert watched.dispatcher.done
    assert 100 == watched.dispatcher.left


def test_what_a_dead_worker_held_is_not_handed_out_during_a_drain():
    watched = Watched([range(100)], 2, batch_size=5)
    watched.ready(1, 2)
    watched.drain()
    held = tuple(watched.holds(2))

    assert [Blame(2, held, ())] == watched.lose(2)


def test_a_failed_trial_stops_nothing_unless_it_is_to():
    watched = Watched([range(3)], 1, batch_size=1)
    watched.ready(1)
    while watched.held[1]:
        watched.finish(1, status=Status.FAILED)

    assert [0, 1, 2] == watched.recorded


def test_a_failed_trial_drains_the_run_where_it_is_to_stop_it():
    """``on_error="raise"``: a mistake in a new script should not fail a night long."""
    watched = Watched([range(100)], 2, batch_size=2, stop_on_failure=True)
    watched.ready(1, 2)
    watched.finish(1, 1)
    before = watched.dispatcher.draining
    record, *drains = watched.finish(1, 1, status=Status.FAILED)

    assert (False, True) == (before, watched.dispatcher.draining)
    assert Record(1, (outcome(1, Status.FAILED),)) == record
    assert [1, 2] == sorted(send.rank for send in drains)
    assert all(isinstance(send.message, m.StopWork) for send in drains)


@pytest.mark.parametrize("status", [Status.FINISHED, Status.PENDING])
def test_no_other_end_of_a_trial_stops_the_run(status):
    watched = Watched([range(100)], 1, batch_size=1, stop_on_failure=True)
    watched.ready(1)
    watched.finish(1, status=status)

    assert not watched.dispatcher.draining


def test_a_second_failure_while_draining_is_only_recorded():
    watched = Watched([range(100)], 1, batch_size=2, stop_on_failure=True)
    watched.ready(1)
    watched.finish(1, 1, status=Status.FAILED)

    assert 1 == len(watched.finish(1, 1, status=Status.FAILED))


def test_the_failure_of_the_very_last_trial_ends_the_run_too():
    watched = Watched([range(1)], 2, batch_size=1, stop_on_failure=True)
    watched.ready(1, 2)
    watched.finish(1, status=Status.FAILED)
    watched.on(1, m.WorkStopped())
    watched.on(2, m.WorkStopped())

    assert everyone(watched) == watched.released


def test_a_report_of_nothing_changes_nothing():
    watched = Watched([range(10)], 1, batch_size=2)
    watched.ready(1)
    held = watched.holds(1)

    assert [Record(1, ())] == watched.report(1)
    assert held == watched.holds(1)


# --- what a rank may not say


def test_an_outcome_of_a_trial_the_rank_was_not_given_is_a_protocol_error():
    watched = Watched([range(10)], 2, batch_size=2)
    watched.ready(1, 2)
    stolen = watched.holds(2)[0]

    with pytest.raises(
        ProtocolError, match=f"rank 1 reports trial {stolen} but was to"
    ):
        watched.report(1, outcome(stolen))


def test_an_outcome_out_of_order_is_a_protocol_error():
    watched = Watched([range(10)], 1, batch_size=5)
    watched.ready(1)

    with pytest.raises(ProtocolError, match="rank 1 reports trial 1 but was to run 0"):
        watched.report(1, outcome(1))


def test_an_outcome_that_comes_twice_is_a_protocol_error():
    watched = Watched([range(10)], 1, batch_size=5)
    watched.ready(1)
    watched.report(1, outcome(0))

    with pytest.raises(ProtocolError, match="rank 1 reports trial 0"):
        watched.report(1, outcome(0))


def test_an_outcome_from_a_rank_that_holds_nothing_is_a_protocol_error():
    watched = Watched([range(2)], 2, batch_size=2)
    watched.ready(1, 2)

    with pytest.raises(
        ProtocolError, match="rank 2 reports trial 0 but was to run None"
    ):
        watched.report(2, outcome(0))


def test_a_message_from_a_rank_that_was_released_is_a_protocol_error():
    watched = Watched([], 1)
    watched.ready(1)

    with pytest.raises(ProtocolError, match="rank 1 sent Ready after its release"):
        watched.ready(1)


def test_a_message_from_a_rank_that_is_lost_is_a_protocol_error():
    watched = Watched([range(2)], 1)
    watched.ready(1)
    watched.lose(1)

    with pytest.raises(ProtocolError, match="rank 1 sent Finished after its release"):
        watched.report(1, outcome(0))


@pytest.mark.parametrize(
    "message", [m.Release(), m.Assign(((0, 1),)), m.Done(), m.FetchResults("an id")]
)
def test_what_only_others_may_say_is_a_protocol_error(message):
    watched = Watched([range(2)], 1)

    with pytest.raises(
        ProtocolError, match=f"rank 1 may not send {type(message).__name__}"
    ):
        watched.dispatcher.on(1, message)


@pytest.mark.parametrize(
    "message",
    [
        m.Ready(HERE),
        m.Unable(HERE, "StoreError", "no data"),
        m.WorkStopped(),
    ],
    ids=["ready", "unable", "drained"],
)
def test_what_a_working_rank_says_at_the_wrong_time_is_a_protocol_error(message):
    """Ready twice, unable after it was ready, drained without being asked.

    Taken at its word, a rank that is suddenly unable would keep the trials it holds
    for ever, and all the others waiting for them.
    """
    watched = Watched([range(10)], 2, batch_size=2)
    watched.ready(1)

    with pytest.raises(ProtocolError, match="rank 1"):
        watched.dispatcher.on(1, message)


def test_outcomes_from_a_rank_that_never_was_ready_are_a_protocol_error():
    watched = Watched([range(10)], 1)

    with pytest.raises(ProtocolError, match="rank 1"):
        watched.dispatcher.on(1, m.Finished(()))


# --- the size of batches


def test_a_fixed_size_is_kept_to_and_the_rest_comes_last():
    watched = Watched([range(10)], 1, batch_size=4)
    given = sizes(watched.ready(1))
    while watched.held[1]:
        given += sizes(watched.finish(1, duration=MICROSECOND))

    assert [4, 4, 2] == given


@pytest.mark.parametrize("duration", SHORT_AND_LONG)
def test_a_fixed_size_is_kept_to_however_long_trials_are(duration):
    watched = Watched([range(1000)], 1, batch_size=7)
    watched.ready(1)
    for _ in range(10):
        given = sizes(watched.finish(1, duration=duration))

        assert {7} == set(given)


def test_before_any_trial_has_ended_batches_are_of_one():
    """They may be of a microsecond or of a day."""
    watched = Watched([range(1_000_000)], 4)

    assert {1} == set(sizes(watched.ready(1, 2, 3, 4)))


def test_batches_of_microsecond_trials_grow_to_the_largest_at_once():
    watched = Watched([range(1_000_000)], 4)
    watched.ready(1, 2, 3, 4)

    assert {LARGEST_BATCH} == set(sizes(watched.finish(1, duration=MICROSECOND)))


def test_a_batch_of_millisecond_trials_takes_a_few_round_trips_time():
    watched = Watched([range(1_000_000)], 4)
    watched.ready(1)
    (size, *_) = sizes(watched.finish(1, duration=0.001))

    assert 2 <= size <= 100


@pytest.mark.parametrize("duration", [0.1, 1.0, HOUR])
def test_long_trials_go_one_by_one(duration):
    watched = Watched([range(1_000_000)], 4)
    watched.ready(1, 2, 3, 4)
    for _ in range(20):
        given = sizes(watched.finish(1, duration=duration))

        assert {1} == set(given)


def test_a_long_trial_after_short_ones_shrinks_the_batch_at_once():
    """Parameters grow along the sweep; the first long trial is the first of many."""
    watched = Watched([range(1_000_000)], 4)
    watched.ready(1, 2, 3, 4)
    for _ in range(20):
        watched.finish(1, duration=MICROSECOND)
    watched.finish(1, LARGEST_BATCH - 1, duration=MICROSECOND)

    assert {1} >= set(sizes(watched.finish(1, 1, duration=1.0)))
    assert {1} >= set(sizes(watched.finish(2, duration=1.0)))


def test_a_long_trial_in_the_middle_of_a_report_counts_as_at_its_end():
    """One in ten takes a second: a batch of a hundred would take ten."""
    watched = Watched([range(1_000_000)], 1)
    watched.ready(1)
    watched.finish(1, duration=MICROSECOND)
    watched.finish(1, duration=MICROSECOND)
    indices = watched.holds(1)[:LARGEST_BATCH]
    middle = indices[len(indices) // 2]
    given = watched.report(
        1, *(outcome(i, duration=1.0 if i == middle else MICROSECOND) for i in indices)
    )

    assert 20 > max(sizes(given), default=0)


def test_one_short_trial_among_long_ones_changes_nothing():
    """It found its result in a cache, or had nothing to do."""
    watched = Watched([range(1_000_000)], 1)
    watched.ready(1)
    watched.finish(1, duration=1.0)

    assert {1} == set(sizes(watched.finish(1, duration=MICROSECOND)))


def test_one_long_trial_does_not_slow_all_that_follow():
    """The first one compiled, or loaded a library."""
    watched = Watched([range(1_000_000)], 1)
    watched.ready(1)
    watched.finish(1, duration=10.0)
    given = [0]
    for _ in range(300):
        given += sizes(watched.finish(1, duration=MICROSECOND))

    assert LARGEST_BATCH == given[-1]


def test_a_trial_that_takes_no_time_at_all_is_no_trouble():
    watched = Watched([range(1_000_000)], 1)
    watched.ready(1)

    assert {LARGEST_BATCH} == set(sizes(watched.finish(1, duration=0.0)))


def test_the_tail_is_split_finely():
    """The last batches are small, so that all workers end at about the same time."""
    watched = Watched([range(10_000)], 4)
    watched.ready(1, 2, 3, 4)
    given, left = [], []
    while any(watched.held.values()):
        for rank in watched.ranks:
            if watched.held[rank]:
                before = watched.dispatcher.left
                size = sizes(watched.finish(rank, duration=MICROSECOND))
                given += size
                left += [before] * len(size)

    shares = [size / max(1, rest) for size, rest in zip(given, left, strict=True)]
    assert [1] * 8 == given[-8:]
    assert 100 < max(given)
    assert 0.25 >= max(
        share for share, rest in zip(shares, left, strict=True) if rest > 8
    )


def test_with_few_trials_every_worker_gets_its_share():
    watched = Watched([range(40)], 4)
    watched.ready(1, 2, 3, 4)
    for rank in watched.ranks:
        watched.finish(rank, duration=MICROSECOND)

    assert all(0 < len(watched.holds(rank)) <= 10 for rank in watched.ranks)


# --- too little time left


def test_when_time_runs_out_what_is_held_comes_to_its_end_and_nothing_else_begins():
    watched = Watched([range(10)], 2, batch_size=1, runs_out=lambda s: s is not None)
    watched.ready(1, 2)
    watched.finish(1, duration=60)
    assert not watched.released

    watched.finish(2, duration=60)

    assert {1, 2} == set(watched.released)
    assert 8 == watched.dispatcher.left


def test_a_rank_that_comes_when_time_has_run_out_is_released():
    watched = Watched([range(10)], 2, batch_size=1, runs_out=lambda s: s is not None)
    watched.ready(1)
    watched.finish(1, duration=60)
    watched.ready(2)

    assert {1, 2} == set(watched.released)


def test_what_is_asked_of_the_clock_is_how_long_the_next_batch_will_take():
    asked = []
    watched = Watched([range(10)], 1, batch_size=3, runs_out=asked.append)
    watched.ready(1)
    watched.finish(1, duration=20.0)

    assert asked[0] is None
    assert 60.0 == asked[-1]
