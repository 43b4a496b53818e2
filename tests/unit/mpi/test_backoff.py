"""How a rank waits: at once at first, then ever longer, and politely in a crowd."""

from __future__ import annotations

import pytest

from experimenter_mpi.mpi import mail
from experimenter_mpi.mpi.mail import Backoff


@pytest.fixture
def slept(monkeypatch):
    """What was slept, in order; a look without sleep is 0."""
    times = []
    monkeypatch.setattr(mail.time, "sleep", times.append)
    monkeypatch.setattr(mail.os, "sched_yield", lambda: times.append(0))
    return times


def wait(backoff, looks):
    for _ in range(looks):
        backoff.wait()


def test_a_rank_looks_often_at_first_and_a_thousand_times_a_second_at_last(slept):
    wait(Backoff(), 500)

    assert Backoff.SPINS == slept.count(0)
    assert sorted(slept) == slept
    assert 0.001 == slept[-1]


def test_in_a_crowd_all_look_as_seldom_as_they_are_many(slept):
    """64 ranks on two cores would else spend these on looking for messages."""
    wait(Backoff(crowding=32.0), 500)

    assert Backoff.SPINS // 32 == slept.count(0)
    assert sorted(slept) == slept
    assert pytest.approx(0.032) == slept[-1]
