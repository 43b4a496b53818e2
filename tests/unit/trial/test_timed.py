"""Trials that nothing can stop: said to be overdue, failed, and not waited for."""

from __future__ import annotations

import threading
import time

import pytest

from experimenter_mpi.coordination import deadlines
from experimenter_mpi.coordination import messages as m
from experimenter_mpi.coordination.coordinator import coordinate
from experimenter_mpi.coordination.deadlines import GRACE_SECONDS, Deadlines
from experimenter_mpi.coordination.dispatch import Dispatcher, Record, Send
from experimenter_mpi.coordination.drain import Drain
from experimenter_mpi.errors import ConfigurationError, TrialTimeoutError, WorkLeft
from experimenter_mpi.experiment.experiment import Experiment
from experimenter_mpi.experiment.variables import IntegerVariable, LinearVariable
from experimenter_mpi.modes import SerialMode
from experimenter_mpi.modes.multithreaded import MultithreadedMode
from experimenter_mpi.run.execute import execute
from experimenter_mpi.trial import timed as overdue
from experimenter_mpi.trial.attempt import Attempt
from experimenter_mpi.trial.outcome import Place, Status
from experimenter_mpi.trial.timed import Watched, judged
from support.fakes import HERE, FakeClock, FakeTransport, ListLedger, outcome, sweep_of


def kinds(entries):
    return [
        (e.outcome.index, e.outcome.failure.type if e.outcome.failure else None)
        for e in entries
    ]


# --- what is too late


def test_what_ends_in_time_stays_as_it_is():
    done = outcome(3, duration=1.0)

    assert done is judged(done, 1.0)
    assert done is judged(done, None)


@pytest.mark.parametrize("status", [Status.FINISHED, Status.FAILED, Status.PENDING])
def test_what_ends_too_late_has_failed_however_it_ended(status):
    late = judged(outcome(3, status, duration=1.5), 1.0)

    assert (3, Status.FAILED, None) == (late.index, late.status, late.results)
    assert TrialTimeoutError.__name__ == late.failure.type
    assert "overdue: it ran longer than the 1 s" in late.failure.message


def test_a_full_disk_is_not_blamed_on_a_late_trial():
    stopped = outcome(3, Status.FAILED, duration=1.5)._replace(status=Status.PENDING)

    assert stopped is judged(stopped, 1.0)


def test_the_traceback_of_a_late_failure_is_kept():
    late = judged(outcome(3, Status.FAILED, duration=1.5), 1.0)

    assert late.failure.traceback.startswith("Traceback")


class Slow:
    """Runs a trial for as long as it is told."""

    def __init__(self):
        self.begun, self.go_on = threading.Event(), threading.Event()

    def run(self, index):
        self.begun.set()
        assert self.go_on.wait(120)
        return Attempt(outcome(index, duration=5.0))

    def close(self):
        self.closed = True


def test_an_overdue_trial_is_said_once_while_it_runs():
    slow, said = Slow(), []
    watched = Watched(slow, 2.0, said.append)
    thread = threading.Thread(target=watched.run, args=[7])
    thread.start()
    assert slow.begun.wait(120)
    began = watched._running[7]
    for seconds in (1.9, 2.1, 5.0):
        watched.look(began + seconds)
    slow.go_on.set()
    thread.join(120)
    watched.look(began + 99)

    assert [7] == said


def test_a_trial_that_ended_in_time_is_never_said():
    slow, said = Slow(), []
    slow.go_on.set()
    watched = Watched(slow, 2.0, said.append)
    watched.run(7)
    watched.look(1e9)

    assert [] == said


def test_a_late_trial_stopped_by_hand_goes_back():
    drain = Drain()

    def trial(configuration, trial_id):
        time.sleep(0.02)
        drain.request("SIGINT")
        raise KeyboardInterrupt

    experiment = Experiment("heat", function=trial, configuration={})
    ledger = ListLedger(experiment)
    SerialMode().run(sweep_of(experiment, ledger, drain=drain, trial_timeout=0.01))

    assert [Status.PENDING] == [entry.outcome.status for entry in ledger.entries]


def test_serially_a_late_trial_is_said_while_it_runs_and_failed_when_it_ends(
    monkeypatch,
):
    monkeypatch.setattr(overdue, "LOOK_SECONDS", 0.01)
    said = threading.Event()
    notes = []

    def note(text):
        notes.append(text)
        said.set()

    def trial(configuration, trial_id):
        if configuration["n"] == 1:
            assert said.wait(120)
        return {}

    n = IntegerVariable(0, 2)
    experiment = Experiment("heat", function=trial, configuration={"n": n})
    ledger = ListLedger(experiment)
    SerialMode().run(sweep_of(experiment, ledger, note=note, trial_timeout=0.2))

    assert [(0, None), (1, "TrialTimeoutError"), (2, None)] == kinds(ledger.entries)
    [line] = notes
    assert "trial 1 on rank 0 (" in line
    assert "is overdue: it ran longer than the 0.2 s of --trial-timeout" in line


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_trial_must_be_given_some_time(seconds):
    experiment = Experiment("heat", function=lambda *_: {}, configuration={})

    with pytest.raises(ConfigurationError, match="trial_timeout must be"):
        execute(experiment, None, trial_timeout=seconds)


# --- rank 0 decides without them


def expired(index):
    return overdue.outcome_of(index, 9.0, 5.0)


def dispatcher(trials=4, ranks=2, **others):
    made = Dispatcher([range(trials)], range(1, ranks + 1), 1, ahead=False, **others)
    for rank in range(1, ranks + 1):
        made.on(rank, m.Ready(Place(rank, f"node{rank}")))
    return made


def test_a_worker_holds_only_the_trial_it_runs():
    made = dispatcher()
    made.on(1, m.Finished((outcome(0, duration=1e-6),)))

    assert [1, 1] == [len(worker.unreported()) for worker in made.workers.values()]


def test_an_overdue_trial_is_recorded_and_the_others_go_on():
    made = dispatcher()
    lost = expired(0)

    assert [Record(1, (lost,))] == made.expire(1, lost)
    assert m.Assign(((2, 3),)) in [
        i.message for i in made.on(2, m.Finished((outcome(1),))) if type(i) is Send
    ]


def test_the_others_are_released_when_only_overdue_trials_are_left():
    made = dispatcher(trials=2)
    made.on(2, m.Finished((outcome(1),)))
    lost = expired(0)

    assert [Record(1, (lost,)), Send(2, m.Release())] == made.expire(1, lost)
    assert made.waits_for_overdue
    assert not made.done


def test_a_late_rank_comes_back_and_its_outcome_does_not_count_again():
    made = dispatcher()
    made.expire(1, expired(0))

    assert [Send(1, m.Assign(((2, 3),)))] == made.on(1, m.Finished((outcome(0),)))
    assert not made.waits_for_overdue


def test_a_late_rank_that_comes_back_last_is_released():
    made = dispatcher(trials=2)
    made.expire(1, expired(0))
    made.on(2, m.Finished((outcome(1),)))

    assert [Send(1, m.Release())] == made.on(1, m.Finished((outcome(0),)))
    assert made.done


def test_a_late_rank_is_drained_like_the_others():
    made = dispatcher()
    made.expire(1, expired(0))
    made.drain("SIGTERM")
    made.on(2, m.Finished((outcome(1),)))
    made.on(2, m.WorkStopped())

    assert made.waits_for_overdue
    assert [] == made.on(1, m.Finished((outcome(0),)))
    assert [Send(1, m.Release())] == made.on(1, m.WorkStopped())
    assert 2 == made.left


def test_a_dead_ranks_overdue_trial_is_not_run_again():
    made = dispatcher(trials=2)
    made.expire(1, expired(0))
    made.lose(1)

    assert 0 == made.left


def test_an_overdue_trial_can_stop_the_run_like_any_failure():
    made = dispatcher(stop_on_failure=True)
    made.expire(1, expired(0))

    assert made.draining


# --- by the clock


@pytest.fixture
def clock(monkeypatch):
    fake = FakeClock()
    monkeypatch.setattr(deadlines, "time", fake)
    return fake


def test_a_trial_is_overdue_only_after_its_whole_time(clock):
    watch = Deadlines(5.0)
    found = []
    for _ in range(14):
        found.append(watch.look([(1, 7)]))
        clock.now += 0.5

    assert [{}] * 11 == found[:11]
    assert {1: 5.5} == found[11]


def test_the_next_trial_of_a_rank_has_a_time_of_its_own(clock):
    watch = Deadlines(5.0)
    watch.look([(1, 7), (2, 8)])
    clock.now += 4
    watch.look([(1, 9), (2, 8)])
    clock.now += 2

    assert {2: 6.0} == watch.look([(1, 9), (2, 8)])


def test_the_clock_is_looked_at_now_and_then(clock):
    watch = Deadlines(5.0)
    watch.look([])

    assert {} == watch.look(pytest.fail("looked at") for _ in range(1))


@pytest.mark.parametrize(
    ("hopeless", "patience"), [(True, GRACE_SECONDS), (False, 60.0)]
)
def test_overdue_trials_are_not_waited_for_for_ever(clock, hopeless, patience):
    watch = Deadlines(60.0)
    assert not watch.passed(stuck=True, hopeless=hopeless)
    clock.now += patience - 0.1
    assert not watch.passed(stuck=True, hopeless=hopeless)
    clock.now += 0.2

    assert watch.passed(stuck=True, hopeless=hopeless)


def test_a_trial_that_comes_back_starts_the_wait_anew(clock):
    watch = Deadlines(1.0)
    watch.passed(stuck=True, hopeless=True)
    clock.now += GRACE_SECONDS - 1
    watch.passed(stuck=False, hopeless=True)
    clock.now += 2

    assert not watch.passed(stuck=True, hopeless=True)


@pytest.mark.parametrize(("trials", "left"), [(1, False), (3, True)])
def test_the_run_ends_without_a_rank_that_does_not_come_back(clock, trials, left):
    n = LinearVariable(0, max(trials - 1, 1), trials)
    experiment = Experiment("heat", function=print, configuration={"n": n})
    ledger, notes = ListLedger(experiment), []
    transport = FakeTransport(0, 2, [(1, m.Ready(HERE))])
    transport.on_idle = lambda: setattr(clock, "now", clock.now + 1)
    sweep = sweep_of(
        experiment, ledger, trial_timeout=5.0, note=notes.append, drain=Drain()
    )

    with pytest.raises(
        TrialTimeoutError, match="ended without trial 0, which is"
    ) as why:
        coordinate(transport, sweep, None)

    assert left == isinstance(why.value, WorkLeft)
    assert [(0, "TrialTimeoutError")] == kinds(ledger.entries)
    assert [HERE] == [entry.place for entry in ledger.entries]
    assert 1 == len(notes)
    assert "trial 0 on rank 1 (node1) is overdue" in notes[0]


def test_so_it_does_on_threads(monkeypatch):
    monkeypatch.setattr(deadlines, "GRACE_SECONDS", 0.3)
    let_go, notes = threading.Event(), []

    def trial(configuration, trial_id):
        if configuration["n"] == 1:
            assert let_go.wait(120)
        return {}

    n = IntegerVariable(0, 3)
    experiment = Experiment("heat", function=trial, configuration={"n": n})
    ledger = ListLedger(experiment)
    sweep = sweep_of(experiment, ledger, trial_timeout=0.2, note=notes.append)

    with pytest.raises(TrialTimeoutError, match="ended without trial 1, which is"):
        MultithreadedMode(2).run(sweep)
    let_go.set()

    assert [(0, None), (1, "TrialTimeoutError"), (2, None), (3, None)] == sorted(
        kinds(ledger.entries)
    )
    assert 1 == len(notes)


def test_a_late_thread_comes_back_and_its_outcome_does_not_count_again():
    said = threading.Event()

    def trial(configuration, trial_id):
        if configuration["n"] == 1:
            assert said.wait(120)
        return {}

    n = IntegerVariable(0, 3)
    experiment = Experiment("heat", function=trial, configuration={"n": n})
    ledger = ListLedger(experiment)
    sweep = sweep_of(experiment, ledger, trial_timeout=0.2, note=lambda _: said.set())
    MultithreadedMode(2).run(sweep)

    assert [(0, None), (1, "TrialTimeoutError"), (2, None), (3, None)] == sorted(
        kinds(ledger.entries)
    )
