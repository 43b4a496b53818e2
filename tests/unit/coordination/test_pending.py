"""Ranges that are read while they are handed out: all of them, each once."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experimenter_mpi.coordination import pending
from experimenter_mpi.coordination.dispatch import Dispatcher
from experimenter_mpi.coordination.messages import Ready
from experimenter_mpi.coordination.pending import Pool, Ranges, among, size_of
from experimenter_mpi.trial.outcome import Place

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def ranges_of(numbers):
    return [range(number, number + 1) for number in sorted(numbers)]


@UNHURRIED
@given(st.sets(st.integers(0, 60)), st.integers(1, 7), st.integers(-3, 3))
def test_all_are_taken_once_whatever_was_said_of_their_number(numbers, count, wrong):
    """Rows may be gone, or be more, when they are read."""
    pool = Pool(Ranges(lambda: ranges_of(numbers), len(numbers) + wrong))
    taken = []
    while pool.size:
        pieces = pool.take(count)
        assert 0 < sum(map(len, pieces)) <= count
        taken += [number for piece in pieces for number in piece]

    assert sorted(numbers) == taken


@UNHURRIED
@given(st.sets(st.integers(0, 60), min_size=1), st.sets(st.integers(0, 60)))
def test_those_that_are_claimed_are_not_handed_out(numbers, mine):
    found = []

    def claim(piece):
        if piece.start in mine:
            found.append(piece.start)
            return []
        return [piece]

    pool = Pool(Ranges(lambda: ranges_of(numbers), len(numbers)), claim)
    taken = [number for piece in pool.take(100) for number in piece]

    assert sorted(numbers - mine) == taken
    assert sorted(numbers & mine) == found
    assert 0 == pool.size


def test_what_is_put_back_comes_next():
    pool = Pool(Ranges(lambda: [range(10)], 10))
    pool.take(4)
    pool.put_back([1, 3])

    assert 8 == pool.size
    assert [1, 3, 4] == [number for piece in pool.take(3) for number in piece]


def test_they_are_read_as_far_as_they_are_needed(monkeypatch):
    monkeypatch.setattr(pending, "READ_AHEAD", 10)
    read = []

    def ranges():
        for number in range(0, 1000, 2):
            read.append(number)
            yield range(number, number + 1)

    pool = Pool(Ranges(ranges, 500))
    pool.take(25)

    assert 30 == len(read)
    assert 475 == pool.size


def test_tens_of_thousands_of_ranges_take_no_room():
    tracemalloc.start()
    pool = Pool(Ranges(lambda: (range(i, i + 1) for i in range(0, 10**5, 3)), 33_334))
    while pool.size:
        pool.take(1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 500_000


@UNHURRIED
@given(st.sets(st.integers(0, 60)), st.sets(st.integers(-3, 70)))
def test_those_among_ranges_are_found(numbers, wanted):
    assert numbers & wanted == among(ranges_of(numbers), wanted)


@pytest.mark.parametrize("ranges", [[], [range(3)], [range(3), range(5, 6)]])
def test_a_list_says_how_many_as_ranges_do(ranges):
    lazy = Ranges(lambda: ranges, sum(map(len, ranges)))

    assert size_of(ranges) == size_of(lazy)
    assert bool(ranges) is bool(lazy)


def test_workers_are_released_when_others_have_finished_what_was_left():
    """Trials may be completed by hand between being counted and being read."""
    dispatcher = Dispatcher(Ranges(list, 5), [1])
    dispatcher.on(1, Ready(Place(1, "here")))

    assert dispatcher.done
    assert 0 == dispatcher.left
