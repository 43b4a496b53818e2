"""Shares are disjoint, complete, and the same whatever is finished."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experimenter_mpi.errors import ConfigurationError
from experimenter_mpi.experiment.ranges import Numbers
from experimenter_mpi.experiment.share import Share, as_share, is_share


def members(share, ranges):
    return [index for piece in share.of(ranges) for index in piece]


@given(st.integers(1, 9), st.sets(st.integers(0, 60)))
def test_each_trial_is_in_one_share(total, unfinished):
    ranges = [range(index, index + 1) for index in sorted(unfinished)]
    shares = [members(Share(n, total), ranges) for n in range(1, total + 1)]

    assert sorted(unfinished) == sorted(index for share in shares for index in share)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 50), st.integers(0, 50))
def test_a_share_does_not_depend_on_what_is_finished(number, total, start, length):
    share = Share(min(number, total), total)
    whole = set(members(share, [range(200)]))

    left = members(share, [range(start, start + length), range(150, 170)])

    expected = [*range(start, start + length), *range(150, 170)]
    assert [index for index in expected if index in whole] == left


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 50))
def test_the_size_of_a_share_is_what_it_has_of_the_whole(number, total, trials):
    share = Share(min(number, total), total)

    assert len(members(share, [range(trials)])) == share.size(trials)


@given(st.integers(1, 9), st.integers(1, 9), st.sets(st.integers(0, 60)))
def test_the_trials_of_a_share_are_counted_without_a_list(number, total, numbers):
    share = Share(min(number, total), total)
    ranges = Numbers.of(sorted(numbers)).pieces

    assert len(members(share, ranges)) == share.count(ranges)


def test_neighbours_are_in_different_shares():
    """What varies slowest in a configuration is often what makes trials long."""
    assert [1, 5, 9] == members(Share(2, 4), [range(12)])


def test_the_only_share_is_everything_as_it_is():
    assert [range(5, 9)] == list(Share(1, 1).of([range(5, 9)]))


@pytest.mark.parametrize("given", [(2, 8), [2, 8], "2/8"])
def test_a_share_may_be_written_as_text_or_pair(given):
    assert Share(2, 8) == as_share(given, {})
    assert "2/8" == str(as_share(given, {}))


@pytest.mark.parametrize("given", ["auto", "auto/8"])
def test_a_share_may_be_left_to_the_scheduler(given):
    environment = {"SGE_TASK_ID": "2", "SGE_TASK_FIRST": "1", "SGE_TASK_LAST": "8"}

    assert Share(2, 8) == as_share(given, environment)


@pytest.mark.parametrize("given", [(0, 8), (9, 8), "0/8", "9/8", "1/0", "1/9999999999"])
def test_a_share_that_does_not_exist_is_refused(given):
    with pytest.raises(ConfigurationError, match="is not a share"):
        as_share(given, {})


@pytest.mark.parametrize(
    "given", ["", "2", "2/", "/8", "2/8/1", "-1/8", "automatic", "auto/", 2, (1, 2, 3)]
)
def test_what_is_no_share_is_refused(given):
    assert not is_share(str(given))
    with pytest.raises(
        ConfigurationError, match=r"a share must be written as \(2, 8\)"
    ):
        as_share(given, {})


@pytest.mark.parametrize("given", [(2.0, 8), (None, 8), ("2", "8")])
def test_a_share_is_of_whole_numbers(given):
    with pytest.raises(ConfigurationError, match="a share must be written as"):
        as_share(given, {})
