"""The transport between ranks, over a pretended MPI: what must never wait."""

from __future__ import annotations

import sys
import threading

import pytest

from experimenter_mpi.coordination import messages as m
from experimenter_mpi.errors import ProtocolError
from experimenter_mpi.mpi import mail
from experimenter_mpi.mpi import transport as transport_module
from experimenter_mpi.mpi.transport import (
    FRAME_BYTES,
    RING_AT_COORDINATOR,
    RING_AT_WORKER,
    Transport,
)
from experimenter_mpi.trial.outcome import Place
from support.fake_mpi import FakeMPI
from support.fakes import HERE, PATIENCE, FakeClock

LARGE = m.Begin(bytes(10 * FRAME_BYTES))


class World:
    """The transports of all ranks over one fake MPI."""

    def __init__(self, size):
        self.mpi = FakeMPI(size)
        self.transports = [
            Transport(self.mpi, self.mpi.world(rank)) for rank in range(size)
        ]

    def __getitem__(self, rank):
        return self.transports[rank]


@pytest.fixture
def world():
    return World(3)


def on_a_thread(function, *arguments):
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def test_it_knows_its_rank_and_the_number_of_them(world):
    assert [(0, 3), (1, 3), (2, 3)] == [(t.rank, t.size) for t in world.transports]


def test_the_library_is_named_in_one_line(world):
    assert "FakeMPI 1.0" == world[0].library


def test_a_message_arrives_with_the_rank_it_came_from(world):
    world[2].send(0, m.Ready(Place(2, "node2")))
    world[0].send(1, m.StopWork("SIGTERM"))

    assert (2, m.Ready(Place(2, "node2"))) == world[0].receive(PATIENCE)
    assert (0, m.StopWork("SIGTERM")) == world[1].receive(PATIENCE)


def test_where_nothing_has_come_polling_gives_nothing(world):
    assert world[0].poll() is None


def test_a_message_to_all_reaches_every_worker_and_not_its_sender(world):
    world[0].send_all(m.StopWork("SIGTERM"))

    assert (0, m.StopWork("SIGTERM")) == world[1].poll() == world[2].poll()
    assert world[0].poll() is None


@pytest.mark.parametrize("size", [FRAME_BYTES - 100, FRAME_BYTES, FRAME_BYTES * 3 + 1])
def test_a_message_of_any_size_arrives_whole(world, size):
    message = m.Begin(bytes(i % 251 for i in range(size)))
    sending = on_a_thread(world[1].send, 0, message)

    assert (1, message) == world[0].receive(PATIENCE)
    sending.join(PATIENCE)
    assert not sending.is_alive()


def test_what_is_too_large_for_one_message_of_mpi_travels_in_chunks(monkeypatch):
    monkeypatch.setattr(mail, "CHUNK_BYTES", 1000)
    world = World(2)
    message = m.Begin(bytes(i % 251 for i in range(10 * FRAME_BYTES)))
    on_a_thread(world[1].send, 0, message)

    assert (1, message) == world[0].receive(PATIENCE)


def test_messages_of_one_rank_come_in_its_order_large_and_small(world):
    messages = [
        m.Ready(Place(1, "1")),
        LARGE,
        m.Ready(Place(1, "2")),
        m.Ready(Place(1, "3")),
        LARGE,
        m.Ready(Place(1, "4")),
    ]
    on_a_thread(lambda: [world[1].send(0, message) for message in messages])

    assert messages == [world[0].receive(PATIENCE)[1] for _ in messages]


def test_large_messages_of_several_ranks_do_not_mix(world):
    for rank in (1, 2):
        message = m.Begin(bytes([rank]) * 3 * FRAME_BYTES)
        on_a_thread(world[rank].send, 0, message)
    arrived = dict(world[0].receive(PATIENCE) for _ in (1, 2))

    assert {rank: {rank} for rank in (1, 2)} == {
        rank: set(message.job) for rank, message in arrived.items()
    }


def test_many_more_messages_than_buffers_all_arrive(world):
    count = 3 * RING_AT_COORDINATOR
    for number in range(count):
        world[1].send(0, m.Ready(Place(1, str(number))))

    assert [str(number) for number in range(count)] == [
        world[0].poll()[1].place.hostname for _ in range(count)
    ]


def test_receives_are_posted_before_anything_is_sent(world):
    assert RING_AT_COORDINATOR == world[0]._frames.posted
    assert RING_AT_WORKER == world[1]._frames.posted


def test_rank_0_never_waits_for_a_worker_that_is_sending(world):
    """Both have something large for each other, and both would wait for ever.

    A worker reports a thousand outcomes while rank 0 sends it a batch of a thousand
    scattered indices: rank 0 was busy committing, and neither could know.
    """
    reporting = on_a_thread(world[1].send, 0, LARGE)
    assigning = on_a_thread(world[0].send, 1, LARGE)
    assigning.join(PATIENCE / 4)
    waited = assigning.is_alive()
    arrived = world[0].receive(PATIENCE), world[1].receive(PATIENCE)
    reporting.join(PATIENCE)

    assert ((1, LARGE), (0, LARGE)) == arrived
    assert not waited


def test_what_is_being_sent_is_kept_until_it_has_left(world):
    """MPI reads it when it likes; Python must not free it before."""
    for _ in range(RING_AT_WORKER + 1):
        world[0].send(1, m.StopWork("SIGTERM"))
    before = world[0].flush(timeout=0)
    world[1].poll()

    assert (False, True) == (before, world[0].flush(timeout=PATIENCE))


@pytest.fixture
def sleeps(monkeypatch):
    """All sleeps, in order, none of which takes any time; a yield is one of 0."""
    clock, slept = FakeClock(), []

    def sleep(seconds):
        slept.append(seconds)
        clock.now += seconds

    clock.sleep = sleep
    monkeypatch.setattr(transport_module, "time", clock)
    monkeypatch.setattr(mail.os, "sched_yield", lambda: sleep(0))
    monkeypatch.setattr(mail, "time", clock)
    return slept


def test_waiting_ends_at_its_timeout(world, sleeps):
    assert world[0].receive(timeout=5) is None
    assert 5 <= sum(sleeps) < 6


def test_waiting_grows_patient_but_never_deaf(world, sleeps):
    """An idle rank takes no core, and yet hears a message within a moment."""
    world[0].receive(timeout=1)

    assert [0] * 10 == sleeps[:10]
    assert sleeps == sorted(sleeps)
    assert 0.0005 <= sleeps[-1] <= 0.002


def test_a_wait_that_gave_nothing_is_gone_on_with(world, sleeps):
    """Rank 0 looks up now and then: it need not begin to look often again."""
    world[0].receive(timeout=1)
    patient = len(sleeps)
    world[0].receive(timeout=1)

    assert min(sleeps[patient:]) == sleeps[patient - 1]


@pytest.mark.parametrize("look", [Transport.poll, Transport.receive])
def test_after_a_message_a_rank_looks_often_again(world, sleeps, look):
    world[0].receive(timeout=1)
    patient = len(sleeps)
    world[1].send(0, m.Ready(HERE))
    look(world[0])
    world[0].receive(timeout=1)

    assert 0 == sleeps[patient]


def test_waiting_ends_when_it_is_woken(world):
    looks = iter([False, False, True])

    assert world[0].receive(None, lambda: next(looks)) is None


def test_closing_takes_back_what_was_posted(world):
    """Else MPI_Finalize complains, or waits for ever."""
    for transport in world.transports:
        transport.close()

    assert [0, 0, 0] == [transport._frames.posted for transport in world.transports]


def test_an_abort_ends_every_rank_with_its_code(world, monkeypatch):
    monkeypatch.setattr(transport_module.os, "_exit", sys.exit)
    with pytest.raises(SystemExit) as caught:
        world[1].abort(75)

    assert (75, 75) == (world.mpi.aborted, caught.value.code)


def test_a_message_of_an_unknown_tag_is_a_protocol_error(world):
    world[1]._frames.Isend(b"", 0, 4711)

    with pytest.raises(ProtocolError, match="unknown tag 4711"):
        world[0].poll()
