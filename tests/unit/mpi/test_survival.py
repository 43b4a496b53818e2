"""A transport that outlives ranks, over a pretended MPI that says who has died."""

from __future__ import annotations

import sys

import pytest

from experimenter_mpi.coordination import messages as m
from experimenter_mpi.errors import LaunchError
from experimenter_mpi.mpi import ending
from experimenter_mpi.mpi import transport as transport_module
from experimenter_mpi.mpi.mail import FRAME_BYTES, enabled
from experimenter_mpi.mpi.transport import RING_AT_WORKER, Transport
from experimenter_mpi.trial.outcome import Place
from support.fake_mpi import FakeMPI
from support.fakes import HERE, PATIENCE

LARGE = m.Begin(bytes(10 * FRAME_BYTES))


@pytest.fixture
def mpi():
    return FakeMPI(4)


@pytest.fixture
def ranks(mpi, monkeypatch):
    monkeypatch.setenv("OMPI_MCA_mpi_ft_enable", "1")
    return [Transport(mpi, mpi.world(rank)) for rank in range(4)]


def told(transport):
    """Poll until nothing comes, and return what came and who has died."""
    came = []
    while (arrival := transport.poll()) is not None:
        came.append(arrival)
    return came, transport.deaths()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"OMPI_MCA_mpi_ft_enable": "0"}, False),
        ({"OMPI_MCA_mpi_ft_enable": "1"}, True),
        ({"OMPI_MCA_mpi_ft_enable": "true"}, True),
    ],
)
def test_only_mpirun_with_ft_ulfm_lets_a_job_outlive_its_ranks(environment, expected):
    assert expected is enabled(environment)


def test_a_death_is_told_once_and_the_rank_is_no_worker_any_more(mpi, ranks):
    mpi.kill(2)

    assert ([], [2]) == told(ranks[0])
    assert ([], []) == told(ranks[0])
    assert [1, 3] == ranks[0].workers
    assert {2} == ranks[0]._frames._acknowledged, "else no receive would go on"


def test_several_deaths_are_told_together(mpi, ranks):
    mpi.kill(1, 3)

    assert [1, 3] == told(ranks[0])[1]


def test_what_a_rank_sent_before_it_died_comes_before_the_news(mpi, ranks):
    ranks[2].send(0, m.Ready(Place(2, "node2")))
    mpi.kill(2)

    assert ([(2, m.Ready(Place(2, "node2")))], [2]) == told(ranks[0])


def test_what_comes_after_the_news_of_a_death_is_dropped(mpi, ranks):
    mpi.kill(2)
    told(ranks[0])
    ranks[2].send(0, m.Ready(Place(2, "node2")))
    ranks[3].send(0, m.Ready(Place(3, "node3")))

    assert [(3, m.Ready(Place(3, "node3")))] == told(ranks[0])[0]


def test_messages_of_the_living_keep_coming_after_a_death(mpi, ranks):
    mpi.kill(2)
    for count in range(300):
        ranks[1].send(0, m.Ready(Place(1, str(count))))
        assert (1, m.Ready(Place(1, str(count)))) == ranks[0].poll()
        ranks[0].poll()


def test_half_a_message_of_a_dead_rank_is_dropped(mpi, ranks):
    """It died between the announcement and what was announced."""
    frame, payload = ranks[2]._frames, ranks[2]._payloads
    ranks[2]._payloads = mpi.world(2)
    ranks[2].flush = lambda: None
    ranks[2].send(0, LARGE)
    mpi.kill(2)

    assert frame is not payload
    assert ([], [2]) == told(ranks[0])


def test_a_receive_that_a_death_has_broken_is_posted_again(mpi, ranks, monkeypatch):
    request, _ = ranks[0]._inbox._ring[0]

    def broken(_):
        monkeypatch.undo()
        mpi.withdraw(request._where, request)
        request.active = False
        raise FakeMPI.Exception(FakeMPI.ERR_PROC_FAILED)

    mpi.kill(2)
    monkeypatch.setattr(request, "Test", broken)
    ranks[0].poll()
    ranks[1].send(0, m.Ready(HERE))

    assert [(1, m.Ready(HERE))] == told(ranks[0])[0]


def test_waiting_ends_when_a_rank_dies(mpi, ranks):
    mpi.kill(3)

    assert ranks[0].receive(PATIENCE) is None
    assert [3] == ranks[0].deaths()


def test_what_is_sent_to_a_dead_rank_is_no_trouble(mpi, ranks):
    for _ in range(RING_AT_WORKER + 1):
        ranks[0].send(2, m.Release())
    mpi.kill(2)
    ranks[0].send(1, m.Release())
    ranks[0].send(2, LARGE)
    ranks[0].send_all(m.Release())

    assert ranks[0].flush(PATIENCE)
    assert [2] == ranks[0].deaths()


def test_a_worker_whose_rank_0_has_died_ends_the_job(mpi, ranks, capsys, monkeypatch):
    """The lowest says why at once; the others wait for it, which ends them as well."""
    slept, expected = [], []
    monkeypatch.setattr(transport_module.time, "sleep", slept.append)
    monkeypatch.setattr(transport_module.os, "_exit", sys.exit)
    monkeypatch.setattr(ending, "ABORT_SECONDS", 0)
    mpi.kill(0)
    for worker in ranks[1:]:
        with pytest.raises(SystemExit) as caught:
            worker.poll()
        assert 75 == caught.value.code
        waited = [] if worker is ranks[1] else [ending.WORD_SECONDS]
        expected += [*waited, ending.ABORT_SECONDS]

    text = "experimenter_mpi: rank 0 has died; what it committed is kept. Rerun"
    assert 75 == mpi.aborted
    assert expected == slept
    assert text in capsys.readouterr().err


def test_the_death_of_another_worker_is_nothing_to_a_worker(mpi, ranks):
    mpi.kill(1)

    assert ranks[2].poll() is None


def test_another_error_of_mpi_is_raised(ranks, monkeypatch):
    def failing(_):
        raise FakeMPI.Exception(FakeMPI.ERR_OTHER)

    monkeypatch.setattr(ranks[0]._inbox._ring[0][0], "Test", failing)
    with pytest.raises(FakeMPI.Exception):
        ranks[0].poll()


def test_without_fault_tolerance_a_death_is_an_error_like_any_other(mpi):
    transport = Transport(mpi, mpi.world(0))
    mpi.kill(2)

    with pytest.raises(FakeMPI.Exception):
        transport.poll()


def test_ranks_that_die_while_the_job_starts_are_left_out(mpi, monkeypatch):
    monkeypatch.setenv("OMPI_MCA_mpi_ft_enable", "1")
    mpi.kill(1)
    made = [Transport(mpi, mpi.world(rank)) for rank in (0, 2, 3)]

    assert [(0, 3), (1, 3), (2, 3)] == [(t.rank, t.size) for t in made]


def test_nothing_starts_where_rank_0_has_died_meanwhile(mpi, monkeypatch):
    monkeypatch.setenv("OMPI_MCA_mpi_ft_enable", "1")
    mpi.kill(0)

    with pytest.raises(LaunchError, match="rank 0 died while the job was starting"):
        Transport(mpi, mpi.world(1))
