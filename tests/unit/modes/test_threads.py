"""MultithreadedMode: trials on threads, which share a store and nothing else."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from experimenter_mpi.coordination.drain import Drain
from experimenter_mpi.errors import (
    ConfigurationError,
    DatabaseWriteError,
    IsolationError,
    NotFoundError,
    OutsideTrialError,
)
from experimenter_mpi.experiment.experiment import Experiment
from experimenter_mpi.experiment.variables import IntegerVariable
from experimenter_mpi.modes import threads
from experimenter_mpi.modes.multithreaded import MultithreadedMode
from experimenter_mpi.trial.context import (
    get_global_store,
    get_latest_snapshot_from_global_database,
    get_results_from_trial_global_database,
    save_snapshot_in_global_database,
    stop_requested,
)
from experimenter_mpi.trial.outcome import Place, Status
from support.fakes import PATIENCE, ListLedger, sweep_of


@pytest.fixture(autouse=True)
def pythons_own_threads(monkeypatch):
    """A test run must not start MPI; the launch tests use mpi4py's pool."""
    monkeypatch.setattr(threads, "thread_pool", ThreadPoolExecutor)


def make(function, trials=4, **others):
    n = IntegerVariable(0, trials - 1)
    return Experiment("heat", function=function, configuration={"n": n}, **others)


def run(function, trials=4, threads=3, ledger_kind=ListLedger, **others):
    """Run a sweep over n = 0, 1, 2, ... and return the ledger."""
    given = isinstance(function, Experiment)
    experiment = function if given else make(function, trials)
    ledger = ledger_kind(experiment)
    MultithreadedMode(threads).run(sweep_of(experiment, ledger, **others))
    return ledger


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "4"])
def test_the_number_of_threads_is_a_whole_number_from_1(threads):
    with pytest.raises(ConfigurationError, match="whole number of 1 or more, not"):
        MultithreadedMode(threads)


def test_unless_it_is_given_there_is_a_thread_for_each_core():
    assert len(os.sched_getaffinity(0)) == MultithreadedMode().threads


def test_every_trial_is_run_once_and_recorded_with_its_place():
    ledger = run(lambda c, _: {"double": 2 * c["n"]}, trials=200)

    assert list(range(200)) == sorted(ledger.indices)
    assert {Place(0, os.uname().nodename)} == {entry.place for entry in ledger.entries}


def test_several_trials_run_at_once_and_as_many_as_there_are_threads():
    """Each waits for two others: with fewer threads none would ever end."""
    together = threading.Barrier(3, timeout=PATIENCE)

    def meet(configuration, trial_id):
        together.wait()
        return {}

    assert [0, 1, 2] == sorted(run(meet, trials=3, threads=3).indices)


def test_two_trials_that_run_at_once_never_see_each_others_context():
    """Every step of one lies between two steps of the other."""
    step = threading.Barrier(2, timeout=PATIENCE)
    seen = {}

    def interleaved(configuration, trial_id):
        n = configuration["n"]
        for turn in range(3):
            step.wait()
            save_snapshot_in_global_database(trial_id, {"n": n, "turn": turn})
            step.wait()
            snapshot = get_latest_snapshot_from_global_database(trial_id)
            seen.setdefault(n, []).append((snapshot.state, get_global_store()["of"]))
            step.wait()
        return {"n": n}

    experiment = make(interleaved, 2, init_store=lambda _: {"of": "both"})
    ledger = run(experiment, threads=2)

    expected = {n: [({"n": n, "turn": t}, "both") for t in range(3)] for n in (0, 1)}
    assert expected == seen
    assert {0: '{"n":0}', 1: '{"n":1}'} == {
        e.outcome.index: e.outcome.results.document for e in ledger.entries
    }


def test_the_store_is_built_once_for_all_threads():
    builders = []
    experiment = make(
        lambda *_: {"store": id(get_global_store())},
        50,
        init_store=lambda _: {"built": builders.append(threading.get_ident())},
    )
    ledger = run(experiment)

    assert [threading.get_ident()] == builders
    assert 1 == len({e.outcome.results.document for e in ledger.entries})


def test_what_ended_before_a_question_is_part_of_the_answer():
    first_ended = threading.Event()

    def ask(configuration, trial_id):
        if configuration["n"] == 0:
            first_ended.set()
            return {"n": 0}
        first_ended.wait(PATIENCE)
        while get_results_from_trial_global_database(experiment[0].id) is None:
            pass
        return {"found": True}

    experiment = make(ask, 2)

    assert [0, 1] == sorted(run(experiment, threads=2).indices)


def test_an_error_of_the_ledger_is_the_trials_own():
    def save_elsewhere(configuration, trial_id):
        with pytest.raises(NotFoundError):
            save_snapshot_in_global_database("an unknown trial", {})
        return {}

    assert {Status.FINISHED} == {
        entry.outcome.status for entry in run(save_elsewhere).entries
    }


def test_a_ledger_that_cannot_write_ends_the_run():
    class Full(ListLedger):
        def record(self, entries, running):
            raise DatabaseWriteError("the disk is full")

    with pytest.raises(DatabaseWriteError):
        run(lambda *_: {}, ledger_kind=Full)


def test_a_trial_that_raises_is_recorded_and_the_others_run():
    def odd_fails(configuration, trial_id):
        if configuration["n"] % 2:
            raise SystemExit(3)
        return {}

    ledger = run(odd_fails)

    assert {(0, "finished"), (1, "failed"), (2, "finished"), (3, "failed")} == {
        (e.outcome.index, e.outcome.status) for e in ledger.entries
    }


def test_told_to_raise_it_raises_the_trials_own_exception_and_begins_no_more():
    error = ValueError("odd")

    def fails(configuration, trial_id):
        raise error

    experiment = make(fails, 1000)
    ledger = ListLedger(experiment)
    with pytest.raises(ValueError, match="odd") as caught:
        MultithreadedMode(1).run(sweep_of(experiment, ledger, raise_errors=True))

    assert caught.value is error
    assert 1000 > len(ledger.entries)


def test_a_drain_lets_running_trials_end_and_begins_none():
    drain = Drain()

    def ask_to_stop(configuration, trial_id):
        drain.request("a test")
        return {"asked": stop_requested()}

    ledger = run(ask_to_stop, trials=100, threads=2, drain=drain)

    assert 2 >= len(ledger.entries)
    assert '{"asked":true}' == ledger.entries[0].outcome.results.document


def test_a_long_trial_is_marked_as_running_and_no_other():
    marked = threading.Event()

    class Watched(ListLedger):
        def record(self, entries, running):
            super().record(entries, running)
            if any(trial.index == 1 for trial in running):
                marked.set()

    def second_waits(configuration, trial_id):
        if configuration["n"] == 1:
            marked.wait(PATIENCE)
        return {"marked": marked.is_set()}

    ledger = run(second_waits, trials=2, threads=1, ledger_kind=Watched)

    assert '{"marked":true}' == ledger.entries[1].outcome.results.document


def test_an_interruption_leaves_at_once_and_refuses_what_trials_ask_afterwards(
    monkeypatch,
):
    """Their threads go on: nobody can stop them. But the run is over."""
    began, left = threading.Event(), threading.Event()
    refused = []

    def stubborn(configuration, trial_id):
        began.set()
        left.wait(PATIENCE)
        try:
            save_snapshot_in_global_database(trial_id, {})
        except OutsideTrialError as error:
            refused.append(error)
        return {}

    receive = threads.ThreadPort.receive

    def interrupted(port, *_):
        if began.is_set():
            raise KeyboardInterrupt
        return receive(port, 0.01)

    monkeypatch.setattr(threads.ThreadPort, "receive", interrupted)
    experiment = make(stubborn, 2)
    ledger = ListLedger(experiment)
    with pytest.raises(KeyboardInterrupt):
        MultithreadedMode(1).run(sweep_of(experiment, ledger))
    left.set()
    for thread in threading.enumerate():
        if "ThreadPool" in thread.name:
            thread.join(PATIENCE)

    assert 1 == len(refused)
    assert [] == ledger.entries


def test_why_a_run_stops_is_kept_should_it_be_killed_meanwhile():
    """The pool runs trials on the ranks of a job too, which a scheduler kills."""
    kept, drain = [], Drain()

    def interrupted(configuration, trial_id):
        drain.request("SIGUSR1")
        return {}

    run(interrupted, trials=300, threads=1, drain=drain, on_stopping=kept.append)

    assert ["SIGUSR1"] == kept


def test_who_leads_knows_whether_threads_still_run():
    """Only then may the process not go on: after an error of its own it can."""
    told = []

    def fails(configuration, trial_id):
        raise ValueError("odd")

    experiment = make(fails)
    sweep = sweep_of(experiment, ListLedger(experiment), raise_errors=True)
    with pytest.raises(ValueError, match="odd"):
        MultithreadedMode(2).run(sweep, told.append)

    assert [True, False] == told


def test_what_the_first_threads_have_is_closed_if_a_later_one_can_have_none():
    closed, told = [], []

    class OneChild:
        def start(self, desk, watch, *, warm):
            if not warm:
                raise IsolationError("no more processes")
            return self

        def close(self):
            closed.append(self)

    children = OneChild()
    experiment = make(lambda c, i: {})
    sweep = sweep_of(experiment, ListLedger(experiment), isolation=children)

    with pytest.raises(IsolationError):
        threads.run_on_threads(sweep, 3, told.append)

    assert [children] == closed
    assert [True, False] == told
