"""A run's signal handlers: kept from what trials fork, and brought back after them."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import threading
import uuid

import pytest

from experimenter_mpi import open_db
from experimenter_mpi.coordination.drain import Drain
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.errors import DatabaseError, OutsideTrialError
from experimenter_mpi.experiment.experiment import Experiment, Trial
from experimenter_mpi.run.interruption import draining_on_signals
from experimenter_mpi.trial.attempt import attempt
from experimenter_mpi.trial.context import (
    Context,
    get_global_store,
    save_snapshot_in_global_database,
    stop_requested,
)
from experimenter_mpi.trial.functions import prepare
from experimenter_mpi.trial.outcome import Status
from experimenter_mpi.trial.signals import SIGNALS, deferred, outliving_signals
from experimenter_mpi.trial.store import Store
from support.fakes import InlineArrays

TRIAL = Trial(uuid.uuid4(), uuid.uuid4(), 7, {"n": 3})


@pytest.fixture
def drain():
    return Drain()


@pytest.fixture
def run(drain):
    context = Context("heat", None, InlineArrays(), drain, Store({"offset": 1}))
    return lambda function: attempt(function, TRIAL, context)


def forked(look):
    """Fork as a trial may, and return what ``look`` finds in the child."""
    source, sink = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(sink, repr(look()).encode())
        finally:
            os._exit(0)
    os.close(sink)
    with open(source, encoding="utf-8") as pipe:
        found = pipe.read()
    os.waitpid(pid, 0)
    return found


def code_of(leave):
    """Fork in a trial, and return how the child ends that leaves it like that."""
    codes = []

    def trial(configuration, trial_id):
        pid = os.fork()
        if pid == 0:
            return leave()
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        return {}

    return trial, codes


# --- what a trial forks


@pytest.mark.parametrize("handling", ["draining", "outliving"])
def test_a_child_has_the_handlers_from_before_the_run(handling, drain):
    before = [str(signal.getsignal(number)) for number in SIGNALS]
    context = {
        "draining": lambda: draining_on_signals(drain),
        "outliving": outliving_signals,
    }

    with context[handling]():
        assert before != [str(signal.getsignal(number)) for number in SIGNALS]
        found = forked(lambda: [str(signal.getsignal(number)) for number in SIGNALS])

    assert repr(before) == found


def test_a_child_leaves_the_wakeup_descriptor_of_its_parent_alone(drain):
    with draining_on_signals(drain):
        assert "-1" == forked(lambda: signal.set_wakeup_fd(-1))
        # The parent's is as it was.
        ours = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(ours)
    assert ours > 0


def test_a_child_has_no_signal_blocked_and_neither_has_its_parent(drain):
    with draining_on_signals(drain):
        assert "set()" == forked(lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        assert set() == signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_handler_of_the_trials_own_is_inherited(drain):
    def own(number, frame):
        """Do nothing."""

    with draining_on_signals(drain):
        signal.signal(signal.SIGUSR1, own)
        found = forked(lambda: signal.getsignal(signal.SIGUSR1) is own)

    assert "True" == found


# A child that is told to end before it has run a line of its own, and before any hook
# of the package: those of other modules come first.
ENDED_AT_ONCE = """
import os, signal
from experimenter_mpi.coordination.drain import Drain
from experimenter_mpi.run.interruption import draining_on_signals

os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), {number}))
drain = Drain()
with draining_on_signals(drain):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    assert -{number} == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
assert drain.reason is None
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_comes_before_a_child_has_begun_still_ends_it(number):
    program = ENDED_AT_ONCE.format(number=int(number))

    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_child_may_read_the_store_and_ask_for_nothing_else(run):
    asked = [lambda: save_snapshot_in_global_database(TRIAL.id, {}), stop_requested]

    def refused(ask):
        try:
            return ask()
        except OutsideTrialError as error:
            return "only the trial's own process" in str(error)

    def trial(configuration, trial_id):
        return {
            "store": forked(lambda: get_global_store()["offset"]),
            "refused": forked(lambda: [refused(ask) for ask in asked]),
        }

    assert (
        '{"store":"1","refused":"[True, True]"}' == run(trial).outcome.results.document
    )


def leave_by(value):
    return lambda: sys.exit(value)


def fail():
    raise ValueError("of the child")


def interrupt():
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("leave", "code", "said"),
    [
        (leave_by(None), 0, ""),
        (leave_by(0), 0, ""),
        (leave_by(5), 5, ""),
        (leave_by(-1), 255, ""),
        (leave_by("no input"), 1, "no input\n"),
        (fail, 1, "ValueError: of the child\n"),
        (interrupt, -signal.SIGINT, "KeyboardInterrupt\n"),
        (lambda: {"stored": "never"}, 0, ""),
        (lambda: None, 0, ""),
    ],
)
def test_a_child_that_leaves_the_trial_ends_as_python_would(
    run, leave, code, said, capfd
):
    trial, codes = code_of(leave)

    outcome = run(trial).outcome

    assert ([code], Status.FINISHED, "{}") == (
        codes,
        outcome.status,
        outcome.results.document,
    )
    assert capfd.readouterr().err.endswith(said)


def test_what_a_child_has_printed_is_not_lost(run, capfd):
    def leave():
        print("said by the child", end="")
        return {}

    run(code_of(leave)[0])

    assert "said by the child" == capfd.readouterr().out


def test_a_child_of_a_trial_on_a_thread_ends_as_well(run):
    trial, codes = code_of(leave_by(4))

    thread = threading.Thread(target=run, args=(trial,))
    thread.start()
    thread.join()

    assert [4] == codes


def test_a_child_of_the_store_function_never_comes_out_of_it():
    codes = []

    def build(configuration):
        pid = os.fork()
        if pid == 0:
            sys.exit(6)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        return {}

    prepare(
        Experiment("s", function=dict, configuration={"n": 1}, init_store=build), None
    )

    assert [6] == codes


def test_a_child_can_neither_use_a_database_of_its_parent_nor_free_it(tmp_path):
    def use(database):
        try:
            database.get_experiments()
        except DatabaseError as error:
            return "open it again" in str(error)

    with open_db("a.db", tmp_path) as database, session_of(database).storage.writing():
        assert "True" == forked(lambda: use(database))
        forked(database.close)
        lock = session_of(database).storage._lock
        forked(lock.release)
        lock.check()
        assert [] == database.get_experiments()


# --- handlers of a trial's own


class Method:
    """Leaves by a method of its own, or when it is called itself."""

    def leave(self, number, frame):
        sys.exit(0)

    def __call__(self, number, frame):
        sys.exit(0)


def leave(number, frame):
    sys.exit(0)


def leave_with(code, number, frame):
    raise RuntimeError(code)


HANDLERS = [
    leave,
    lambda *_: sys.exit("saved"),
    Method().leave,
    Method(),
    functools.partial(leave_with, 3),
]


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("number", SIGNALS)
def test_a_trial_that_leaves_in_its_own_handler_steps_back(run, drain, handler, number):
    def trial(configuration, trial_id):
        signal.signal(number, handler)
        signal.raise_signal(number)
        return {}

    with draining_on_signals(drain):
        outcome = run(trial).outcome

    assert (Status.PENDING, None) == (outcome.status, outcome.failure)
    assert signal.Signals(number).name == drain.reason


def test_what_it_raises_after_its_handler_is_stepping_back_too(run, drain):
    def trial(configuration, trial_id):
        signal.signal(signal.SIGUSR1, leave)
        try:
            signal.raise_signal(signal.SIGUSR1)
        except SystemExit:
            raise OSError("no room to save") from None

    with draining_on_signals(drain):
        assert Status.PENDING == run(trial).outcome.status


def test_ctrl_c_as_python_has_it_steps_back(run, drain):
    def trial(configuration, trial_id):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.raise_signal(signal.SIGINT)

    with draining_on_signals(drain):
        assert Status.PENDING == run(trial).outcome.status
    assert "SIGINT" == drain.reason


def test_leaving_while_the_run_drains_is_stepping_back(run, drain):
    drain.request("SIGTERM")

    assert Status.PENDING == run(lambda c, i: sys.exit(0)).outcome.status


def test_leaving_while_it_does_not_is_a_failure(run, drain):
    with draining_on_signals(drain):
        assert Status.FAILED == run(lambda c, i: sys.exit(0)).outcome.status
    assert drain.reason is None


def test_an_error_while_the_run_drains_is_a_failure_as_ever(run, drain):
    drain.request("SIGTERM")

    assert Status.FAILED == run(lambda c, i: 1 / 0).outcome.status


def test_the_runs_handlers_are_back_after_each_trial(run, drain):
    def trial(configuration, trial_id):
        signal.signal(signal.SIGTERM, leave)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        return {}

    with draining_on_signals(drain):
        before = [signal.getsignal(number) for number in SIGNALS]
        run(trial)
        assert before == [signal.getsignal(number) for number in SIGNALS]
        signal.raise_signal(signal.SIGTERM)
        ours = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(ours)
    assert ours > 0
    assert "SIGTERM" == drain.reason


def test_an_event_loop_of_a_trial_leaves_the_run_its_signals(run, drain):
    import asyncio

    async def main():
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, loop.stop)

    with draining_on_signals(drain):
        run(lambda c, i: asyncio.run(main()) or {})
        signal.raise_signal(signal.SIGTERM)

    assert "SIGTERM" == drain.reason


@pytest.fixture
def no_timer():
    before = signal.getsignal(signal.SIGALRM)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_a_timer_ends_with_the_trial_that_began_it(run, drain, no_timer):
    def trial(configuration, trial_id):
        signal.signal(signal.SIGALRM, leave)
        signal.alarm(1000)
        return {}

    with draining_on_signals(drain):
        assert Status.FINISHED == run(trial).outcome.status
        assert (0.0, 0.0) == signal.getitimer(signal.ITIMER_REAL)


def test_a_timer_from_before_the_run_goes_on(run, drain, no_timer):
    signal.signal(signal.SIGALRM, leave)
    signal.alarm(1000)

    with draining_on_signals(drain):
        run(lambda c, i: {})
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0


# --- what a handler must not interrupt


@pytest.fixture
def called():
    """Have handlers of a user's for two signals, which say that they are called."""
    calls = []

    def call(number, frame):
        calls.append(number)
        raise InterruptedError(number)

    numbers = (signal.SIGALRM, signal.SIGUSR1)
    before = [signal.getsignal(number) for number in numbers]
    with outliving_signals():
        for number in numbers:
            signal.signal(number, call)
        yield calls
        assert [call, call] == [signal.getsignal(number) for number in numbers]
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def meanwhile(called, *numbers):
    """Let signals come while handlers wait."""
    with deferred():
        for number in numbers:
            signal.raise_signal(number)
        assert [] == called


def test_handlers_are_called_when_what_they_would_interrupt_is_complete(called):
    with pytest.raises(InterruptedError):
        meanwhile(called, signal.SIGALRM, signal.SIGALRM)

    assert [signal.SIGALRM] == called


def test_one_handler_that_raises_does_not_keep_another_from_being_called(called):
    with pytest.raises(InterruptedError):
        meanwhile(called, signal.SIGALRM, signal.SIGUSR1)

    assert {signal.SIGALRM, signal.SIGUSR1} == set(called)


def test_handlers_wait_for_the_outermost_of_several(called):
    def nested():
        with deferred():
            meanwhile(called, signal.SIGUSR1)
            assert [] == called

    with pytest.raises(InterruptedError):
        nested()
    assert [signal.SIGUSR1] == called


def test_an_error_of_what_they_would_interrupt_is_not_lost(called):
    def refused():
        with deferred():
            signal.raise_signal(signal.SIGUSR1)
            raise DatabaseError("refused")

    with pytest.raises(InterruptedError) as caught:
        refused()
    assert isinstance(caught.value.__context__, DatabaseError)


def test_a_child_that_is_forked_meanwhile_has_the_handlers_themselves(called):
    def interrupted():
        try:
            signal.raise_signal(signal.SIGALRM)
        except InterruptedError:
            return True

    with deferred():
        assert "True" == forked(interrupted)


def test_a_handler_that_puts_another_in_its_place_has_the_last_word(called):
    def once(number, frame):
        called.append("once")
        signal.signal(number, ours)

    ours = signal.getsignal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, once)
    with deferred():
        signal.raise_signal(signal.SIGUSR1)

    assert ["once"] == called
    assert ours is signal.getsignal(signal.SIGUSR1)


def test_the_runs_own_handlers_are_called_at_once(drain):
    with draining_on_signals(drain), deferred():
        signal.raise_signal(signal.SIGTERM)
        assert "SIGTERM" == drain.reason
