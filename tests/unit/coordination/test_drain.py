"""Stopping early: signals, a time limit, a request, whichever comes first."""

from __future__ import annotations

import signal
import threading

import pytest

from experimenter_mpi.coordination import drain as drain_module
from experimenter_mpi.coordination.drain import Drain, Excuse
from experimenter_mpi.run import interruption
from experimenter_mpi.run.interruption import SAME_SECONDS, draining_on_signals
from experimenter_mpi.trial.signals import SIGNALS
from support.fakes import WITH_PACKAGE, FakeClock

# A run whose trial goes on, once the drain was asked for, until there is a file "go".
CHILD = """
import os, time
from experimenter_mpi.coordination.drain import Drain
from experimenter_mpi.run.interruption import SAME_SECONDS, draining_on_signals

def notice(name, seconds):
    os.write(1, f"notice {name}\\n".encode())  # a print may be under way

drain = Drain()
try:
    with draining_on_signals(drain, notice):
        print("running", flush=True)
        while not drain.requested():
            time.sleep(0.001)
        print("draining", flush=True)
        drained_at, told = time.monotonic(), False
        while not os.path.exists("go"):
            time.sleep(0.001)
            if not told and time.monotonic() - drained_at > 2 * SAME_SECONDS:
                told = True
                print("another signal is another one by now", flush=True)
        print("drained by", drain.reason, flush=True)
except KeyboardInterrupt:
    print("stopped at once", flush=True)
"""


@pytest.fixture
def clock(monkeypatch):
    fake = FakeClock()
    monkeypatch.setattr(drain_module, "time", fake)
    return fake


@pytest.fixture
def child(start_serial):
    running = start_serial("-c", CHILD, env=WITH_PACKAGE)
    running.wait_for("running")
    return running


# --- asking


def test_a_run_drains_only_when_it_is_asked_to():
    drain = Drain()

    assert (False, None) == (drain.requested(), drain.reason)


def test_the_first_reason_stays():
    drain = Drain()
    drain.request("SIGTERM")
    drain.request("SIGINT")

    assert (True, "SIGTERM") == (drain.requested(), drain.reason)


def test_the_time_limit_asks_for_it_when_it_has_come(clock):
    drain = Drain(time_limit=60)
    clock.now += 59.9
    before = drain.requested(), drain.reason
    clock.now += 0.1

    assert (False, None) == before
    assert (True, "the time limit") == (drain.requested(), drain.reason)


def test_a_signal_before_the_time_limit_is_the_reason(clock):
    drain = Drain(time_limit=60)
    drain.request("SIGTERM")
    clock.now += 100

    assert (True, "SIGTERM") == (drain.requested(), drain.reason)


def test_no_time_at_all_drains_at_once(clock):
    assert Drain(time_limit=0).requested()


def test_the_time_left_runs_down_to_nothing_and_no_further(clock):
    drain = Drain(time_limit=60, grace=0)
    clock.now += 20
    left = drain.time_left()
    clock.now += 100

    assert (40, 0) == (left, drain.time_left())


def test_without_a_limit_no_time_is_left_to_speak_of():
    assert Drain().time_left() is None


# --- why it stops, kept for the case that it is killed


@pytest.mark.parametrize("reason", ["SIGINT", "SIGUSR1", "the time limit"])
def test_why_it_stops_is_kept_at_once_and_once(reason):
    """Who presses Ctrl-C twice has the launcher kill the job, blaming no trial."""
    drain, kept = Drain(), []
    excuse = Excuse(drain, kept.append)
    excuse.look()
    before = list(kept)
    drain.request(reason)
    excuse.look()
    excuse.look()

    assert ([], [reason]) == (before, kept)


def test_of_sigterm_it_is_kept_only_after_two_seconds(clock):
    """A launcher sends it to all ranks when one has died, and then kills them."""
    drain, kept = Drain(), []
    excuse = Excuse(drain, kept.append)
    drain.request("SIGTERM")
    excuse.look()
    clock.now += 1.9
    excuse.look()
    before = list(kept)
    clock.now += 0.1
    excuse.look()

    assert ([], ["SIGTERM"]) == (before, kept)


# --- how long running trials then have


def test_running_trials_have_a_minute_or_a_second_after_ctrl_c(clock):
    left = {}
    for reason in ("SIGTERM", "SIGUSR1", "SIGINT"):
        drain = Drain()
        drain.request(reason)
        left[reason] = drain.time_left()

    assert {"SIGTERM": 60, "SIGUSR1": 60, "SIGINT": 1} == left


def test_a_grace_period_that_was_asked_for_is_that_of_every_reason(clock):
    for reason in ("SIGTERM", "SIGINT", "the time limit"):
        drain = Drain(grace=300)
        drain.request(reason)

        assert 300 == drain.time_left()


def test_it_is_over_when_the_grace_period_is(clock):
    drain = Drain(grace=10)
    clock.now += 100
    drain.request("SIGTERM")
    clock.now += 9
    before = drain.is_over()
    clock.now += 1

    assert (False, True) == (before, drain.is_over())


def test_until_the_drain_begins_the_grace_period_is_part_of_the_time_left(clock):
    drain = Drain(time_limit=60, grace=30)
    left = [drain.time_left()]
    clock.now += 60
    assert drain.requested()
    left.append(drain.time_left())
    clock.now += 10
    left.append(drain.time_left())

    assert [90, 30, 20] == left


def test_a_failure_that_stops_the_run_hurries_nobody(clock):
    drain = Drain()
    drain.request("a failed trial", for_ever=True)
    clock.now += 1e6

    assert (None, False) == (drain.time_left(), drain.is_over())


# --- the scheduler's end


def test_the_drain_begins_a_grace_period_before_the_job_ends(clock):
    """And five seconds are left for the last commit."""
    drain = Drain(grace=120, walltime=3600)
    clock.now += 3600 - 5 - 120 - 1
    before = drain.requested(), drain.time_left()
    clock.now += 1

    assert (False, 121) == before
    assert (True, 120) == (drain.requested(), drain.time_left())
    assert "the end of the job's walltime" == drain.reason


def test_a_short_job_does_not_spend_its_time_on_grace(clock):
    """Of a job of five minutes a minute would be a fifth; and it must do something."""
    drain = Drain(walltime=300)
    clock.now += 300 - 5 - 30 - 1

    assert not drain.requested()


def test_a_signal_shortly_before_the_end_leaves_only_what_is_left(clock):
    drain = Drain(walltime=100)
    clock.now += 80
    drain.request("SIGTERM")

    assert 15 == drain.time_left()


# --- too little time for another trial


@pytest.mark.parametrize(("expected", "runs_out"), [(89, False), (91, True)])
def test_what_would_not_end_in_time_is_not_begun(clock, expected, runs_out):
    drain = Drain(time_limit=60, grace=30)

    assert runs_out == drain.runs_out(expected)
    assert runs_out == (drain.shortage is not None)
    assert not drain.requested(), "what runs already is not disturbed"


@pytest.mark.parametrize("drain", [Drain(), Drain(time_limit=1)])
def test_where_nothing_is_known_everything_is_begun(drain):
    assert not drain.runs_out(None)
    assert Drain().runs_out(1e9) is False


# --- signals, sent to a process


def go_on(child, tmp_path):
    (tmp_path / "go").touch()
    return child.wait().expect(0).stdout.split("\n")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_lets_the_running_trial_end(child, tmp_path, number):
    """What a scheduler or a person sends is a wish, and the trial's work is kept."""
    child.send_signal(number)
    child.wait_for("draining")
    lines = go_on(child, tmp_path)

    assert f"notice {number.name}" in lines
    assert f"drained by {number.name}" in lines


def test_the_signals_that_schedulers_send_are_among_them():
    assert {"SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2"} == {n.name for n in SIGNALS}


def test_a_second_ctrl_c_stops_at_once(child):
    child.send_signal(signal.SIGINT)
    child.wait_for("draining")
    child.wait_for("another signal is another one by now")
    child.send_signal(signal.SIGINT)
    lines = child.wait().expect(0).stdout.split("\n")

    assert "stopped at once" in lines
    assert not any(line.startswith("drained") for line in lines)


def test_a_ctrl_c_that_comes_twice_at_once_is_one(monkeypatch):
    """The terminal sends it to all, and the launcher passes it on."""
    clock = FakeClock()
    monkeypatch.setattr(interruption, "time", clock)
    drain = Drain()
    with draining_on_signals(drain):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        clock.now += 2 * SAME_SECONDS
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    assert "SIGINT" == drain.reason


def test_a_signal_that_comes_twice_is_borne_and_told_once(child, tmp_path):
    """Ranks under MPICH get the SIGTERM of scancel twice: from Slurm and from Hydra."""
    child.send_signal(signal.SIGTERM)
    child.wait_for("draining")
    child.send_signal(signal.SIGTERM)
    child.send_signal(signal.SIGUSR1)
    lines = go_on(child, tmp_path)

    assert "drained by SIGTERM" in lines
    assert 1 == sum(line.startswith("notice") for line in lines)


# --- handlers


def test_afterwards_the_handlers_are_what_they_were():
    def own(number, frame):
        pass

    before = signal.signal(signal.SIGUSR1, own)
    try:
        with draining_on_signals(Drain()):
            inside = signal.getsignal(signal.SIGUSR1)

        assert inside is not own
        assert signal.getsignal(signal.SIGUSR1) is own
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_an_error_inside_leaves_the_handlers_as_they_were():
    before = [signal.getsignal(number) for number in SIGNALS]

    with pytest.raises(ZeroDivisionError), draining_on_signals(Drain()):
        raise ZeroDivisionError

    assert before == [signal.getsignal(number) for number in SIGNALS]


def test_without_a_notice_a_signal_is_only_a_request():
    drain = Drain()
    with draining_on_signals(drain):
        signal.raise_signal(signal.SIGUSR2)

    assert "SIGUSR2" == drain.reason


def test_on_another_thread_nothing_is_installed():
    """Python lets only the main thread; a notebook or a pool may run us elsewhere."""
    before = [signal.getsignal(number) for number in SIGNALS]
    inside = []

    def run():
        with draining_on_signals(Drain()):
            inside.extend(signal.getsignal(number) for number in SIGNALS)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    assert before == inside
