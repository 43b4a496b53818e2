"""Modes have one interface: who runs the trials, chosen from what there is."""

from __future__ import annotations

import pytest

import experimenter_mpi
from experimenter_mpi import (
    DistributedMode,
    HeterogeneousMode,
    MPIMode,
    MultithreadedMode,
    SerialMode,
)
from experimenter_mpi.errors import ConfigurationError
from experimenter_mpi.modes import MODES
from experimenter_mpi.mpi import launch
from experimenter_mpi.run.execute import as_mode
from support.fakes import FakeTransport


class Lead:
    """Rank 0 of so many ranks."""

    def __init__(self, ranks):
        self.transport = FakeTransport(0, ranks) if ranks > 1 else None
        self.notes = []

    def note(self, text):
        self.notes.append(text)

    def script_of_workers(self):
        return None


@pytest.fixture(autouse=True)
def unchanged(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(launch, "set_place", lambda *_: None)


CHOSEN = [
    (SerialMode(), 1, "SerialMode", 1, "1 rank"),
    (SerialMode(), 4, "SerialMode", 4, "1 rank"),
    (MultithreadedMode(3), 1, "MultithreadedMode", 1, "3 threads"),
    (MultithreadedMode(3), 4, "MultithreadedMode", 1, "3 threads"),
    (MPIMode(), 1, "SerialMode", 1, "1 rank"),
    (MPIMode(), 4, "MPIMode", 4, "4 ranks"),
    (DistributedMode(), 4, "DistributedMode", 4, "3 workers"),
    (DistributedMode(1), 4, "DistributedMode", 4, "1 worker"),
    (DistributedMode(2), 1, "DistributedMode", 3, "2 workers"),
    (HeterogeneousMode(8), 4, "HeterogeneousMode", 4, "3 workers of 8 threads"),
]


@pytest.mark.parametrize(("mode", "ranks", "name", "counted", "where"), CHOSEN)
def test_each_chooses_from_what_is_there(mode, ranks, name, counted, where):
    workforce = mode.workforce(Lead(ranks))

    assert (name, counted, where) == (
        workforce.mode,
        workforce.ranks,
        workforce.where,
    )
    assert workforce.may_be_left == (name in ("SerialMode", "MultithreadedMode"))


@pytest.mark.parametrize("mode", [SerialMode(), MultithreadedMode(2)])
def test_who_leaves_ranks_idle_says_so(mode):
    lead = Lead(4)
    mode.workforce(lead)

    name = type(mode).__name__
    assert [f"{name} uses 1 of 4 ranks; MPIMode() uses them all"] == lead.notes


def test_one_rank_alone_is_no_mistake():
    lead = Lead(1)
    MPIMode().workforce(lead)

    assert ["there is only one rank: running serially"] == lead.notes


def test_how_many_threads_each_rank_computes_on_is_said(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")

    assert "4 ranks (OMP_NUM_THREADS=2)" == MPIMode().workforce(Lead(4)).where


def test_more_workers_than_there_are_ranks_is_a_mistake():
    with pytest.raises(ConfigurationError, match="mpirun started 3 besides rank 0"):
        DistributedMode(5).workforce(Lead(4))


def test_only_a_mode_that_is_of_no_use_alone_starts_mpi_by_itself():
    modes = [SerialMode(), MultithreadedMode(1), DistributedMode(), MPIMode()]

    assert [False, False, False, True] == [mode.needs_ranks for mode in modes]


def test_a_class_will_do_where_it_needs_no_argument():
    assert isinstance(as_mode(MPIMode), MPIMode)
    with pytest.raises(ConfigurationError, match="as in HeterogeneousMode"):
        as_mode(HeterogeneousMode)


def test_a_mode_of_the_users_own_is_one_if_it_has_the_interface():
    class Own:
        needs_ranks = False

        def workforce(self, lead):
            return SerialMode().workforce(lead)

    own = Own()
    assert own is as_mode(own)


@pytest.mark.parametrize("other", [None, "serial", 4, int])
def test_what_is_no_mode_is_told_the_names_of_modes(other):
    with pytest.raises(ConfigurationError, match="mode must be one of SerialMode"):
        as_mode(other)


def test_the_names_are_those_that_users_import():
    assert all(hasattr(getattr(experimenter_mpi, name), "workforce") for name in MODES)
