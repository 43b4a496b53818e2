"""Messages over a pair of pipes: a mark, eight bytes of length, then a pickle.

Both ends are this run's own processes; nothing is read from a file.
"""

from __future__ import annotations

import os
import pickle
import signal
from typing import TYPE_CHECKING, Any

from ..errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

# The child's ends of its wire, its lifeline and its last words: see ``process``.
SOURCE, SINK, LIFELINE, LAST_WORDS = 3, 4, 5, 6
# Makes a child write where it is, and then die of it: what it was in the middle of must
# not go on. By default it leaves no core file, and nobody else uses it.
TELL_AND_DIE = signal.SIGVTALRM
LENGTH_BYTES = 8
# A trial that writes to a descriptor it does not own must not be taken for a message
# whose end is waited for.
MARK = b"\xd7xm\x04"
PIECE_BYTES = 1 << 20


class Wire:
    """One end: reads from one descriptor and writes to another.

    ``wait`` is called with a descriptor before each piece of a message; it returns
    when that can be read or written, and may raise instead. Blocking descriptors need
    none.
    """

    def __init__(
        self,
        source: int,
        sink: int,
        wait: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._source = source
        self._sink = sink
        self._wait = wait

    def send(self, message: Any) -> None:
        """Send a message whole.

        Raises:
            EOFError: nobody is there to read it.
        """
        content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        self._write(MARK + len(content).to_bytes(LENGTH_BYTES, "big") + content)

    def receive(self) -> Any:
        """Return the next message, waiting for it.

        Raises:
            EOFError: the other end has gone, perhaps in the middle of a message.
            ProtocolError: what arrived is not a message.
        """
        head = self._read(len(MARK) + LENGTH_BYTES)
        if not head.startswith(MARK):
            raise _unreadable()
        content = self._read(int.from_bytes(head[len(MARK) :], "big"))
        try:
            return pickle.loads(content)  # noqa: S301 - see above
        except Exception as error:
            raise _unreadable() from error

    def close(self) -> None:
        """Close this end; again does nothing."""
        for descriptor in {self._source, self._sink} - {-1}:
            os.close(descriptor)
        self._source = self._sink = -1

    def _write(self, content: bytes) -> None:
        view = memoryview(content)
        while view:
            self._wait(self._sink)
            try:
                view = view[os.write(self._sink, view[:PIECE_BYTES]) :]
            except BlockingIOError:
                continue  # full again, though it was said to be ready
            except BrokenPipeError:
                raise EOFError from None

    def _read(self, size: int) -> bytearray:
        content = bytearray()
        while len(content) < size:
            self._wait(self._source)
            try:
                piece = os.read(self._source, min(size - len(content), PIECE_BYTES))
            except BlockingIOError:
                continue
            if not piece:
                raise EOFError
            content += piece
        return content


def _unreadable() -> ProtocolError:
    msg = (
        "the data from the pipe is not a message: the trial wrote to the pipe or "
        f"closed it; trials must not use file descriptors {SOURCE} to {LAST_WORDS}"
    )
    return ProtocolError(msg)
