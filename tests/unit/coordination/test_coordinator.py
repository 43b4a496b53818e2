"""Rank 0's loop: carries out decisions, answers questions, commits in groups."""

from __future__ import annotations

import gc
import threading

import pytest

from experimenter_mpi.coordination import commits, coordinator
from experimenter_mpi.coordination import drain as drain_module
from experimenter_mpi.coordination import messages as m
from experimenter_mpi.coordination.collector import FROZEN_BY_A_SCRIPT
from experimenter_mpi.coordination.coordinator import coordinate
from experimenter_mpi.coordination.drain import Drain
from experimenter_mpi.coordination.worker import Line, report_unable, work
from experimenter_mpi.errors import (
    DatabaseWriteError,
    PickledValueWarning,
    ProtocolError,
    StoreError,
    TrialError,
)
from experimenter_mpi.experiment.experiment import Experiment
from experimenter_mpi.experiment.variables import IntegerVariable
from experimenter_mpi.trial.attempt import InProcess
from experimenter_mpi.trial.context import (
    Context,
    get_results_from_trial_global_database,
    save_snapshot_in_global_database,
)
from experimenter_mpi.trial.outcome import Place, Status
from support.fakes import (
    HERE,
    PATIENCE,
    FakeClock,
    FakeTransport,
    InlineArrays,
    ListLedger,
    MemoryWorld,
    encoded,
    outcome,
    sweep_of,
)


def double(configuration, trial_id):
    return {"double": 2 * configuration["n"]}


def make(function=double, trials=20):
    n = IntegerVariable(0, trials - 1)
    return Experiment("heat", function=function, configuration={"n": n})


class Script:
    """Rank 0 with a transport on which the workers say what a test lets them say.

    ``answer(rank, message)`` gives what a worker says to a message of rank 0, and
    ``first`` is what they say before, as pairs of rank and message.
    """

    def __init__(self, first, answer=lambda _, __: (), size=2, trials=20, **others):
        self.experiment = make(trials=trials)
        self.ledger = others.pop("ledger_kind", ListLedger)(self.experiment)
        self.drain = Drain()
        self.transport = FakeTransport(
            0,
            size,
            first,
            lambda rank, message: [(rank, a) for a in answer(rank, message)],
        )
        self.sweep = sweep_of(self.experiment, self.ledger, drain=self.drain, **others)

    def run(self, batch_size=None):
        self.error = coordinate(self.transport, self.sweep, batch_size)
        return self

    def trial_id(self, index):
        return str(self.experiment[index].id)

    def sent_to(self, rank):
        return [message for to, message in self.transport.sent if to == rank]


def ready(*ranks):
    return [(rank, m.Ready(Place(rank, f"node{rank}"))) for rank in ranks]


def obedient(rank, message, status=Status.FINISHED):
    """Run whatever is assigned, and leave when asked."""
    match message:
        case m.Assign(ranges):
            indices = [i for start, stop in ranges for i in range(start, stop)]
            return [m.Finished(tuple(outcome(i, status) for i in indices))]
        case m.StopWork():
            return [m.WorkStopped()]
    return []


def drained(rank, message):
    """Step back at once."""
    return [m.WorkStopped()] if isinstance(message, m.StopWork) else []


# --- outcomes


def test_every_outcome_is_recorded_with_where_it_came_from():
    done = Script(ready(1, 2), obedient, size=3).run(batch_size=3)

    assert list(range(20)) == sorted(done.ledger.indices)
    assert {HERE, Place(2, "node2")} == {e.place for e in done.ledger.entries}
    assert done.error is None


class GarbageLedger(ListLedger):
    """Notes how many objects the garbage collector left alone at the first commit."""

    frozen = None

    def record(self, entries, running):
        super().record(entries, running)
        if self.frozen is None:
            self.frozen = gc.get_freeze_count()


def test_the_garbage_collector_leaves_older_objects_alone_during_the_run():
    done = Script(ready(1), obedient, ledger_kind=GarbageLedger).run()

    assert done.ledger.frozen > FROZEN_BY_A_SCRIPT
    assert 0 == gc.get_freeze_count()


def test_what_the_script_has_frozen_stays_so():
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        Script(ready(1), obedient).run()

        assert 0 < gc.get_freeze_count() <= frozen  # a few are let go of
    finally:
        gc.unfreeze()


def test_what_arrives_together_is_committed_together():
    """A commit waits for the disk, and while it does more arrives."""
    first = [*ready(1), *[(1, m.Finished((outcome(i),))) for i in range(4)]]
    script = Script(first, trials=4, commit_seconds=1000)
    script.run(batch_size=4)

    assert [[0, 1, 2, 3]] == [
        [entry.outcome.index for entry in entries]
        for entries, _ in script.ledger.transactions
        if entries
    ]


def test_what_arrived_is_committed_before_waiting_for_more():
    recorded = []
    script = Script(
        [*ready(1), (1, m.Finished((outcome(0), outcome(1))))],
        trials=4,
        commit_seconds=1000,
    )

    def nothing_is_left_to_receive():
        recorded.append(list(script.ledger.indices))
        script.transport.inbox.append((1, m.Finished((outcome(2), outcome(3)))))

    script.transport.on_idle = nothing_is_left_to_receive
    script.run(batch_size=4)

    assert [[0, 1]] == recorded
    assert [0, 1, 2, 3] == script.ledger.indices


def test_trials_that_end_one_by_one_share_a_commit_where_it_takes_long(monkeypatch):
    clock = FakeClock()
    monkeypatch.setattr(commits, "time", clock)

    class SlowDisk(ListLedger):
        def record(self, entries, running):
            clock.now += 0.01
            super().record(entries, running)

    script = Script(ready(1), trials=9, ledger_kind=SlowDisk, commit_seconds=1000)
    ended = iter(range(9))
    script.transport.on_idle = lambda: script.transport.inbox.append(
        (1, m.Finished((outcome(next(ended)),)))
    )
    script.run(batch_size=1)

    counts = [len(entries) for entries, _ in script.ledger.transactions if entries]
    assert [9] == counts


def test_a_commit_is_not_put_off_for_ever_by_messages_that_keep_coming():
    script = Script(ready(1), obedient, commit_seconds=0)
    script.run(batch_size=1)

    assert 10 < len(script.ledger.transactions)


def test_who_watches_is_told_of_every_outcome_once():
    told = []
    Script(ready(1), obedient, on_recorded=told.extend).run()

    assert list(range(20)) == sorted(entry.outcome.index for entry in told)


def test_what_each_rank_runs_is_marked_as_running():
    """Whoever looks at the database sees which trial is where."""
    script = Script(ready(1, 2), size=3, trials=2)

    def both_finish():
        finish = {1: m.Finished((outcome(0),)), 2: m.Finished((outcome(1),))}
        script.transport.inbox.extend(finish.items())

    script.transport.on_idle = both_finish
    script.run(batch_size=1)

    assert {(0, HERE), (1, Place(2, "node2"))} == {
        (trial.index, trial.place) for trial in script.ledger.running
    }
    assert all(trial.started_at > 0 for trial in script.ledger.running)


def test_a_trial_is_marked_as_running_once():
    question = m.FetchResults(str(make()[0].id))
    script = Script(
        [*ready(1), (1, question), (1, question)], trials=1, commit_seconds=0
    )
    script.transport.on_idle = lambda: script.transport.inbox.append(
        (1, m.Finished((outcome(0),)))
    )
    script.run()

    assert [0] == [trial.index for trial in script.ledger.running]


def test_with_nothing_to_run_everybody_is_released_at_once():
    done = Script(ready(1, 2), size=3, pending=[]).run()

    assert [(1, m.Release()), (2, m.Release())] == done.transport.sent
    assert [] == done.ledger.transactions


# --- workers that have no place of their own


def roaming(places, **others):
    """A worker whose trials run where ``places`` says, each in turn."""
    where = iter(places)
    script = Script([(1, m.Ready(None))], trials=2, **others)

    def run(rank, message):
        if isinstance(message, m.Assign):
            ((index, _),) = message.ranges
            script.running_then.append([each[::2] for each in script.ledger.running])
            begun = m.Begun(index, next(where))
            return [(rank, begun), (rank, m.Finished((outcome(index),)))]
        return []

    script.running_then = []
    script.transport.on_send = run
    return script


def test_outcomes_are_recorded_with_the_place_that_was_told_last():
    places = [Place(2, "node2"), Place(1, "node1")]
    done = roaming(places).run(batch_size=1)

    assert places == [entry.place for entry in done.ledger.entries]


def test_before_its_place_is_told_a_trial_is_marked_without_one():
    """It may kill the job before it has said where it is."""
    done = roaming([Place(2, "node2")] * 2, after_a_crash=True, commit_seconds=0).run(
        batch_size=1
    )

    assert [[(0, None)], [(0, None), (0, Place(2, "node2")), (1, None)]] == (
        done.running_then
    )


# --- questions


def ask(question, **others):
    """Let the trial 0 of rank 1 ask something; give the answer and the script."""
    script = Script([], trials=2, **others)
    if callable(question):
        question = question(script)
    script.transport.inbox.extend([*ready(1), (1, question)])
    script.transport.on_idle = lambda: script.transport.inbox.append(
        (1, m.Finished((outcome(0), outcome(1))))
    )
    script.run(batch_size=2)
    kinds = (m.Done, m.SnapshotFound, m.ResultsFound, m.Piece, m.Refused)
    (answer,) = [message for message in script.sent_to(1) if type(message) in kinds]
    return answer, script


def test_a_snapshot_is_kept_before_the_worker_hears_so():
    kept_when_answered = []

    class NotingLedger(ListLedger):
        def save_snapshot(self, trial_id, state, label):
            super().save_snapshot(trial_id, state, label)
            kept_when_answered.append((trial_id, state, label))

    state = encoded('{"step":3}')
    answer, script = ask(
        lambda s: m.SaveSnapshot(s.trial_id(0), state, "x"), ledger_kind=NotingLedger
    )

    assert m.Done() == answer
    assert [(script.trial_id(0), state, "x")] == kept_when_answered


def test_the_latest_snapshot_is_found():
    def saved_twice(script):
        for step in (1, 2):
            script.ledger.save_snapshot(
                script.trial_id(0), encoded(f'{{"step":{step}}}'), None
            )
        return m.FetchSnapshot(script.trial_id(0))

    answer, script = ask(saved_twice)

    assert m.SnapshotFound(script.ledger.snapshots[1]) == answer


def test_no_snapshot_is_an_answer_too():
    assert m.SnapshotFound(None) == ask(lambda s: m.FetchSnapshot(s.trial_id(0)))[0]


def test_results_that_have_just_arrived_are_found():
    """They are still waiting for their commit when another trial asks for them."""
    script = Script([], trials=2, size=3, commit_seconds=1000)
    script.transport.inbox.extend(
        [
            *ready(1, 2),
            (1, m.Finished((outcome(0),))),
            (2, m.FetchResults(script.trial_id(0))),
            (2, m.Finished((outcome(1),))),
        ]
    )
    script.run(batch_size=1)

    assert m.ResultsFound(encoded('{"index":0}')) in script.sent_to(2)


def test_an_unfinished_trial_has_no_results():
    assert m.ResultsFound(None) == ask(lambda s: m.FetchResults(s.trial_id(1)))[0]


def test_a_trial_is_completed_from_within_another():
    results = encoded('{"early":1}')
    answer, script = ask(lambda s: m.CompleteTrial(s.trial_id(1), results))

    assert m.Done() == answer
    assert results == script.ledger.results_of(script.trial_id(1))


@pytest.mark.parametrize(
    "question",
    [
        m.FetchResults("nobody"),
        m.FetchSnapshot("nobody"),
        m.SaveSnapshot("nobody", encoded(), None),
        m.CompleteTrial("nobody", encoded()),
    ],
    ids=lambda question: type(question).__name__,
)
def test_a_question_that_cannot_be_answered_is_refused_and_the_run_goes_on(question):
    answer, script = ask(question)

    assert m.Refused("NotFoundError", "no trial nobody") == answer
    assert [0, 1] == script.ledger.indices


@pytest.mark.parametrize("kind", ["snapshot", "completed"])
def test_what_a_trial_keeps_as_a_pickle_is_warned_of(kind):
    state = encoded(pickled=(("model", "exp.Model"),))

    def question(script):
        if kind == "snapshot":
            return m.SaveSnapshot(script.trial_id(0), state, None)
        return m.CompleteTrial(script.trial_id(0), state)

    with pytest.warns(PickledValueWarning, match="'model' is a exp.Model"):
        ask(question)


def test_an_error_of_another_kind_ends_the_run():
    """A bug of ours is no answer to a trial's question."""

    class Broken(ListLedger):
        def results_of(self, trial_id):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask(m.FetchResults("any"), ledger_kind=Broken)


# --- the end


def test_a_signal_while_rank_0_waits_drains_the_run():
    script = Script(ready(1, 2), size=3, trials=20)
    waits = iter([lambda: script.drain.request("SIGTERM"), lambda: None])

    def wait():
        next(waits)()
        if script.transport.sent_of(m.StopWork):
            script.transport.inbox.extend([(1, m.WorkStopped()), (2, m.WorkStopped())])

    script.transport.on_idle = wait
    script.run(batch_size=2)

    orders = script.transport.sent_of(m.StopWork)
    assert ["SIGTERM"] * 2 == [order.reason for order in orders]
    assert all(0 <= order.seconds <= 60 for order in orders)
    assert [m.Release()] * 2 == script.transport.sent_of(m.Release)
    assert [] == script.ledger.indices


def test_a_drain_wakes_rank_0_from_waiting_and_only_once():
    """Else it would spin until the last running trial has ended."""
    wakes = []
    script = Script(ready(1), trials=2)

    def receive(timeout=None, wake=lambda: False):
        if not script.transport.inbox:
            wakes.append(wake())
            script.drain.request("SIGTERM")
            wakes.append(wake())
        if script.transport.sent_of(m.StopWork):
            script.transport.inbox.append((1, m.WorkStopped()))
        return script.transport.poll()

    script.transport.receive = receive
    script.run()

    assert [False, True, False, False] == wakes


def test_an_idle_rank_0_looks_up_now_and_then():
    timeouts = []
    script = Script(ready(1), trials=1)

    def receive(timeout=None, wake=lambda: False):
        timeouts.append(timeout)
        return None if len(timeouts) < 3 else (1, m.Finished((outcome(0),)))

    script.transport.receive = receive
    script.run()

    assert len(timeouts) >= 3
    assert all(0 < timeout <= 1 for timeout in timeouts)


def test_a_failed_trial_is_recorded_and_the_run_goes_on():
    done = Script(ready(1), lambda r, msg: obedient(r, msg, Status.FAILED)).run()

    assert 20 == len(done.ledger.entries)
    assert done.error is None


def test_told_to_raise_the_run_ends_with_the_first_failure_and_where_it_was():
    def fail_on_rank_2(rank, message):
        return obedient(rank, message, Status.FAILED if rank == 2 else Status.FINISHED)

    done = Script(ready(1, 2), fail_on_rank_2, size=3, raise_errors=True).run(1)

    assert isinstance(done.error, TrialError)
    assert (2, "node2", "Traceback ...") == (
        done.error.rank,
        done.error.hostname,
        done.error.traceback,
    )
    assert "failed on rank 2 (node2): ValueError: trial " in str(done.error)
    assert 20 > len(done.ledger.entries)
    assert [m.Release()] * 2 == done.transport.sent_of(m.Release)


def test_told_to_raise_a_run_without_failures_ends_without_an_error():
    assert Script(ready(1), obedient, raise_errors=True).run().error is None


def test_when_no_worker_can_work_the_run_ends_with_the_reason_of_the_first():
    reasons = [
        (2, m.Unable(Place(2, "node2"), "StoreError", "no data")),
        (1, m.Unable(HERE, "StoreError", "no such file")),
    ]
    done = Script(reasons, size=3).run()

    assert isinstance(done.error, StoreError)
    assert "rank 1 on node1: no such file" == str(done.error)
    assert [] == done.ledger.indices


def test_when_one_worker_cannot_work_the_others_do_its_share():
    first = [(2, m.Unable(Place(2, "node2"), "StoreError", "no data")), *ready(1)]
    done = Script(first, obedient, size=3).run()

    assert list(range(20)) == sorted(done.ledger.indices)
    assert done.error is None


@pytest.mark.parametrize("message", [m.Release(), m.Done(), m.Begin(b""), m.Dismiss()])
def test_what_only_rank_0_may_say_is_a_protocol_error(message):
    with pytest.raises(
        ProtocolError, match=f"rank 1 sent {type(message).__name__} to th"
    ):
        Script([(1, message)]).run()


def test_what_arrived_is_committed_whatever_ends_the_run():
    script = Script(
        [*ready(1), (1, m.Finished((outcome(0),))), (1, m.Done())], commit_seconds=1000
    )
    with pytest.raises(ProtocolError):
        script.run(batch_size=2)

    assert [0] == script.ledger.indices


def test_a_disk_that_is_full_ends_the_run():
    class FullDisk(ListLedger):
        def record(self, entries, running):
            raise DatabaseWriteError("the disk is full")

    with pytest.raises(DatabaseWriteError):
        Script(ready(1), obedient, ledger_kind=FullDisk).run()


@pytest.mark.parametrize("question", [m.SaveSnapshot, m.CompleteTrial])
def test_a_disk_that_is_full_is_no_answer_to_a_trial(question):
    """The trial would be recorded as failed, for what is nobody's fault."""

    class FullDisk(ListLedger):
        def save_snapshot(self, trial_id, state, label):
            raise DatabaseWriteError("the disk is full")

        def complete(self, trial_id, results):
            raise DatabaseWriteError("the disk is full")

    others = (None,) if question is m.SaveSnapshot else ()
    with pytest.raises(DatabaseWriteError):
        ask(lambda s: question(s.trial_id(0), encoded(), *others), ledger_kind=FullDisk)


def test_pieces_of_an_array_file_are_kept_and_given_back():
    answer, script = ask(m.AddPiece("ab/c.h5", 0, b"bytes", is_last=True))
    assert m.Done() == answer
    assert {"ab/c.h5": b"bytes"} == script.ledger.pieces

    class Keeping(ListLedger):
        def piece(self, file, offset, size):
            return f"{file} {offset} {size}".encode()

    answer, _ = ask(m.FetchPiece("ab/c.h5", 3, 9), ledger_kind=Keeping)
    assert m.Piece(b"ab/c.h5 3 9") == answer


# --- rank 0 and real workers, on threads


def run_on_threads(experiment, workers, unable=(), **others):
    """Coordinate real workers; give the ledger and what the run ended with."""
    world = MemoryWorld(workers + 1)
    ledger = ListLedger(experiment)

    def be_a_worker(transport):
        line = Line(transport)
        if transport.rank in unable:
            report_unable(line, transport.place, StoreError("no data"))
            return
        context = Context(experiment.name, line, InlineArrays(), line)
        attempts = InProcess(experiment, experiment.function, context)
        work(line, transport.place, attempts)

    threads = list(world.workers(be_a_worker))
    batch_size = others.pop("batch_size", None)
    error = coordinate(
        world.transport(0), sweep_of(experiment, ledger, **others), batch_size
    )
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads), "a worker was left waiting"
    return ledger, error


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("batch_size", [None, 1, 7])
def test_workers_and_coordinator_understand_each_other(workers, batch_size):
    experiment = make(trials=300)
    ledger, error = run_on_threads(experiment, workers, batch_size=batch_size)

    assert error is None
    assert {n: f'{{"double":{2 * n}}}' for n in range(300)} == {
        e.outcome.index: e.outcome.results.document for e in ledger.entries
    }
    assert 300 == len(ledger.entries)


def test_trials_of_all_workers_save_and_read_at_the_same_time():
    def chatty(configuration, trial_id):
        save_snapshot_in_global_database(trial_id, {"n": configuration["n"]})
        return {"before": get_results_from_trial_global_database(trial_id)}

    ledger, error = run_on_threads(make(chatty, trials=50), 3)

    assert error is None
    assert 50 == len(ledger.snapshots) == len(ledger.entries)
    assert {'{"before":null}'} == {e.outcome.results.document for e in ledger.entries}


def test_a_drain_ends_everybody_with_work_left():
    drain = Drain()
    enough = threading.Event()

    def until_asked(configuration, trial_id):
        if configuration["n"] == 5:
            drain.request("SIGTERM")
            enough.set()
        return {}

    ledger, error = run_on_threads(make(until_asked, trials=100_000), 3, drain=drain)

    assert error is None
    assert enough.is_set()
    assert len(set(ledger.indices)) == len(ledger.indices) < 100_000


def test_a_failure_ends_everybody_where_it_is_to():
    def fail_at_five(configuration, trial_id):
        if configuration["n"] == 5:
            raise ValueError("five")
        return {}

    ledger, error = run_on_threads(
        make(fail_at_five, trials=100_000), 3, raise_errors=True
    )

    assert "trial 5 failed on rank" in str(error)
    assert len(ledger.indices) < 100_000


def test_one_that_cannot_work_leaves_with_all_others():
    ledger, error = run_on_threads(make(trials=50), 3, unable={2})

    assert error is None
    assert 50 == len(ledger.entries)
    assert 2 not in {entry.place.rank for entry in ledger.entries}


# --- ranks that die


class Deadly(Script):
    """Workers of whom some die when nothing else happens, in this order."""

    def __init__(self, first, *deaths, answer=lambda _, __: (), **others):
        self.notes = []
        super().__init__(first, answer, note=self.notes.append, **others)
        left = list(deaths)
        self.transport.survives_deaths = True
        self.transport.on_idle = lambda: (
            left and self.transport.dead.append(left.pop(0))
        )


def only_rank_2(rank, message):
    return obedient(rank, message) if rank == 2 else announced(message)


def announced(message):
    """Begin what is to be announced, and never end it."""
    if isinstance(message, m.Assign) and message.announced:
        return [m.Begun(message.ranges[0][0])]
    return []


def test_what_a_dead_rank_was_to_run_is_run_by_the_others():
    done = Deadly(ready(1, 2), 1, answer=only_rank_2, size=3, trials=6).run()

    assert list(range(6)) == sorted(done.ledger.indices)
    assert {0: 1} == done.ledger.deaths
    assert done.error is None
    text = "died while it ran trial 0, which will be retried once; 1 worker continues"
    assert [f"rank 1 on node1 {text}"] == done.notes


def test_the_second_death_during_a_trial_is_its_failure():
    done = Deadly(ready(1, 2, 3), 1, 2, size=4, trials=3, deaths={0: 1})
    done.transport.on_send = lambda rank, message: [
        (rank, each)
        for each in (obedient(rank, message) if rank == 3 else announced(message))
    ]
    done.run(batch_size=1)
    (failed,) = [e for e in done.ledger.entries if e.outcome.failure is not None]

    assert (0, Status.FAILED, HERE) == (
        failed.outcome.index,
        failed.outcome.status,
        failed.place,
    )
    assert "RankDiedError" == failed.outcome.failure.type
    assert (
        "its rank died twice while it ran, the last time rank 1 on node1"
        == failed.outcome.failure.message
    )
    assert [0, 1, 2] == sorted(done.ledger.indices)


def test_told_to_raise_such_a_failure_is_raised():
    done = Deadly(
        ready(1, 2), 1, answer=only_rank_2, size=3, deaths={0: 1}, raise_errors=True
    ).run()

    assert isinstance(done.error, TrialError)
    assert (1, "node1") == (done.error.rank, done.error.hostname)


def test_when_no_worker_is_left_the_run_stops_and_says_why():
    done = Deadly(ready(1, 2), 1, 2, size=3).run()

    assert "the death of all workers" == done.drain.reason
    assert done.error is None
    assert done.notes[-1].endswith("no worker is left")


def test_ranks_that_died_before_are_not_waited_for():
    script = Deadly(ready(2), answer=only_rank_2, size=3, trials=4)
    script.transport.dead = [1]
    script.transport.deaths()
    script.run()

    assert [0, 1, 2, 3] == sorted(script.ledger.indices)


def test_where_all_who_live_cannot_work_the_reason_is_theirs():
    unable = [(2, m.Unable(Place(2, "node2"), "StoreError", "no data"))]
    done = Deadly(unable, 1, size=3).run()

    assert isinstance(done.error, StoreError)


def test_a_trial_is_marked_before_it_starts_where_the_job_dies_with_a_rank():
    """Else nobody would know, afterwards, what was running."""
    script = Script(ready(1), trials=1)
    seen = []

    def on_send(rank, message):
        if isinstance(message, m.Assign):
            seen.extend(trial.index for trial in script.ledger.running)
        return [(rank, answer) for answer in obedient(rank, message)]

    script.transport.on_send = on_send
    script.run()

    assert [0] == seen


def test_no_batch_overtakes_one_whose_trial_is_still_to_be_marked(monkeypatch):
    """After a crash: the last of those that go one by one, and a next one at once."""
    monkeypatch.setattr(coordinator, "_careful", lambda _: 3)
    done = Script(ready(1), obedient, after_a_crash=True).run()

    assert list(range(20)) == done.ledger.indices


def test_no_trial_is_sent_to_a_rank_that_was_sent_home():
    """It would take it for an order of the next experiment."""
    script = Script(ready(1, 2), drained, size=3)
    poll = script.transport.poll

    def poll_and_stop():
        if script.transport.inbox and script.transport.inbox[0][0] == 2:
            script.drain.request("SIGTERM")
        return poll()

    script.transport.poll = poll_and_stop
    script.run()

    orders = [type(message) for message in script.sent_to(1)]
    assert [m.Assign, m.StopWork, m.Release] == orders


def test_a_stop_is_kept_some_time_after_it_was_asked_for(monkeypatch):
    """Some launchers send SIGTERM to all when one rank has died, and then kill them."""
    clock = FakeClock()
    monkeypatch.setattr(drain_module, "time", clock)
    kept = []
    script = Script(ready(1), on_stopping=kept.append)
    script.drain.request("SIGTERM")
    before = []

    def later():
        before.append(list(kept))
        clock.now += 1.0
        if len(before) == 5:
            script.transport.inbox.append((1, m.WorkStopped()))

    script.transport.on_idle = later
    script.run()

    assert ["SIGTERM"] == kept
    assert [] == before[1]
