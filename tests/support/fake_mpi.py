"""MPI between threads of one process: as unforgiving as a real one, and no faster.

A send is complete only when its receiver has taken it, as MPI allows of any send and
does of large ones; a message overtakes no other; receives match in the order posted.
"""

from __future__ import annotations

import threading
from typing import Any

ANY = -1


class FakeMPI:
    """Stands in for the module ``mpi4py.MPI``, for a world of so many ranks."""

    ANY_SOURCE = ANY
    ANY_TAG = ANY
    BYTE = "byte"
    ERR_PROC_FAILED = 75
    ERR_PROC_FAILED_PENDING = 76
    ERR_OTHER = 16
    COMM_TYPE_SHARED = 1

    class Exception(RuntimeError):  # noqa: A001, N818 - as mpi4py names it
        """What MPI raises, by its class of errors."""

        def Get_error_class(self) -> int:  # noqa: N802
            code: int = self.args[0]
            return code

    def __init__(self, size: int) -> None:
        self.size = size
        self.aborted: int | None = None
        self.dead: list[int] = []
        self._lock = threading.Lock()
        self._messages: dict[tuple[int, int], list[Send]] = {}
        self._receives: dict[tuple[int, int], list[Receive]] = {}

    def Get_library_version(self) -> str:  # noqa: N802 - as mpi4py names it
        return "FakeMPI 1.0\nbuilt of threads\x00"

    def Is_finalized(self) -> bool:  # noqa: N802
        return False

    def Status(self) -> Status:  # noqa: N802
        return Status()

    def world(self, rank: int) -> FakeCommunicator:
        """Return the communicator of all ranks, as this one sees it."""
        return FakeCommunicator(self, rank, 0)

    def post(self, where: tuple[int, int], item: Send | Receive) -> None:
        """Add a send or a receive at a rank's end of a communicator."""
        with self._lock:
            sends = self._messages.setdefault(where, [])
            receives = self._receives.setdefault(where, [])
            if isinstance(item, Send):
                sends.append(item)
            else:
                receives.append(item)
            for receive in list(receives):
                send = next((s for s in sends if receive.matches(s)), None)
                if send is not None:
                    sends.remove(send)
                    receives.remove(receive)
                    receive.take(send)

    def kill(self, *ranks: int) -> None:
        """Let ranks die; what they have sent is still under way."""
        self.dead += ranks

    def posted(self, where: tuple[int, int]) -> int:
        """Say how many receives wait at a rank's end of a communicator."""
        with self._lock:
            return len(self._receives.get(where, []))

    def withdraw(self, where: tuple[int, int], receive: Receive) -> None:
        with self._lock:
            self._receives[where].remove(receive)


class Status:
    """Where a message came from, and how large it was."""

    source = tag = count = ANY

    def Get_count(self, _: str) -> int:  # noqa: N802
        return self.count


class Send:
    """A send under way."""

    def __init__(
        self, mpi: FakeMPI, source: int, rank: int, tag: int, content: Any
    ) -> None:
        self._mpi = mpi
        self._rank = rank
        self.source = source
        self.tag = tag
        self.content = content
        self.done = False

    def Test(self) -> bool:  # noqa: N802
        if self._rank in self._mpi.dead and not self.done:
            raise FakeMPI.Exception(FakeMPI.ERR_PROC_FAILED)
        return self.done


class Receive:
    """A receive, posted once by ``Irecv`` or again and again by ``Start``."""

    def __init__(
        self,
        mpi: FakeMPI,
        where: tuple[int, int],
        buffer: Any,
        source: int,
        tag: int,
        acknowledged: set[int],
    ) -> None:
        self._mpi = mpi
        self._acknowledged = acknowledged
        self._where = where
        self._buffer = memoryview(buffer)
        self._source = source
        self._tag = tag
        self._send: Send | None = None
        self.active = False

    def matches(self, send: Send) -> bool:
        return self._source in (ANY, send.source) and self._tag in (ANY, send.tag)

    def take(self, send: Send) -> None:
        content = bytes(send.content)
        assert len(content) <= len(self._buffer), "message truncated"
        self._buffer[: len(content)] = content
        self._send = send
        send.done = True

    def Start(self) -> None:  # noqa: N802
        assert not self.active, "started twice"
        self.active, self._send = True, None
        self._mpi.post(self._where, self)

    def Test(self, status: Status | None = None) -> bool:  # noqa: N802
        if self._send is None:
            self._look_for_deaths()
            return False
        self.active = False
        if status is not None:
            status.source, status.tag = self._send.source, self._send.tag
            status.count = len(self._send.content)
        return True

    def _look_for_deaths(self) -> None:
        if self._source in self._mpi.dead:
            self.active = False
            raise FakeMPI.Exception(FakeMPI.ERR_PROC_FAILED)
        if self._source == ANY and set(self._mpi.dead) - self._acknowledged:
            raise FakeMPI.Exception(FakeMPI.ERR_PROC_FAILED_PENDING)

    def Cancel(self) -> None:  # noqa: N802
        if self.active:
            self._mpi.withdraw(self._where, self)

    def Wait(self) -> None:  # noqa: N802
        self.active = False

    def Free(self) -> None:  # noqa: N802
        assert not self.active, "freed while active"


class FakeCommunicator:
    """One rank's view of a communicator."""

    def __init__(self, mpi: FakeMPI, rank: int, number: int) -> None:
        self._mpi = mpi
        self._number = number
        self._copies = 0
        self._acknowledged: set[int] = set()
        self.rank = rank
        self.size = mpi.size

    def Dup(self) -> FakeCommunicator:  # noqa: N802
        if self._mpi.dead:
            raise FakeMPI.Exception(FakeMPI.ERR_PROC_FAILED)
        self._copies += 1
        number = 10 * self._number + self._copies
        return FakeCommunicator(self._mpi, self.rank, number)

    def Split_type(self, _: int) -> FakeCommunicator:  # noqa: N802
        """Return a communicator of one node, which all are on."""
        return self.Dup()

    def Free(self) -> None:  # noqa: N802
        pass

    @property
    def posted(self) -> int:
        """How many receives wait here."""
        return self._mpi.posted((self._number, self.rank))

    def Isend(self, content: Any, rank: int, tag: int) -> Send:  # noqa: N802
        send = Send(self._mpi, self.rank, rank, int(tag), content)
        self._mpi.post((self._number, rank), send)
        return send

    def Recv_init(self, buffer: Any, source: int, tag: int) -> Receive:  # noqa: N802
        where = (self._number, self.rank)
        return Receive(self._mpi, where, buffer, source, tag, self._acknowledged)

    def Irecv(self, buffer: Any, source: int, tag: int) -> Receive:  # noqa: N802
        receive = self.Recv_init(buffer, source, tag)
        receive.Start()
        return receive

    def Get_group(self) -> Group:  # noqa: N802
        return Group(list(range(self.size)))

    def Get_failed(self) -> Group:  # noqa: N802
        return Group(list(self._mpi.dead))

    def Ack_failed(self) -> int:  # noqa: N802
        self._acknowledged.update(self._mpi.dead)
        return len(self._acknowledged)

    def Agree(self, flag: int) -> int:  # noqa: N802
        return flag

    def Shrink(self) -> FakeCommunicator:  # noqa: N802
        """Return a communicator of the living, as if they were all there ever were."""
        smaller = FakeMPI(self.size - len(self._mpi.dead))
        before = sum(rank < self.rank for rank in self._mpi.dead)
        return smaller.world(self.rank - before)

    def Abort(self, code: int) -> None:  # noqa: N802
        self._mpi.aborted = code


class Group:
    """Some ranks of the world."""

    def __init__(self, ranks: list[int]) -> None:
        self._ranks = ranks

    def Translate_ranks(self, _: None, __: Group) -> list[int]:  # noqa: N802
        return self._ranks

    def Free(self) -> None:  # noqa: N802
        pass
