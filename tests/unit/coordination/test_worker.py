"""A worker rank: what it sends, in which order, and what it does in between."""

from __future__ import annotations

import signal
import threading

import pytest

from experimenter_mpi.coordination import messages as m
from experimenter_mpi.coordination import worker
from experimenter_mpi.coordination import worker as reports
from experimenter_mpi.coordination.messages import HOLD_SECONDS
from experimenter_mpi.coordination.worker import Line, in_frames, report_unable, work
from experimenter_mpi.errors import NotFoundError, ProtocolError, TrialInterrupted
from experimenter_mpi.experiment.experiment import Experiment
from experimenter_mpi.experiment.variables import IntegerVariable
from experimenter_mpi.mpi.mail import FRAME_BYTES, pack
from experimenter_mpi.trial.attempt import Attempt, InProcess
from experimenter_mpi.trial.context import (
    Context,
    complete_trial_in_global_database,
    get_latest_snapshot_from_global_database,
    get_results_from_trial_global_database,
    save_snapshot_in_global_database,
    stop_requested,
    time_left,
)
from experimenter_mpi.trial.outcome import Place, Status, StoredSnapshot
from experimenter_mpi.trial.signals import outliving_signals
from support.fakes import (
    HERE,
    PATIENCE,
    FakeClock,
    FakeTransport,
    InlineArrays,
    encoded,
    outcome,
)

A_TRIAL = "b930a90d-4bd5-8b35-89b1-000000000000"


def double(configuration, trial_id):
    return {"double": 2 * configuration["n"]}


@pytest.fixture
def clock(monkeypatch):
    """Time stands still unless a trial takes some."""
    fake = FakeClock()
    monkeypatch.setattr(reports, "time", fake)
    monkeypatch.setattr(worker, "time", fake)
    return fake


class Worker:
    """A worker of an experiment with n = 0, 1, 2, ... and rank 0 as a script."""

    def __init__(self, function=double, trials=100):
        n = IntegerVariable(0, trials - 1)
        self.experiment = Experiment("heat", function=function, configuration={"n": n})
        self.transport = FakeTransport(1, 2)
        self.line = Line(self.transport)

    def told(self, *messages):
        self.transport.inbox.extend((0, message) for message in messages)

    def answered(self, answer):
        """Let rank 0 answer each message with those that ``answer`` gives for it."""
        self.transport.on_send = lambda _, message: [(0, a) for a in answer(message)]

    def work(self, *messages):
        """Work at what rank 0 says, until it says that this is over."""
        return self.begin(*messages, m.Release())

    def begin(self, *messages):
        """Work at what rank 0 says, which goes on while trials run."""
        self.told(*messages)
        context = Context("heat", self.line, InlineArrays(), self.line)
        function = self.experiment.function
        work(self.line, HERE, InProcess(self.experiment, function, context))
        return self

    @property
    def sent(self):
        return [message for _, message in self.transport.sent]

    @property
    def outcomes(self):
        batches = self.transport.sent_of(m.Finished)
        return [outcome for finished in batches for outcome in finished.outcomes]

    @property
    def indices(self):
        return [outcome.index for outcome in self.outcomes]


# --- batches


def test_it_begins_by_saying_that_it_is_ready_and_where_it_is():
    assert [m.Ready(HERE)] == Worker().work().sent


def test_all_it_says_goes_to_rank_0():
    assert {0} == {
        rank for rank, _ in Worker().work(m.Assign(((0, 3),))).transport.sent
    }


def test_a_batch_is_run_in_order_and_reported_as_it_will_be_stored():
    done = Worker().work(m.Assign(((3, 5), (9, 10))))

    assert [3, 4, 9] == done.indices
    assert ['{"double":6}', '{"double":8}', '{"double":18}'] == [
        outcome.results.document for outcome in done.outcomes
    ]


def test_a_trial_that_is_to_be_announced_is_so_before_it_runs():
    """It may be the last thing that this rank says."""
    seen = []

    def trial(configuration, trial_id):
        seen.extend(worker.sent)
        return {}

    worker = Worker(trial)
    worker.work(m.Assign(((7, 8),), announced=True))

    assert [m.Ready(HERE), m.Begun(7)] == seen


def test_what_is_not_to_be_announced_is_not():
    assert [] == Worker().work(m.Assign(((7, 8),))).transport.sent_of(m.Begun)


def test_a_trial_that_a_drain_overtakes_is_not_announced():
    done = Worker().work(m.Assign(((7, 8),), announced=True), m.StopWork("SIGTERM"))

    assert [] == done.transport.sent_of(m.Begun)


def test_a_batch_of_short_trials_is_reported_in_one_message(clock):
    done = Worker().work(m.Assign(((0, 50),)))

    assert [m.Ready, m.Finished] == [type(message) for message in done.sent]
    assert list(range(50)) == done.indices


def test_each_batch_is_reported_by_itself(clock):
    done = Worker().work(m.Assign(((0, 2),)), m.Assign(((2, 4),)))

    assert [2, 2] == [len(f.outcomes) for f in done.transport.sent_of(m.Finished)]


def test_a_long_trial_is_reported_before_the_next_one_begins(clock):
    """An hour's result must not wait for another hour, and be lost with it."""
    reported_before = []

    def an_hour(configuration, trial_id):
        reported_before.append(list(running.indices))
        clock.now += 3600
        return {}

    running = Worker(an_hour)
    running.work(m.Assign(((0, 3),)))

    assert [[], [0], [0, 1]] == reported_before
    assert [0, 1, 2] == running.indices


def test_no_outcome_waits_for_much_other_work(clock):
    def a_moment(configuration, trial_id):
        clock.now += HOLD_SECONDS / 4
        return {}

    done = Worker(a_moment).work(m.Assign(((0, 10),)))

    assert [4, 4, 2] == [len(f.outcomes) for f in done.transport.sent_of(m.Finished)]


def test_a_trial_that_raises_is_an_outcome_and_the_next_one_runs():
    def odd_fails(configuration, trial_id):
        if configuration["n"] % 2:
            raise ValueError("odd")
        return {}

    done = Worker(odd_fails).work(m.Assign(((0, 4),)))

    assert [Status.FINISHED, Status.FAILED] * 2 == [o.status for o in done.outcomes]


def test_it_ends_when_it_is_released():
    done = Worker().work(m.Assign(((0, 1),)))

    assert [] == list(done.transport.inbox)


@pytest.mark.parametrize(
    "message", [m.Ready(Place(0, "node0")), m.Done(), m.Begin(b"")]
)
def test_what_nobody_may_say_to_a_working_rank_is_a_protocol_error(message):
    with pytest.raises(
        ProtocolError, match=f"sent {type(message).__name__} to a working"
    ):
        Worker().work(message)


# --- what is sent together


def test_a_thousand_short_results_travel_in_frames():
    """What is larger makes rank 0 wait until the sender has a core again."""
    groups = list(in_frames((outcome(index) for index in range(1000)), FRAME_BYTES))

    assert list(range(1000)) == [each.index for group in groups for each in group]
    assert FRAME_BYTES >= max(len(pack(m.Finished(group))[1]) for group in groups)
    assert 20 > len(groups)


def test_a_result_that_is_larger_than_a_frame_is_sent_by_itself():
    large = outcome(1)._replace(results=encoded(f'"{"x" * FRAME_BYTES}"'))
    groups = in_frames([outcome(0), large, outcome(2)], FRAME_BYTES)

    assert [[0], [1], [2]] == [[each.index for each in group] for group in groups]


# --- the end of the run


def test_asked_to_drain_it_starts_no_trial_and_says_so():
    done = Worker().work(m.StopWork("SIGTERM"))

    assert [m.Ready(HERE), m.WorkStopped()] == done.sent


def test_a_drain_overtakes_the_batches_that_wait():
    """They came before it, but none of their trials has begun."""
    done = Worker().work(
        m.Assign(((0, 3),)), m.Assign(((3, 6),)), m.StopWork("SIGTERM")
    )

    assert [m.Ready(HERE), m.WorkStopped()] == done.sent


def test_a_drain_during_a_batch_lets_its_running_trial_end():
    seen = []

    def look(configuration, trial_id):
        before = stop_requested()
        if configuration["n"] == 2:
            running.told(m.StopWork("SIGTERM"), m.Release())
        seen.append((configuration["n"], before, stop_requested()))
        return {}

    running = Worker(look)
    running.begin(m.Assign(((0, 10),)))

    assert [(0, False, False), (1, False, False), (2, False, True)] == seen
    assert [0, 1, 2] == running.indices
    assert m.WorkStopped() == running.sent[-1]


def test_a_trial_that_steps_back_is_reported_as_pending():
    def step_back(configuration, trial_id):
        running.told(m.StopWork("SIGTERM"), m.Release())
        if stop_requested():
            raise TrialInterrupted
        return {}

    running = Worker(step_back)
    running.begin(m.Assign(((0, 10),)))

    assert [(0, Status.PENDING)] == [(o.index, o.status) for o in running.outcomes]


def test_it_answers_a_drain_once():
    done = Worker().work(m.StopWork("SIGTERM"), m.Assign(((0, 1),)))

    assert 1 == len(done.transport.sent_of(m.WorkStopped))
    assert [] == done.indices


def test_what_comes_after_the_release_is_left_to_the_next_experiment():
    transport = FakeTransport(1, 2, [(0, m.Release()), (0, m.Dismiss())])
    line = Line(transport)
    line.requested()
    line.requested()

    assert m.Release() == line.receive()
    assert [(0, m.Dismiss())] == list(transport.inbox)


def test_the_time_left_is_counted_from_when_it_began(clock):
    line = Line(FakeTransport(1, 2), time_left=60)
    clock.now += 20
    left = line.time_left()
    clock.now += 100

    assert (40, 0) == (left, line.time_left())


def test_without_a_time_limit_there_is_none_to_tell():
    told = []
    Worker(lambda *_: {"left": told.append(time_left())}).work(m.Assign(((0, 1),)))

    assert [None] == told


# --- what a trial asks for


def test_a_snapshot_is_durable_when_saving_it_returns():
    """The call waits for rank 0 to say so."""
    done = []

    def save(configuration, trial_id):
        save_snapshot_in_global_database(trial_id, {"step": 3}, "half way")
        done.append(asking.sent[-1])
        return {}

    asking = Worker(save)
    asking.answered(lambda q: [m.Done()] if isinstance(q, m.SaveSnapshot) else [])
    asking.work(m.Assign(((0, 1),)))

    question = m.SaveSnapshot(
        str(asking.experiment[0].id), encoded('{"step":3}'), "half way"
    )
    assert [question] == done


def test_the_latest_snapshot_is_what_rank_0_found():
    found = []

    def fetch(configuration, trial_id):
        found.append(get_latest_snapshot_from_global_database(trial_id))
        return {}

    stored = StoredSnapshot(A_TRIAL, A_TRIAL, encoded('{"step":3}'), "x", "2026-01-01")
    answers = iter([m.SnapshotFound(stored), m.SnapshotFound(None)])
    asking = Worker(fetch)
    asking.answered(lambda q: [next(answers)] if isinstance(q, m.FetchSnapshot) else [])
    asking.work(m.Assign(((0, 2),)))

    assert [{"step": 3}, None] == [snapshot and snapshot.state for snapshot in found]
    assert [str(asking.experiment[i].id) for i in (0, 1)] == [
        q.trial_id for q in asking.transport.sent_of(m.FetchSnapshot)
    ]


def test_the_results_of_another_trial_are_what_rank_0_found():
    found = []

    def fetch(configuration, trial_id):
        found.append(get_results_from_trial_global_database(A_TRIAL))
        return {}

    answers = iter([m.ResultsFound(encoded('{"a":1}')), m.ResultsFound(None)])
    asking = Worker(fetch)
    asking.answered(lambda q: [next(answers)] if isinstance(q, m.FetchResults) else [])
    asking.work(m.Assign(((0, 2),)))

    assert [{"a": 1}, None] == found
    assert [m.FetchResults(A_TRIAL)] * 2 == asking.transport.sent_of(m.FetchResults)


def test_a_trial_may_be_completed_from_within():
    def complete(configuration, trial_id):
        complete_trial_in_global_database(A_TRIAL, {"a": 1})
        return {}

    asking = Worker(complete)
    asking.answered(lambda q: [m.Done()] if isinstance(q, m.CompleteTrial) else [])
    asking.work(m.Assign(((0, 1),)))

    assert m.CompleteTrial(A_TRIAL, encoded('{"a":1}')) in asking.sent


def test_what_rank_0_refuses_is_an_error_in_the_trial_that_asked():
    caught = []

    def fetch(configuration, trial_id):
        try:
            get_results_from_trial_global_database(A_TRIAL)
        except NotFoundError as error:
            caught.append(str(error))
        return {}

    refused = m.Refused("NotFoundError", "no such trial")
    asking = Worker(fetch)
    asking.answered(lambda q: [refused] if isinstance(q, m.FetchResults) else [])
    asking.work(m.Assign(((0, 1),)))

    assert ["no such trial"] == caught


def test_a_refusal_that_the_trial_does_not_catch_is_its_failure():
    refused = m.Refused("NotFoundError", "no such trial")
    asking = Worker(lambda *_: get_results_from_trial_global_database(A_TRIAL))
    asking.answered(lambda q: [refused] if isinstance(q, m.FetchResults) else [])
    asking.work(m.Assign(((0, 1),)))

    assert [("NotFoundError", "no such trial")] == [
        outcome.failure[:2] for outcome in asking.outcomes
    ]


def test_a_handler_that_raises_leaves_no_answer_to_the_next_question():
    """The signal comes when the question is sent, and its answer is on the way."""
    found = []

    def late(number, frame):
        raise TimeoutError

    def fetch(configuration, trial_id):
        signal.signal(signal.SIGALRM, late)
        found.append(get_latest_snapshot_from_global_database(trial_id).state["step"])
        return {}

    def answer(question):
        if not isinstance(question, m.FetchSnapshot):
            return []
        step = len(asking.transport.sent_of(m.FetchSnapshot))
        state = encoded(f'{{"step":{step}}}')
        stored = StoredSnapshot(A_TRIAL, A_TRIAL, state, "x", "2026")
        asking.told(m.SnapshotFound(stored))
        if step == 1:
            signal.raise_signal(signal.SIGALRM)
        return []

    before = signal.getsignal(signal.SIGALRM)
    asking = Worker(fetch)
    asking.answered(answer)
    with outliving_signals():
        asking.work(m.Assign(((0, 2),)))
    signal.signal(signal.SIGALRM, before)

    assert [Status.FAILED, Status.FINISHED] == [o.status for o in asking.outcomes]
    assert [2] == found


def test_orders_that_come_before_an_answer_are_kept_in_their_order():
    """A batch in advance is on its way while the trial asks for its snapshot."""

    def fetch(configuration, trial_id):
        get_latest_snapshot_from_global_database(trial_id)
        return {}

    before = [[m.Assign(((1, 2),)), m.Assign(((2, 3),))], [], []]
    answers = iter(before)
    asking = Worker(fetch)
    asking.answered(
        lambda q: (
            [*next(answers), m.SnapshotFound(None)]
            if isinstance(q, m.FetchSnapshot)
            else []
        )
    )
    asking.transport.on_idle = lambda: asking.told(m.Release())
    asking.begin(m.Assign(((0, 1),)))

    assert [0, 1, 2] == asking.indices


def test_a_drain_that_comes_before_an_answer_is_noticed():
    seen = []

    def fetch(configuration, trial_id):
        get_latest_snapshot_from_global_database(trial_id)
        seen.append(stop_requested())
        return {}

    asking = Worker(fetch)
    asking.answered(
        lambda q: (
            [m.StopWork("SIGTERM"), m.SnapshotFound(None), m.Release()]
            if isinstance(q, m.FetchSnapshot)
            else []
        )
    )
    asking.begin(m.Assign(((0, 3),)))

    assert [True] == seen
    assert [0] == asking.indices
    assert m.WorkStopped() == asking.sent[-1]


def test_a_wait_without_a_timeout_that_gives_nothing_is_a_protocol_error():
    transport = FakeTransport(1, 2)
    transport.receive = lambda: None

    with pytest.raises(ProtocolError, match="returned nothing"):
        Line(transport).receive()


# --- ranks that cannot work


def test_a_rank_that_cannot_work_says_why_and_waits_for_its_release():
    transport = FakeTransport(1, 2, [(0, m.StopWork("SIGTERM")), (0, m.Release())])
    report_unable(Line(transport), HERE, NotFoundError("no data"))

    assert [(0, m.Unable(HERE, "NotFoundError", "no data"))] == transport.sent
    assert [] == list(transport.inbox)


def test_a_rank_that_cannot_work_does_not_say_it_at_any_length():
    transport = FakeTransport(1, 2, [(0, m.Release())])
    report_unable(Line(transport), HERE, NotFoundError("a" * 9_000_000 + "the end"))

    [(_, unable)] = transport.sent
    assert 10_000 >= len(unable.message)
    assert unable.message.startswith("aaa")
    assert unable.message.endswith("the end")


# --- what is held while a long trial runs


def test_what_was_finished_does_not_wait_for_a_long_trial():
    """A kill would take it away, and other trials would ask for it in vain."""
    sent = []
    arrived = threading.Event()

    def send(attempts):
        sent.extend(each.outcome.index for each in attempts)
        arrived.set()

    held = reports.Outgoing(send, watched=True)
    held.begin()
    held.add(Attempt(outcome(0)))

    assert arrived.wait(PATIENCE)
    assert [0] == sent
    assert ((), 1) == held.take()
    held.close()


def test_what_was_sent_before_the_end_of_a_batch_is_not_given_again():
    sent = []
    held = reports.Outgoing(sent.extend, watched=False)
    held.begin()
    held.add(Attempt(outcome(0)))
    held.flush()
    held.add(Attempt(outcome(1)))
    rest, before = held.take()

    assert ([0], [1], 1) == (
        [each.outcome.index for each in sent],
        [each.outcome.index for each in rest],
        before,
    )
