"""Messages on their way: how they are packed, kept until they have left, and received.

Where ranks may die, what goes to one is forgotten and what came of it is given as long
as its death was not told.
"""

from __future__ import annotations

import os
import pickle
import struct
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from ..coordination.messages import (
    TAGS,
    TYPES,
    Announce,
    Finished,
    Message,
)
from ..errors import ProtocolError
from ..trial.outcome import gathered, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping

# What a posted receive has room for.
FRAME_BYTES = 8192
# MPI counts in C ints on many sites: no single message comes near 2 GiB.
CHUNK_BYTES = 256 * 1024 * 1024
# How often to look whether a rank lives that is waited for.
LOOK_SECONDS = 0.1

# What `mpirun --with-ft ulfm` sets for every rank.
_SWITCH = "OMPI_MCA_mpi_ft_enable"


def enabled(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this job goes on when one of its ranks dies; see ``survival``."""
    return environment.get(_SWITCH, "").lower() in ("1", "true", "yes")


class Survival:
    """The ranks that are known to be dead: none, where a death ends the job."""

    enabled = False

    def __init__(self) -> None:
        self.dead: set[int] = set()
        self.untold: list[int] = []

    def notice(self, error: Any) -> None:
        """Take note of the dead ranks in an error of MPI; raise any other."""
        raise error

    def look(self) -> None:
        """Take note of who has died since; asks only this rank's own MPI."""

    def is_pending(self, _error: Any) -> bool:
        """Whether the receive that gave this error is still waiting for a message."""
        return False

    def tell(self) -> list[int]:
        """Return the dead ranks that were not given before."""
        news, self.untold = self.untold, []
        return news

    def is_told(self, rank: int) -> bool:
        """Whether a rank was given as dead: nothing that it sent counts any longer."""
        return rank in self.dead and rank not in self.untold


def deaths_of(mpi: Any, communicator: Any) -> Survival:
    """Return what is known of the deaths of a communicator's ranks."""
    if not enabled():
        return Survival()
    from .survival import UlfmSurvival

    return UlfmSurvival(mpi, communicator)


class Backoff:
    """Wait ever longer between looks: at once at first, then at most a millisecond.

    Where so many ranks as ``crowding`` says share a core, that much longer: what some
    spend on looking, the others lack for trials.
    """

    SPINS = 200
    STEP = 1e-5
    LONGEST = 0.001

    def __init__(self, crowding: float = 1.0) -> None:
        self._looks = 0
        self._crowding = crowding
        self._spins = self.SPINS / crowding

    def begin(self) -> None:
        """Look again at once."""
        self._looks = 0

    def wait(self) -> None:
        self._looks += 1
        if self._looks <= self._spins:
            os.sched_yield()  # ranks may share a core
        else:
            longer = min(self.LONGEST, self.STEP * (self._looks - self._spins))
            time.sleep(self._crowding * longer)


def pack(message: Message) -> tuple[int, bytes, int]:
    """Return the message's tag, its content, and the number of buffers at its end."""
    # As a plain tuple: the tag says the type, and naming it would cost as much again.
    plain: Any = message[:]
    if isinstance(message, Finished):
        plain = spread(message.outcomes)
    buffers: list[Any] = []
    content = pickle.dumps(plain, 5, buffer_callback=buffers.append)
    if buffers:
        sizes = [memoryview(buffer).nbytes for buffer in buffers]
        content = b"".join((content, *buffers, struct.pack(f"{len(sizes)}Q", *sizes)))
    return TAGS[type(message)], content, len(buffers)


def unpack(
    tag: int, content: bytes | bytearray | memoryview, buffers: int = 0
) -> Message:
    """Return the message; its buffers are parts of ``content`` itself.

    Raises:
        ProtocolError: there is no such tag.
    """
    if not 0 <= tag < len(TYPES):
        msg = f"a message with the unknown tag {tag} arrived"
        raise ProtocolError(msg)
    kind = TYPES[tag]
    # Both ends are this job's own processes: nothing here was read from a file.
    apart = _buffers(memoryview(content).toreadonly(), buffers) if buffers else ()
    plain = pickle.loads(content, buffers=apart)  # noqa: S301
    if kind is Finished:
        return Finished(gathered(plain))
    message: Message = kind(*plain)
    return message


def _buffers(content: memoryview, count: int) -> Iterator[memoryview]:
    end = len(content) - struct.calcsize(f"{count}Q")
    sizes = content[end:].cast("Q").tolist()
    begin = end - sum(sizes)
    for size in sizes:
        yield content[begin : begin + size]
        begin += size


def chunks(content: bytes | bytearray) -> list[memoryview]:
    """Return views of what is sent in several messages of MPI."""
    view = memoryview(content)
    return [view[i : i + CHUNK_BYTES] for i in range(0, len(view), CHUNK_BYTES)]


class Sent(NamedTuple):
    """A message on its way to a rank."""

    request: Any
    content: bytes | memoryview
    rank: int


class Outbox:
    """Keeps what is being sent alive until it has left.

    What goes to a rank of ``dead`` has left as well. ``notice`` is called with an error
    of MPI, and raises it unless it is news of a death.
    """

    def __init__(
        self, mpi: Any, dead: Container[int], notice: Callable[[Any], None]
    ) -> None:
        self._mpi = mpi
        self._dead = dead
        self._notice = notice
        self._sending: list[Sent] = []
        self._abandoned: list[Sent] = []

    def send(
        self, communicator: Any, content: bytes | memoryview, rank: int, tag: int
    ) -> None:
        """Start to send; whether the rank lives to receive it is not said."""
        try:
            request = communicator.Isend(content, rank, tag)
        except self._mpi.Exception as error:
            self._notice(error)
        else:
            self._sending.append(Sent(request, content, rank))

    def forget(self) -> None:
        """Forget what has left."""
        self._sending = [sent for sent in self._sending if not self._has_left(sent)]

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was sent is on its way; False if ``timeout`` passed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        backoff = Backoff()
        while self._sending:
            self.forget()
            if deadline is not None and time.monotonic() >= deadline:
                return False
            if self._sending:
                backoff.wait()
        return True

    def _has_left(self, sent: Sent) -> bool:
        try:
            left: bool = sent.request.Test()
        except self._mpi.Exception as error:
            self._notice(error)
            return True
        if not left and sent.rank in self._dead:
            self._abandoned.append(sent)  # MPI may look at its content forever
            return True
        return left


class Inbox:
    """Receives from ``source``, which may be any, into ``count`` frames.

    ``notice`` is called with an error of MPI, and raises it unless it is news of a
    death. What a dead rank has sent is given as long as its death was not told.
    """

    def __init__(
        self,
        mpi: Any,
        communicators: tuple[Any, Any],
        source: int,
        count: int,
        survival: Survival,
        notice: Callable[[Any], None],
    ) -> None:
        self._mpi = mpi
        self._frames, self._payloads = communicators
        self._survival = survival
        self._notice = notice
        self._status = mpi.Status()
        self._ring = [self._post(source) for _ in range(count)]
        self._next = 0
        self._abandoned: list[tuple[Any, bytearray]] = []

    def _post(self, source: int) -> tuple[Any, bytearray]:
        frame = bytearray(FRAME_BYTES)
        request = self._frames.Recv_init(frame, source, self._mpi.ANY_TAG)
        request.Start()
        return request, frame

    def poll(self) -> tuple[int, Message] | None:
        """Return the next message and its sender, None if none has come."""
        while (arrival := self._next_frame()) is not None:
            source, message = arrival
            if isinstance(message, Announce):
                payload = self._payload(source, message)
                if payload is None:
                    continue
                message = unpack(message.tag, payload, message.buffers)
            # After the news of its sender's death it was given back already.
            if not self._survival.is_told(source):
                return source, message
        return None

    def _next_frame(self) -> tuple[int, Message] | None:
        # Receives complete in the order posted: only the oldest need be looked at.
        request, frame = self._ring[self._next]
        status = self._status
        try:
            if not request.Test(status):
                return None
        except self._mpi.Exception as error:
            self._notice(error)
            if not self._survival.is_pending(error):
                self._receive_again(request)
            return None
        source = status.source
        count = status.Get_count(self._mpi.BYTE)
        # What it holds is copied out of the frame before that is used again.
        message = unpack(status.tag, memoryview(frame)[:count])
        self._receive_again(request)
        return source, message

    def _receive_again(self, request: Any) -> None:
        request.Start()
        self._next = (self._next + 1) % len(self._ring)

    def _payload(self, source: int, announce: Announce) -> bytearray | None:
        """Return what was announced, None if its sender has died on the way."""
        content = bytearray(announce.size)
        try:
            for chunk in chunks(content):
                request = self._payloads.Irecv(chunk, source, announce.tag)
                if not self._has_come(request, source):
                    self._abandoned.append((request, content))  # MPI may write there
                    return None
        except self._mpi.Exception as error:
            self._notice(error)
            return None
        return content

    def _has_come(self, request: Any, source: int) -> bool:
        """Wait for a payload; False if its sender has died.

        MPI itself says so only where nothing of it was on its way.
        """
        backoff = Backoff()
        look_at = time.monotonic() + LOOK_SECONDS
        while not request.Test():
            backoff.wait()
            if time.monotonic() >= look_at:
                self._survival.look()
                if source in self._survival.dead:
                    return bool(request.Test())
                look_at = time.monotonic() + LOOK_SECONDS
        return True

    def close(self) -> None:
        """Take back the posted receives."""
        for request, _ in self._ring:
            with suppress(self._mpi.Exception):  # of ranks that died
                request.Cancel()
                request.Wait()
            request.Free()
        self._ring = []
