"""The one door to MPI: private communicators, frames, payloads, polite waiting.

Small messages travel in frames, which are received into a ring of buffers posted in
advance; a larger one is announced in a frame and follows on a second communicator
with exact source and tag. Neither ``Probe`` nor matched probes are used: they fail on
several fabrics (Slurm 23.02 on Cray, OFA, Slingshot above 1,500 ranks).
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NoReturn

from ..coordination.messages import Announce, Leave, Message
from ..errors import LaunchError, SaidByRank0
from ..trial import signals
from ..trial.outcome import Place
from .mail import FRAME_BYTES, Backoff, Inbox, Outbox, chunks, deaths_of, enabled, pack

if TYPE_CHECKING:
    from collections.abc import Callable

# What every MPI sends at once or not at all: a rank that dies in the middle of a frame
# would leave the receive that it is for waiting forever.
SURE_BYTES = 1024
RING_AT_COORDINATOR = 128
RING_AT_WORKER = 8
# How long a rank that leaves waits for what nobody may be there to receive.
CLOSE_SECONDS = 5.0


class Transport:
    """Messages between rank 0 and the workers of one communicator.

    Where MPI survives the death of a worker, rank 0 learns of it from ``deaths``, and
    what is sent to a dead rank is dropped. A worker does not survive rank 0.

    At rank 0 it is the ``Port`` of MPIMode, whose workers are ranks.

    ``neighbours`` are the ranks of this one's node, itself among them.
    ``has_launcher`` says that what this rank prints passes through ``mpirun``, and
    ``crowding`` how many ranks share a core; whatever it is, rank 0 answers at once.
    """

    def __init__(
        self,
        mpi: Any,
        communicator: Any,
        *,
        has_launcher: bool = True,
        crowding: float = 1.0,
    ) -> None:
        self.has_launcher = has_launcher
        self._mpi = mpi
        self.world, private = _private(mpi, communicator)
        self._frames, self._payloads, self.neighbours = private
        self._survival = deaths_of(mpi, self._frames)
        self.rank: int = self.world.rank
        self._backoff = Backoff(1.0 if self.rank == 0 else crowding)
        self.size: int = self.world.size
        self.frame_bytes = FRAME_BYTES
        self.hostname = os.uname().nodename
        self.place = Place(self.rank, self.hostname)
        source = mpi.ANY_SOURCE if self.rank == 0 else 0
        count = RING_AT_COORDINATOR if self.rank == 0 else RING_AT_WORKER
        both = (self._frames, self._payloads)
        self._inbox = Inbox(mpi, both, source, count, self._survival, self._notice)
        self._outbox = Outbox(mpi, self._survival.dead, self._notice)
        self._frame_limit = SURE_BYTES if self._survival.enabled else FRAME_BYTES
        # Rank 0's last word to a worker of a script, once it has come.
        self.leave: Leave | None = None
        self.is_needed = False  # as it is while trials run
        self._is_closed = False

    @property
    def serves_threads(self) -> bool:
        """Whether several threads of a rank may use MPI at once."""
        return bool(self._mpi.Query_thread() >= self._mpi.THREAD_MULTIPLE)

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent: MPI has not ended, and this is not a fork."""
        return not (self._is_closed or self._mpi.Is_finalized())

    @property
    def library(self) -> str:
        """The MPI library in use, one line."""
        from .launch import version_of

        return version_of(self._mpi)

    @property
    def survives_deaths(self) -> bool:
        """Whether the job goes on when a worker dies."""
        return self._survival.enabled

    def exception_of(self, _index: int) -> None:
        """Return None: no trial runs in this process."""

    @property
    def workers(self) -> list[int]:
        """The worker ranks that live, as far as is known."""
        return [r for r in range(1, self.size) if r not in self._survival.dead]

    def deaths(self) -> list[int]:
        """Return the ranks that died since this was asked; no more comes from them.

        Ask when ``poll`` or ``receive`` gave None: what they had sent was given then.
        """
        self._survival.look()
        return self._survival.tell()

    def poll(self) -> tuple[int, Message] | None:
        """Return the next message and the rank it came from, None if none has come.

        Messages of one rank come in the order it sent them.
        """
        arrival = self._inbox.poll()
        if arrival is not None:
            self._backoff.begin()
        return arrival

    def _notice(self, error: Any) -> None:
        """Take note of deaths; end if rank 0 has died, as nothing can continue then."""
        self._survival.notice(error)
        if self.rank != 0 and 0 in self._survival.dead:
            from .ending import leave_without_rank_0

            leave_without_rank_0(self)

    def receive(
        self, timeout: float | None = None, wake: Callable[[], bool] = lambda: False
    ) -> tuple[int, Message] | None:
        """Wait politely for a message.

        Returns None after ``timeout`` seconds, on ``wake()``, and when a rank has died.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while (arrival := self.poll()) is None:
            is_late = deadline is not None and time.monotonic() >= deadline
            if is_late or wake() or self._survival.untold:
                return None
            self._backoff.wait()  # goes on where the last one gave nothing
        return arrival

    def send(self, rank: int, message: Message) -> None:
        """Send without waiting for the receiver; a worker waits if it is large.

        Rank 0 never waits: the worker may itself be sending something large, and both
        would wait forever. A worker has one large message under way at a time.
        """
        if rank in self._survival.dead:
            return
        tag, content, buffers = pack(message)
        self._outbox.forget()
        if len(content) <= self._frame_limit and not buffers:
            self._outbox.send(self._frames, content, rank, tag)
            return
        announced, announcement, _ = pack(Announce(tag, len(content), buffers))
        self._outbox.send(self._frames, announcement, rank, announced)
        for chunk in chunks(content):
            self._outbox.send(self._payloads, chunk, rank, tag)
        if self.rank != 0:
            self.flush()

    def send_all(self, message: Message) -> None:
        """Send a message to every worker."""
        for rank in self.workers:
            self.send(rank, message)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was sent is on its way; False if ``timeout`` passed."""
        return self._outbox.flush(timeout)

    def close(self) -> None:
        """Finish sends and cancel the posted receives, for MPI_Finalize."""
        if not self.is_open:
            return
        self._is_closed = True
        self.flush(CLOSE_SECONDS)
        if self.survives_deaths:
            from .survival import leave_without_the_dead

            leave_without_the_dead()
        self._inbox.close()

    def abandon(self) -> None:
        """Leave MPI to the process that this one was forked from."""
        self._is_closed = True

    def free(self) -> None:
        """Free the communicators; all ranks do so together."""
        for communicator in (self._frames, self._payloads, self.world):
            communicator.Free()

    def abort(self, code: int) -> NoReturn:
        """End every rank at once: the last resort against a silent hang."""
        try:
            if self.has_launcher:
                from .ending import let_words_out

                let_words_out()
        finally:
            self.world.Abort(code)
            os._exit(code)  # MPICH's may return, and let the rest happen meanwhile


def _private(mpi: Any, world: Any) -> tuple[Any, tuple[Any, Any, list[int]]]:
    """Return what is left of the world, two copies of it, and this node's ranks."""

    def derive(world: Any) -> tuple[Any, Any, list[int]]:
        return world.Dup(), world.Dup(), _of_this_node(mpi, world)

    if not enabled():
        return world, derive(world)
    from .survival import agreed

    return agreed(mpi, world, derive)


def _of_this_node(mpi: Any, world: Any) -> list[int]:
    """Return the ranks of this node in ascending order; collective."""
    node = world.Split_type(mpi.COMM_TYPE_SHARED)
    here, everywhere = node.Get_group(), world.Get_group()
    ranks: list[int] = sorted(here.Translate_ranks(None, everywhere))
    for each in (here, everywhere, node):
        each.Free()
    return ranks


_connected: list[Transport] = []


def world() -> Any:
    """Return ``COMM_WORLD``, starting MPI if the script has not.

    Raises:
        LaunchError: no MPI library can be loaded.
    """
    communicator = load().COMM_WORLD
    if communicator.size > 1:
        _abort_on_uncaught(communicator)
    return communicator


def connect(crowding: float = 1.0) -> Transport | None:
    """Return the process's transport over ``COMM_WORLD``, None if it is alone there.

    Collective the first time: every rank must come here.

    Raises:
        LaunchError: no MPI library can be loaded.
    """
    if _connected:
        return _connected[0]
    communicator = world()
    if communicator.size == 1:
        return None
    transport = Transport(load(), communicator, crowding=crowding)
    atexit.register(transport.close)
    _keep(transport)
    return transport


def adopt(transport: Transport) -> None:
    """Make this the process's transport: a spawned worker's world is not its own."""
    _abort_on_uncaught(transport.world)
    _keep(transport)


def _keep(transport: Transport) -> None:
    """Use this transport from now on, until MPI ends, and in this process alone."""
    _connected.append(transport)
    signals.look_at_forks()
    signals.on_fork.append(transport.abandon)

    def on_finalize(*_: object) -> None:
        if transport.is_open:
            from .ending import before_finalize

            before_finalize(transport)

    # MPI_Finalize begins by freeing this communicator, and what is kept with it.
    mpi = load()
    mpi.COMM_SELF.Set_attr(mpi.Comm.Create_keyval(delete_fn=on_finalize), None)


def adopted() -> Transport | None:
    """Return the process's transport, None before it has one."""
    return _connected[0] if _connected else None


def _starting() -> Any:
    if not enabled():
        return nullcontext()
    from .survival import impatience

    return impatience()


def load() -> Any:
    """Return the module ``mpi4py.MPI``, which starts MPI unless told otherwise.

    Raises:
        LaunchError: no MPI library can be loaded.
    """
    try:
        with _starting():
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
    """End all ranks on an uncaught exception of one, which they would wait for."""
    if not isinstance(sys.excepthook, _AbortingHook):
        sys.excepthook = _AbortingHook(communicator)


class _AbortingHook:
    def __init__(self, communicator: Any) -> None:
        self._communicator = communicator
        self._previous, self._life = sys.excepthook, signals.life

    def __call__(self, kind: Any, error: Any, frames: Any) -> None:
        if signals.life != self._life:  # forked from a rank
            self._previous(kind, error, frames)
        elif not isinstance(error, SaidByRank0):
            code = 1
            try:
                from .ending import say_uncaught

                code = say_uncaught(self._communicator, error, self._previous)
            finally:  # whatever becomes of the words
                self._communicator.Abort(code)
