"""The one door to MPI: private communicators, frames, payloads, polite waiting.

Small messages travel in frames, which are received into a ring of buffers posted in
advance; a larger one is announced in a frame and follows on a second communicator
with exact source and tag. Neither ``Probe`` nor matched probes are used: they fail on
several fabrics (Slurm 23.02 on Cray, OFA, Slingshot above 1,500 ranks).
"""

from __future__ import annotations

import atexit
import os
import pickle
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import ExperimenterError, LaunchError, ProtocolError, printable
from .messages import TAGS, TYPES, Announce, Message, Tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

FRAME_BYTES = 8192
RING_AT_COORDINATOR = 128
RING_AT_WORKER = 8
# How long what explains an abort is given to pass through the launcher's pipes.
ABORT_SECONDS = 0.5
# How long a rank that leaves waits for what nobody may be there to receive.
CLOSE_SECONDS = 5.0
# MPI counts in C ints on many sites: no single message comes near 2 GiB.
CHUNK_BYTES = 256 * 1024 * 1024


class Backoff:
    """Wait ever longer between looks: at once at first, then at most a millisecond.

    An idle rank must not take a core, and a busy one must answer at once.
    """

    SPINS = 50
    LONGEST = 0.001

    def __init__(self) -> None:
        self._looks = 0

    def wait(self) -> None:
        self._looks += 1
        if self._looks <= self.SPINS:
            os.sched_yield()  # ranks may share a core
        else:
            time.sleep(min(self.LONGEST, 1e-5 * (self._looks - self.SPINS)))


class Transport:
    """Messages between rank 0 and the workers of one communicator.

    ``has_launcher`` says that what this rank prints passes through ``mpirun``.
    """

    def __init__(
        self, mpi: Any, communicator: Any, *, has_launcher: bool = True
    ) -> None:
        self.has_launcher = has_launcher
        self._mpi = mpi
        self.world = communicator
        self._frames = communicator.Dup()
        self._payloads = communicator.Dup()
        self.rank: int = communicator.rank
        self.size: int = communicator.size
        self.hostname = os.uname().nodename
        self._ring = self._post_ring()
        self._next = 0
        self._sending: list[tuple[Any, bytes | memoryview]] = []

    def _post_ring(self) -> list[tuple[Any, bytearray]]:
        source = self._mpi.ANY_SOURCE if self.rank == 0 else 0
        count = RING_AT_COORDINATOR if self.rank == 0 else RING_AT_WORKER
        ring = []
        for _ in range(count):
            frame = bytearray(FRAME_BYTES)
            request = self._frames.Recv_init(frame, source, self._mpi.ANY_TAG)
            request.Start()
            ring.append((request, frame))
        return ring

    @property
    def serves_threads(self) -> bool:
        """Whether several threads of a rank may use MPI at once."""
        return bool(self._mpi.Query_thread() >= self._mpi.THREAD_MULTIPLE)

    @contextmanager
    def lanes(self, ranks: Sequence[int], count: int) -> Iterator[list[Any]]:
        """Give communicators of rank 0 and these ``ranks``, all of which come here."""
        world = self.world.Get_group()
        chosen = world.Incl([0, *ranks])
        made = [self.world.Create_group(chosen)]
        made += [made[0].Dup() for _ in range(count - 1)]
        world.Free()
        chosen.Free()
        yield made
        for communicator in made:
            communicator.Free()

    @property
    def library(self) -> str:
        """The MPI library in use, one line."""
        return _library(self._mpi)

    def poll(self) -> tuple[int, Message] | None:
        """Give the next message and the rank it came from, None if none has come.

        Messages of one rank come in the order it sent them.
        """
        # Receives complete in the order posted: only the oldest need be looked at.
        request, frame = self._ring[self._next]
        status = self._mpi.Status()
        if not request.Test(status):
            return None
        content = bytes(memoryview(frame)[: status.Get_count(self._mpi.BYTE)])
        source, tag = status.source, status.tag
        request.Start()
        self._next = (self._next + 1) % len(self._ring)
        message = _unpack(tag, content)
        if isinstance(message, Announce):
            message = _unpack(message.tag, self._receive_payload(source, message))
        return source, message

    def receive(
        self, timeout: float | None = None, wake: Callable[[], bool] = lambda: False
    ) -> tuple[int, Message] | None:
        """Wait politely for a message; None after ``timeout`` seconds or ``wake()``."""
        deadline = None if timeout is None else time.monotonic() + timeout
        backoff = Backoff()
        while (arrival := self.poll()) is None:
            if wake() or (deadline is not None and time.monotonic() >= deadline):
                return None
            backoff.wait()
        return arrival

    def send(self, rank: int, message: Message) -> None:
        """Send without waiting for the receiver; a worker waits if it is large.

        Rank 0 never waits: the worker may itself be sending something large, and both
        would wait for ever. A worker has one large message under way at a time.
        """
        tag, content = _pack(message)
        self._sending = [sent for sent in self._sending if not sent[0].Test()]
        if len(content) <= FRAME_BYTES:
            self._keep(self._frames.Isend(content, rank, tag), content)
            return
        _, announcement = _pack(Announce(tag, len(content)))
        self._keep(self._frames.Isend(announcement, rank, Tag.ANNOUNCE), announcement)
        for chunk in _chunks(content):
            self._keep(self._payloads.Isend(chunk, rank, tag), chunk)
        if self.rank != 0:
            self.flush()

    def _keep(self, request: Any, content: bytes | memoryview) -> None:
        """Keep what is being sent alive until it has left."""
        self._sending.append((request, content))

    def send_all(self, message: Message) -> None:
        """Send a message to every worker."""
        for rank in range(1, self.size):
            self.send(rank, message)

    def _receive_payload(self, source: int, announce: Announce) -> bytearray:
        content = bytearray(announce.size)
        for chunk in _chunks(content):
            self._wait(self._payloads.Irecv(chunk, source, announce.tag))
        return content

    def _wait(self, request: Any) -> None:
        backoff = Backoff()
        while not request.Test():
            backoff.wait()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was sent is on its way; False if ``timeout`` passed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        backoff = Backoff()
        while self._sending:
            self._sending = [sent for sent in self._sending if not sent[0].Test()]
            if deadline is not None and time.monotonic() >= deadline:
                return False
            if self._sending:
                backoff.wait()
        return True

    def close(self) -> None:
        """Let go what is sent, and take back the posted receives, for MPI_Finalize."""
        self.flush(CLOSE_SECONDS)
        for request, _ in self._ring:
            request.Cancel()
            request.Wait()
            request.Free()
        self._ring = []

    def free(self) -> None:
        """Give the communicators back; all ranks do so together."""
        for communicator in (self._frames, self._payloads, self.world):
            communicator.Free()

    def abort(self, code: int) -> NoReturn:
        """End every rank at once: the last resort against a silent hang."""
        if self.has_launcher:
            _let_words_out()
        self.world.Abort(code)
        os._exit(code)  # MPICH's may return, and let the rest happen meanwhile


def _let_words_out() -> None:
    """Let what was printed reach the launcher, which on Abort drops what has not."""
    sys.stdout.flush()
    sys.stderr.flush()
    time.sleep(ABORT_SECONDS)


def _pack(message: Message) -> tuple[Tag, bytes]:
    # As a plain tuple: the tag says the type, and naming it would cost as much again.
    return TAGS[type(message)], pickle.dumps(tuple(message), pickle.HIGHEST_PROTOCOL)


def _unpack(tag: int, content: bytes | bytearray) -> Message:
    try:
        kind = TYPES[Tag(tag)]
    except (ValueError, KeyError):
        msg = f"a message with the unknown tag {tag} arrived"
        raise ProtocolError(msg) from None
    # Both ends are this job's own processes: nothing here was read from a file.
    message: Message = kind(*pickle.loads(content))  # noqa: S301
    return message


def _chunks(content: bytes | bytearray) -> list[memoryview]:
    view = memoryview(content)
    return [view[i : i + CHUNK_BYTES] for i in range(0, len(view), CHUNK_BYTES)]


_connected: list[Transport] = []


def world() -> Any:
    """Give ``COMM_WORLD``, starting MPI if the script has not.

    Raises:
        LaunchError: no MPI library can be loaded.
    """
    communicator = load().COMM_WORLD
    if communicator.size > 1:
        _abort_on_uncaught(communicator)
    return communicator


def connect() -> Transport | None:
    """Give the process's transport over ``COMM_WORLD``, None if it is alone there.

    Collective the first time: every rank must come here.

    Raises:
        LaunchError: no MPI library can be loaded.
    """
    if _connected:
        return _connected[0]
    communicator = world()
    if communicator.size == 1:
        return None
    transport = Transport(load(), communicator)
    atexit.register(transport.close)
    _connected.append(transport)
    return transport


def adopt(transport: Transport) -> None:
    """Make this the process's transport: a spawned worker's world is not its own."""
    _abort_on_uncaught(transport.world)
    _connected.append(transport)


def adopted() -> Transport | None:
    """Give the process's transport, None before it has one."""
    return _connected[0] if _connected else None


def library() -> str:
    """Give the name and version of the MPI library, one line."""
    return _library(load())


def _library(mpi: Any) -> str:
    return str(mpi.Get_library_version()).split("\n", 1)[0].strip(" \x00")


def load() -> Any:
    """Give the module ``mpi4py.MPI``, which starts MPI unless told otherwise.

    Raises:
        LaunchError: no MPI library can be loaded.
    """
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        reason = str(error).split("\n", 1)[0]
        msg = (
            f"no MPI library can be loaded ({reason}); load your site's MPI module, or "
            'pip install "experimenter_mpi[mpich]"'
        )
        raise LaunchError(msg) from error
    return MPI


def _abort_on_uncaught(communicator: Any) -> None:
    """Let an uncaught exception on any rank end them all.

    Otherwise the others would wait for this one for ever. A worker that was told of
    an error by rank 0 leaves quietly: rank 0 says it.
    """
    previous = sys.excepthook
    if getattr(previous, "aborts_mpi", False):
        return

    def on_uncaught(kind: Any, error: Any, frames: Any) -> None:
        users_mistake = issubclass(kind, ExperimenterError)
        users_mistake = users_mistake and not issubclass(kind, ProtocolError)
        if getattr(error, "said_by_rank_0", False):
            return
        if users_mistake:
            print(f"experimenter_mpi: {printable(str(error))}", file=sys.stderr)
        else:
            _print_place(communicator)
            previous(kind, error, frames)
        _let_words_out()
        communicator.Abort(3 if users_mistake else 1)

    on_uncaught.aborts_mpi = True  # type: ignore[attr-defined]
    sys.excepthook = on_uncaught


def _print_place(communicator: Any) -> None:
    where = f"rank {communicator.rank} of {communicator.size} on {os.uname().nodename}"
    print(f"experimenter_mpi: uncaught on {where}:", file=sys.stderr)
