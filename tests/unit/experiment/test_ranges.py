"""Numbers of numbers: the same as sets, only smaller."""

from __future__ import annotations

import pickle

from hypothesis import given, settings
from hypothesis import strategies as st

from experimenter_mpi.experiment.ranges import Numbers

NUMBERS = st.sets(st.integers(0, 40))


def ranges(numbers):
    return Numbers.of(sorted(numbers))


@settings(deadline=None)
@given(NUMBERS, NUMBERS)
def test_they_are_sets(ours, theirs):
    one, other = ranges(ours), ranges(theirs)

    assert one & other == ranges(ours & theirs)
    assert one | other == ranges(ours | theirs)
    assert one - other == ranges(ours - theirs)
    assert (one == other) == (ours == theirs)


@settings(deadline=None)
@given(NUMBERS)
def test_each_number_has_its_place(numbers):
    made = ranges(numbers)

    assert [made[place] for place in range(made.size)] == sorted(numbers) == [*made]
    assert [number in made for number in range(45)] == [
        number in numbers for number in range(45)
    ]
    assert bool(made) == bool(numbers)


@settings(deadline=None)
@given(NUMBERS, st.integers(0, 45), st.integers(0, 45))
def test_those_between_two_numbers_are_found(numbers, start, stop):
    wanted = sorted(number for number in numbers if start <= number < stop)

    assert list(ranges(numbers).between(start, stop)) == wanted


def test_pieces_that_touch_are_one():
    made = Numbers([range(3), range(3, 3), range(3, 5), range(7, 9)])

    assert made.pieces == (range(5), range(7, 9))
    assert pickle.loads(pickle.dumps(made)) == made
