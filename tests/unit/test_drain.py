"""Stopping early: signals, a time limit, a request, whichever comes first."""

from __future__ import annotations

import signal
import threading

import pytest

from experimenter_mpi import drain as drain_module
from experimenter_mpi.drain import SIGNALS, Drain
from experimenter_mpi.interruption import draining_on_signals
from support.fakes import WITH_PACKAGE, FakeClock

# A run whose trial goes on, once the drain was asked for, until there is a file "go".
CHILD = """
import os, time
from experimenter_mpi.drain import SIGNALS, Drain
from experimenter_mpi.interruption import draining_on_signals

def notice(name):
    os.write(1, f"notice {name}\\n".encode())  # a print may be under way

drain = Drain()
try:
    with draining_on_signals(drain, notice):
        print("running", flush=True)
        while not drain.requested():
            time.sleep(0.001)
        print("draining", flush=True)
        while not os.path.exists("go"):
            time.sleep(0.001)
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
    drain = Drain(time_limit=60)
    clock.now += 20
    left = drain.time_left()
    clock.now += 100

    assert (40, 0) == (left, drain.time_left())


def test_without_a_limit_no_time_is_left_to_speak_of():
    assert Drain().time_left() is None


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
    child.send_signal(signal.SIGINT)
    lines = child.wait().expect(0).stdout.split("\n")

    assert "stopped at once" in lines
    assert not any(line.startswith("drained") for line in lines)


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
