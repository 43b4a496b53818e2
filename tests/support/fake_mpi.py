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

    def __init__(self, size: int) -> None:
        self.size = size
        self.aborted: int | None = None
        self._lock = threading.Lock()
        self._messages: dict[tuple[int, int], list[Send]] = {}
        self._receives: dict[tuple[int, int], list[Receive]] = {}

    def Get_library_version(self) -> str:  # noqa: N802 - as mpi4py names it
        return "FakeMPI 1.0\nbuilt of threads\x00"

    def Status(self) -> Status:  # noqa: N802
        return Status()

    def world(self, rank: int) -> FakeCommunicator:
        """Give the communicator of all ranks, as this one sees it."""
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

    def __init__(self, source: int, tag: int, content: Any) -> None:
        self.source = source
        self.tag = tag
        self.content = content
        self.done = False

    def Test(self) -> bool:  # noqa: N802
        return self.done


class Receive:
    """A receive, posted once by ``Irecv`` or again and again by ``Start``."""

    def __init__(
        self, mpi: FakeMPI, where: tuple[int, int], buffer: Any, source: int, tag: int
    ) -> None:
        self._mpi = mpi
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
            return False
        self.active = False
        if status is not None:
            status.source, status.tag = self._send.source, self._send.tag
            status.count = len(self._send.content)
        return True

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
        self.rank = rank
        self.size = mpi.size

    def Dup(self) -> FakeCommunicator:  # noqa: N802
        self._copies += 1
        number = 10 * self._number + self._copies
        return FakeCommunicator(self._mpi, self.rank, number)

    @property
    def posted(self) -> int:
        """How many receives wait here."""
        return self._mpi.posted((self._number, self.rank))

    def Isend(self, content: Any, rank: int, tag: int) -> Send:  # noqa: N802
        send = Send(self.rank, int(tag), content)
        self._mpi.post((self._number, rank), send)
        return send

    def Recv_init(self, buffer: Any, source: int, tag: int) -> Receive:  # noqa: N802
        return Receive(self._mpi, (self._number, self.rank), buffer, source, tag)

    def Irecv(self, buffer: Any, source: int, tag: int) -> Receive:  # noqa: N802
        receive = self.Recv_init(buffer, source, tag)
        receive.Start()
        return receive

    def Abort(self, code: int) -> None:  # noqa: N802
        self._mpi.aborted = code
