"""Any order of events that workers, deaths and signals can produce ends well.

The stories of test_dispatch.py are the orders somebody thought of; these are the rest.
Messages are on their way while others arrive, as between real ranks.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)

from experimenter_mpi.trial.outcome import Status
from support.crowd import Crowd, Watched

MOST_RANKS = 5
GAPS = st.lists(st.integers(0, 3), max_size=5)
LENGTHS = st.lists(st.integers(0, 12), max_size=5)
RANKS = st.integers(0, MOST_RANKS - 1)
STATUSES = st.sampled_from([Status.FINISHED] * 6 + [Status.FAILED, Status.PENDING])
DURATIONS = st.sampled_from([0.0, 1e-6, 1e-3, 1.0, 3600.0])


def pieces(gaps, lengths):
    """Return disjoint ranges, some empty: the trials an earlier run left."""
    start = 0
    for gap, length in zip(gaps, lengths, strict=False):
        yield range(start + gap, start + gap + length)
        start += gap + length


class AnyOrder(RuleBasedStateMachine):
    """What may happen next is drawn, until it is all played to its end."""

    @initialize(
        gaps=GAPS,
        lengths=LENGTHS,
        workers=st.integers(1, MOST_RANKS),
        batch_size=st.none() | st.integers(1, 6),
        stop_on_failure=st.booleans(),
    )
    def begin(self, gaps, lengths, workers, batch_size, stop_on_failure):
        watched = Watched(
            pieces(gaps, lengths), workers, batch_size, stop_on_failure=stop_on_failure
        )
        self.crowd = Crowd(watched)

    def among(self, able, choice):
        """Choose one of the ranks for which something holds."""
        ranks = [rank for rank, w in self.crowd.workers.items() if able(w)]
        return ranks[choice % len(ranks)]

    def exists(self, able):
        return any(able(worker) for worker in self.crowd.workers.values())

    @precondition(lambda self: self.exists(lambda w: w.can_start))
    @rule(choice=RANKS, able=st.sampled_from([True] * 4 + [False]))
    def a_worker_starts(self, choice, able):
        rank = self.among(lambda w: w.can_start, choice)
        self.crowd.workers[rank].start(able=able)

    @precondition(lambda self: self.exists(lambda w: w.outbox))
    @rule(choice=RANKS)
    def a_message_reaches_the_dispatcher(self, choice):
        self.crowd.deliver(self.among(lambda w: w.outbox, choice))

    @precondition(lambda self: self.exists(lambda w: w.inbox))
    @rule(choice=RANKS)
    def a_message_reaches_a_worker(self, choice):
        rank = self.among(lambda w: w.inbox, choice)
        self.crowd.workers[rank].take_message()

    @precondition(lambda self: self.exists(lambda w: w.can_work))
    @rule(choice=RANKS, count=st.integers(1, 6), status=STATUSES, duration=DURATIONS)
    def a_worker_reports(self, choice, count, status, duration):
        rank = self.among(lambda w: w.can_work, choice)
        self.crowd.workers[rank].work(count, status, duration)

    @precondition(lambda self: self.exists(lambda w: w.draining))
    @rule(choice=RANKS)
    def a_worker_steps_back(self, choice):
        rank = self.among(lambda w: w.draining, choice)
        self.crowd.workers[rank].answer_drain()

    @rule(really=st.sampled_from([False] * 4 + [True]))
    def the_run_is_to_stop(self, really):
        if really:
            self.crowd.drain()

    @precondition(lambda self: self.exists(lambda w: not w.lost))
    @rule(choice=RANKS, really=st.sampled_from([False] * 3 + [True]))
    def a_worker_dies(self, choice, really):
        if really:
            self.crowd.lose(self.among(lambda w: not w.lost, choice))

    def teardown(self):
        if hasattr(self, "crowd"):
            self.crowd.play_to_the_end()
            check_the_end(self.crowd)


def check_the_end(crowd):
    """Everybody has gone, and no trial is left that anybody could have run."""
    watched = crowd.watched
    survivors = watched.released - set(watched.dispatcher.unable)

    assert watched.dispatcher.done
    assert watched.released | watched.lost == set(watched.ranks)
    assert all(w.released or w.lost for w in crowd.workers.values())
    assert not any(watched.held.values())
    assert len(watched.unrecorded) == watched.dispatcher.left
    if survivors and not watched.dispatcher.draining:
        assert not watched.unrecorded


AnyOrder.TestCase.settings = settings(
    max_examples=200, stateful_step_count=60, deadline=None
)
TestAnyOrder = AnyOrder.TestCase
