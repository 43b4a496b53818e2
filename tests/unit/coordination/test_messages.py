"""The messages: one tag each, and each arrives as it was sent."""

from __future__ import annotations

import inspect
import pickle
import typing

import pytest

from experimenter_mpi.coordination import messages as m
from experimenter_mpi.coordination.messages import TAGS, TYPES
from experimenter_mpi.coordination.worker import OUTCOME_BYTES
from experimenter_mpi.encoding.rules import ArrayRecord
from experimenter_mpi.errors import ProtocolError
from experimenter_mpi.mpi.mail import pack, unpack
from experimenter_mpi.mpi.transport import FRAME_BYTES
from experimenter_mpi.trial.arrays import Apart
from experimenter_mpi.trial.outcome import Failure, Outcome, Status, StoredSnapshot
from support.fakes import HERE, encoded, outcome

ARRAY = ArrayRecord("a1", '"<f8"', (2, 3), "C", bytes(48), "spins")
STATE = encoded('{"spins":1}', arrays=(ARRAY,), pickled=(("model", "exp.Model"),))
FAILURE = Failure("ValueError", "bad", "Traceback\n  ünïcode \ud800")

MESSAGES = [
    m.Announce(TAGS[m.Finished], 2**40),
    m.Begin(b"\x00pickled\xff"),
    m.Dismiss(),
    m.Dismiss(("an id", "heat", 3)),
    m.Leave(75),
    m.Dismiss(error=("StoreError", "no data")),
    m.Assign(((0, 1), (5, 2**60))),
    m.StopWork("SIGTERM"),
    m.Release(),
    m.Ready(HERE),
    m.Unable(HERE, "ScriptError", "no such function"),
    m.Finished(()),
    m.Finished((outcome(3), outcome(4, Status.PENDING))),
    m.Finished((Outcome(5, Status.FAILED, None, FAILURE, 1.5, 2.5, 1.0),)),
    m.WorkStopped(),
    m.Form((1, 3, 7)),
    m.Begun(2**60),
    m.SaveSnapshot("an id", STATE, "half way"),
    m.SaveSnapshot("an id", STATE, None),
    m.FetchSnapshot("an id"),
    m.FetchResults("an id"),
    m.CompleteTrial("an id", STATE),
    m.AddPiece("ab/c.h5", 2**40, b"\x89HDF", is_last=True),
    m.FetchPiece("ab/c.h5", 2**40, 2**24),
    m.Piece(b"\x89HDF"),
    m.Done(),
    m.SnapshotFound(None),
    m.SnapshotFound(StoredSnapshot("id", "an id", STATE, None, "2026-01-01")),
    m.ResultsFound(None),
    m.ResultsFound(STATE),
    m.Refused("NotFoundError", "no such trial"),
]
NAMES = [type(message).__name__ for message in MESSAGES]


def message_types():
    return set(typing.get_args(m.Message))


@pytest.mark.parametrize("message", MESSAGES, ids=NAMES)
def test_a_message_arrives_as_it_was_sent(message):
    arrived = unpack(*pack(message))

    assert type(message) is type(arrived)
    assert message == arrived


@pytest.mark.parametrize("message", MESSAGES, ids=NAMES)
def test_a_message_out_of_a_buffer_arrives_too(message):
    """Large ones are received into a bytearray."""
    tag, content, buffers = pack(message)

    assert message == unpack(tag, bytearray(content), buffers)


def test_outcomes_arrive_as_what_they_were():
    """Named tuples equal plain ones, which is all that travels."""
    sent = m.Finished((outcome(3), outcome(4)._replace(results=STATE)))
    arrived = unpack(*pack(sent))

    for was, is_now in zip(sent.outcomes, arrived.outcomes, strict=True):
        assert type(was) is type(is_now)
        assert type(was.results) is type(is_now.results)


def test_arrays_that_travel_apart_are_not_copied_out_of_what_arrived():
    sizes = (10_000, FRAME_BYTES, 70_000)
    arrays = [ARRAY._replace(id=str(i), data=Apart(bytes(i))) for i in sizes]
    arrays.append(ARRAY._replace(data=b"12345678"))
    results = [encoded("{}", arrays=(array,)) for array in arrays]
    sent = m.Finished(
        tuple(outcome(i)._replace(results=each) for i, each in enumerate(results))
    )
    tag, content, buffers = pack(sent)
    payload = bytearray(content)
    arrived = unpack(tag, payload, buffers)

    assert 3 == buffers
    assert sent == arrived
    *apart, inside = [each.results.arrays[0].data for each in arrived.outcomes]
    assert bytes is type(inside)
    assert all(data.obj is payload and data.readonly for data in apart)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_bytes_that_travel_apart_are_bytes_in_a_pickle_of_any_protocol(protocol):
    """Pools of processes have pickles of their own."""
    arrived = pickle.loads(pickle.dumps(Apart(b"letters"), protocol))

    assert bytes is type(arrived)
    assert b"letters" == arrived


def test_every_type_of_message_is_among_those_tried_here():
    assert message_types() == {type(message) for message in MESSAGES}


def test_every_type_has_one_tag_and_every_tag_one_type():
    classes = {
        kind for kind in vars(m).values() if inspect.isclass(kind) and is_declared(kind)
    }

    assert classes == set(TYPES) == set(TAGS)
    assert list(range(len(TYPES))) == [TAGS[kind] for kind in TYPES]


def is_declared(kind):
    return kind.__module__ == m.__name__


def test_tags_are_far_below_what_any_mpi_allows():
    """The standard promises tags up to 32767 and no more."""
    assert len(TYPES) < 32767


def test_an_unknown_tag_is_a_protocol_error():
    with pytest.raises(ProtocolError, match="unknown tag 4711"):
        unpack(4711, b"")
    with pytest.raises(ProtocolError, match="unknown tag -1"):
        unpack(-1, b"")


@pytest.mark.parametrize("kind", sorted(message_types(), key=lambda k: k.__name__))
def test_each_type_says_who_sends_it_to_whom(kind):
    directions = ("Coordinator to worker: ", "Worker to coordinator: ", "Either way: ")

    assert inspect.getdoc(kind).startswith(directions)


@pytest.mark.parametrize("one", MESSAGES, ids=NAMES)
def test_a_message_is_equal_to_none_of_another_kind(one):
    """Some have the same fields, or none at all."""
    equal = [other for other in MESSAGES if one == other]

    assert [one] == equal


def test_messages_are_unequal_where_they_are_not_equal():
    pairs = [(one, other) for one in MESSAGES for other in MESSAGES]

    assert [one is not other for one, other in pairs] == [
        one != other for one, other in pairs
    ]


def test_messages_that_are_equal_have_the_same_hash():
    assert len(MESSAGES) == len(set(MESSAGES) | {m.Release(), m.Ready(HERE)})


def test_what_is_sent_for_each_trial_is_small():
    """A trial's share of the traffic, beside its results."""
    many = m.Finished(tuple(outcome(i) for i in range(1000, 1100)))

    documents = sum(len(each.results.document) for each in many.outcomes)
    assert 100 * OUTCOME_BYTES + documents > len(pack(many)[1])
    assert FRAME_BYTES > 10 * len(pack(m.Assign(((0, 1_000_000),)))[1])
