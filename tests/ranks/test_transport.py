"""Messages between real ranks: of every size, in order, in both directions."""

from __future__ import annotations

import pytest

from experimenter_mpi.coordination import messages as m
from experimenter_mpi.encoding.codec import Encoded
from experimenter_mpi.mpi import mail
from experimenter_mpi.mpi import transport as transports
from experimenter_mpi.trial.outcome import Place

pytestmark = pytest.mark.mpi


@pytest.fixture
def transport(comm):
    made = transports.Transport(transports.load(), comm)
    yield made
    made.flush()
    comm.Barrier()
    made.close()


def receive(transport):
    arrival = transport.receive(timeout=30)
    assert arrival is not None, "nothing came"
    return arrival


@pytest.mark.parametrize("size", [0, 8_000, 9_000, 3_000_000])
def test_a_message_of_any_size_arrives_whole(transport, size):
    """Small ones fit a frame, larger ones follow on the payload channel."""
    state = Encoded("x" * size)
    if transport.rank > 0:
        transport.send(0, m.SaveSnapshot("trial", state, f"from {transport.rank}"))
        assert (0, m.ResultsFound(state)) == receive(transport)
        return
    labels = {}
    for _ in range(transport.size - 1):
        rank, message = receive(transport)
        labels[rank] = message.label
        assert message.state == state
        transport.send(rank, m.ResultsFound(message.state))

    assert {r: f"from {r}" for r in range(1, transport.size)} == labels


def test_a_payload_longer_than_one_chunk_arrives_whole(transport, monkeypatch):
    monkeypatch.setattr(mail, "CHUNK_BYTES", 100_000)
    document = "".join(map(str, range(200_000)))
    if transport.rank > 0:
        transport.send(0, m.CompleteTrial("trial", Encoded(document)))
        return

    for _ in range(transport.size - 1):
        assert document == receive(transport)[1].results.document


def test_messages_of_one_rank_arrive_in_the_order_sent(transport):
    """Large and small ones mixed: a small one must not overtake a large one."""
    sizes = [10, 50_000, 10, 20, 900_000, 5] * 5
    if transport.rank > 0:
        for number, size in enumerate(sizes):
            transport.send(0, m.Unable(Place(1, "host"), str(number), "x" * size))
        return
    seen = {rank: [] for rank in range(1, transport.size)}
    for _ in range(len(sizes) * (transport.size - 1)):
        rank, message = receive(transport)
        seen[rank].append((int(message.error), len(message.message)))

    assert {rank: list(enumerate(sizes)) for rank in seen} == seen


def test_more_messages_than_the_ring_has_frames_wait_their_turn(transport):
    count = 3 * transports.RING_AT_COORDINATOR
    if transport.rank > 0:
        for number in range(count):
            transport.send(0, m.Unable(Place(1, "host"), str(number), ""))
        return
    seen = [receive(transport)[1].error for _ in range(count * (transport.size - 1))]

    assert sorted(map(str, list(range(count)) * (transport.size - 1))) == sorted(seen)


def test_waiting_ends_at_the_timeout_and_when_woken(transport):
    assert None is transport.receive(timeout=0.01)
    assert None is transport.receive(wake=lambda: True)
