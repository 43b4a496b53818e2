"""SIGQUIT: a run prints where it is and goes on; trials may have it for themselves."""

from __future__ import annotations

import os
import signal
import threading
import uuid

import pytest

from experimenter_mpi.coordination.drain import Drain
from experimenter_mpi.experiment.experiment import Trial
from experimenter_mpi.trial import stacks
from experimenter_mpi.trial.attempt import attempt
from experimenter_mpi.trial.context import Context
from experimenter_mpi.trial.outcome import Status
from experimenter_mpi.trial.signals import (
    deferred,
    outliving_signals,
    telling_on_quit,
)
from support.fakes import InlineArrays

TRIAL = Trial(uuid.uuid4(), uuid.uuid4(), 7, {"n": 3})


@pytest.fixture(autouse=True)
def as_before():
    # Ignored from the start where a shell has put the tests into the background.
    inherited = signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    yield
    assert signal.SIG_DFL is signal.getsignal(signal.SIGQUIT)
    assert not stacks.is_listening()
    signal.signal(signal.SIGQUIT, inherited)


@pytest.fixture
def told(monkeypatch):
    """Count how often there was something to tell."""
    told = []
    monkeypatch.setattr(stacks, "on_quit", [lambda: told.append(True)])
    return told


def send():
    os.kill(os.getpid(), signal.SIGQUIT)


def run(function):
    context = Context("heat", None, InlineArrays(), Drain(), None)
    return attempt(function, TRIAL, context)


def ending(look):
    """Fork as a trial may, and return how the child ends that does this."""
    pid = os.fork()
    if pid == 0:
        try:
            look()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_stacks_come_first_and_the_process_goes_on(told, capfd):
    with telling_on_quit():
        send()
        send()

    printed = capfd.readouterr().err
    assert 2 == printed.count("in test_stacks_come_first_and_the_process_goes_on")
    assert [True, True] == told


def test_what_cannot_be_told_stops_nothing(monkeypatch, told):
    def fail():
        raise OSError

    monkeypatch.setattr(stacks, "on_quit", [fail, *stacks.on_quit])

    with telling_on_quit():
        send()

    assert [True] == told


def test_who_listens_inside_takes_nothing_from_who_listens_outside(told, capfd):
    with telling_on_quit():
        with outliving_signals():
            send()
        send()

    assert [True, True] == told
    assert 2 == capfd.readouterr().err.count("Current thread")


def test_on_another_thread_nothing_is_handled():
    before = signal.getsignal(signal.SIGQUIT)
    found = []

    def listen():
        with telling_on_quit():
            found.append(signal.getsignal(signal.SIGQUIT))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()

    assert [before] == found


def test_a_trials_own_handler_comes_first_until_it_has_ended(told, capfd):
    own = []

    def trial(configuration, trial_id):
        signal.signal(signal.SIGQUIT, lambda *_: own.append(True))
        send()
        return {}

    with outliving_signals():
        assert Status.FINISHED == run(trial).outcome.status
        assert ([True], []) == (own, told)
        send()

    assert ([True], [True]) == (own, told)
    assert 1 == capfd.readouterr().err.count("Current thread")


def test_a_trials_own_handler_that_raises_is_the_trials_failure(told):
    def fail(*_):
        raise RuntimeError("not now")

    def trial(configuration, trial_id):
        signal.signal(signal.SIGQUIT, fail)
        send()
        return {}

    with outliving_signals():
        outcome = run(trial).outcome
        send()

    assert (Status.FAILED, "not now") == (outcome.status, outcome.failure.message)
    assert [True] == told


def test_a_question_of_a_trial_does_not_put_it_off(told, capfd):
    with outliving_signals(), deferred():
        send()
        assert [True] == told

    assert 1 == capfd.readouterr().err.count("Current thread")


def test_what_a_trial_forks_dies_of_it_as_by_default(told):
    endings = []

    def trial(configuration, trial_id):
        endings.append(ending(send))
        return {}

    with outliving_signals():
        run(trial)
        send()

    assert [-signal.SIGQUIT] == endings
    assert [True] == told
