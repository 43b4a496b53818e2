"""Messages between a rank and the process of its trials, and how that is started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from experimenter_mpi.cluster.inherited import without_launcher
from experimenter_mpi.coordination.messages import AddPiece, Piece
from experimenter_mpi.errors import ProtocolError
from experimenter_mpi.isolation import child_messages as m
from experimenter_mpi.isolation import exit_status as endings
from experimenter_mpi.isolation.pipe import LENGTH_BYTES, MARK, Wire
from experimenter_mpi.mpi.launch import launched


@pytest.fixture
def ends():
    """Two wires that are each other's other end."""
    (one_reads, other_writes), (other_reads, one_writes) = os.pipe(), os.pipe()
    pair = Wire(one_reads, one_writes), Wire(other_reads, other_writes)
    yield pair
    for wire in pair:
        wire.close()


@pytest.mark.parametrize(
    "message",
    [
        m.ChildReady(),
        m.RunTrial(3),
        m.RunState(stopping=True, seconds_left=1.5),
        AddPiece("a.h5", 0, b"bytes", is_last=True),
    ],
)
def test_a_message_arrives_as_it_was_sent(ends, message):
    one, other = ends
    one.send(message)
    received = other.receive()

    assert (type(message), message) == (type(received), received)


def test_messages_arrive_one_by_one_in_order(ends):
    one, other = ends
    for index in range(3):
        one.send(m.RunTrial(index))

    assert [m.RunTrial(0), m.RunTrial(1), m.RunTrial(2)] == [
        other.receive() for _ in range(3)
    ]


def test_a_message_larger_than_the_pipe_arrives_whole(ends):
    one, other = ends
    large = bytes(range(256)) * 40_000
    thread = threading.Thread(target=one.send, args=[Piece(large)])
    thread.start()
    received = other.receive()
    thread.join()

    assert Piece(large) == received


def test_the_end_of_the_pipe_is_the_end_of_the_conversation(ends):
    one, other = ends
    one.close()

    with pytest.raises(EOFError):
        other.receive()
    with pytest.raises(EOFError):
        other.send(m.ChildReady())


def test_a_sender_that_dies_in_the_middle_of_a_message_is_noticed():
    source, sink = os.pipe()
    os.write(sink, MARK + (100).to_bytes(LENGTH_BYTES, "big") + b"half")
    os.close(sink)
    wire = Wire(source, -1)

    with pytest.raises(EOFError):
        wire.receive()
    wire.close()


@pytest.mark.parametrize(
    "garbage",
    [
        b"step 1: 0.5\nstep 2",
        MARK + (5).to_bytes(LENGTH_BYTES, "big") + b"hello",
        MARK + (0).to_bytes(LENGTH_BYTES, "big"),
    ],
)
def test_what_is_no_message_is_neither_waited_for_nor_taken_for_the_end(garbage):
    source, sink = os.pipe()
    os.write(sink, garbage)
    wire = Wire(source, sink)

    with pytest.raises(ProtocolError, match="not a message"):
        wire.receive()
    wire.close()


# --- what a child is given


LAUNCHED = {
    "mpich": {"PMI_RANK": "1", "PMI_SIZE": "4", "PMI_FD": "9", "MPI_LOCALRANKID": "1"},
    "openmpi": {
        "OMPI_COMM_WORLD_SIZE": "4",
        "OMPI_COMM_WORLD_LOCAL_RANK": "1",
        "PMIX_RANK": "1",
        "PMIX_SERVER_URI41": "prterun",
    },
    "srun": {
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NUM_TASKS": "4",
        "SLURM_PROCID": "1",
        "SLURM_LOCALID": "1",
    },
    "flux": {"FLUX_JOB_SIZE": "4", "FLUX_TASK_RANK": "1", "FLUX_TASK_LOCAL_ID": "1"},
}


@pytest.mark.parametrize("launcher", LAUNCHED)
def test_a_child_does_not_take_itself_for_a_rank(launcher):
    given = LAUNCHED[launcher]
    kept = without_launcher(given)

    assert launched(given)
    assert not launched(kept)


def test_what_users_need_of_the_environment_stays():
    needed = {
        "PATH": "/bin",
        "SLURM_JOB_ID": "17",
        "SLURM_CPUS_PER_TASK": "4",
        "SLURM_LOCALID": "2",
        "OMPI_MCA_btl": "self",
        "PMI": "",
        "CUDA_VISIBLE_DEVICES": "1",
        "EXPERIMENTER_LOCAL_RANK": "1",
    }
    kept = without_launcher(needed)

    assert needed == {"PMI": "", **kept}


@pytest.mark.parametrize(
    "flags", [[], ["-O"], ["-B", "-OO", "-s", "-Wignore"], ["-I", "-Xutf8"]]
)
def test_a_child_gets_the_flags_of_the_interpreter(flags):
    code = (
        "import os, sys\n"
        "from experimenter_mpi.cluster.restart import interpreter\n"
        "if len(sys.argv) > 1: print(sys.flags, sys.warnoptions); sys.exit()\n"
        "command = interpreter()\n"
        "print(sys.flags, sys.warnoptions, flush=True)\n"
        "os.execv(command[0], [*command, '-c', 'import sys; "
        "print(sys.flags, sys.warnoptions)'])\n"
    )
    done = subprocess.run(
        [sys.executable, *flags, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    parent, child = done.stdout.splitlines()

    assert parent == child


# --- how it ended


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (3 << 8, "ended with exit code 3: os._exit or a C library's exit"),
        (0, "ended with exit code 0"),
        (signal.SIGSEGV, "was killed by SIGSEGV"),
        (signal.SIGSEGV | 0x80, "was killed by SIGSEGV"),
        (signal.SIGKILL, "was killed by SIGKILL: perhaps out of memory"),
        (signal.SIGABRT, "was killed by SIGABRT: abort()"),
        (signal.SIGRTMIN + 3, f"was killed by signal {signal.SIGRTMIN + 3}"),
    ],
)
def test_an_ending_says_what_probably_happened(status, text):
    assert text in endings.describe(status)
