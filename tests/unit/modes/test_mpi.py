"""MPIMode: how many trials a message carries, and what it may not be."""

from __future__ import annotations

import pytest

from experimenter_mpi.coordination import messages as m
from experimenter_mpi.errors import ConfigurationError
from experimenter_mpi.experiment.experiment import Experiment
from experimenter_mpi.experiment.variables import IntegerVariable
from experimenter_mpi.modes.mpi import MPIMode
from support.fakes import HERE, FakeTransport, ListLedger, outcome, sweep_of


@pytest.mark.parametrize("size", [0, -1, 1.0, "many", None, True, "10"])
def test_a_batch_size_is_auto_or_a_whole_number_from_1(size):
    with pytest.raises(
        ConfigurationError, match='"auto" or a whole number of 1 or more, not'
    ):
        MPIMode(size)


def batch_of(assign):
    return [i for start, stop in assign.ranges for i in range(start, stop)]


def lead(mode):
    """Lead one worker through 100 trials; give the size of each batch."""
    n = IntegerVariable(1, 100)
    experiment = Experiment("heat", function_name="f", configuration={"n": n})

    def work(rank, message):
        if isinstance(message, m.Assign):
            outcomes = (outcome(i, duration=0.0) for i in batch_of(message))
            return [(1, m.Finished(tuple(outcomes)))]
        return []

    transport = FakeTransport(0, 2, [(1, m.Ready(HERE))], work)
    error = mode.lead(transport, sweep_of(experiment, ListLedger(experiment)))
    assert error is None
    return [len(batch_of(assign)) for assign in transport.sent_of(m.Assign)]


def test_a_fixed_size_is_what_each_message_carries():
    assert [40, 40, 20] == lead(MPIMode(batch_size=40))


def test_unless_it_is_given_the_size_follows_the_trials():
    sizes = lead(MPIMode())

    assert 1 == sizes[0]
    assert 1 < max(sizes) < 100


def test_one_trial_a_message_is_a_size_too():
    assert {1} == set(lead(MPIMode(1)))


def test_it_shows_how_it_is_written():
    assert "MPIMode(batch_size=7)" == repr(MPIMode(7))
