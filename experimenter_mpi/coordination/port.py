"""What carries messages between rank 0's loop and its workers: one end each.

Workers have numbers, which under MPI are their ranks. They may also be threads, this
very thread, or what executors have room for; neither loop knows which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from .messages import Message


class Port(Protocol):
    """Rank 0's end; the messages of one worker come in the order it sent them."""

    @property
    def workers(self) -> list[int]:
        """The workers that live, as far as is known."""

    @property
    def survives_deaths(self) -> bool:
        """Whether the run goes on when a worker dies, which ``deaths`` then tells."""

    def poll(self) -> tuple[int, Message] | None:
        """Return the next message and who sent it, None if none has come."""

    def receive(
        self, timeout: float | None = None, wake: Callable[[], bool] = lambda: False
    ) -> tuple[int, Message] | None:
        """Wait for a message; None after ``timeout`` seconds, or early.

        It may return early when ``wake()`` is true, or when a worker has died.
        """

    def send(self, worker: int, message: Message) -> None:
        """Send without waiting for the receiver.

        A question may come from a number that is not a worker's; its answer goes there.
        """

    def deaths(self) -> list[int]:
        """Return the workers that have died since this was asked.

        Asked when no message has come; nothing more comes from them.
        """

    def exception_of(self, index: int) -> BaseException | None:
        """Return what a trial raised, if it ran in this process and that was kept."""


class Connection(Protocol):
    """A worker's end of a port: what it says to rank 0, and what it is told."""

    @property
    def serves_threads(self) -> bool:
        """Whether several threads of a worker may use it."""

    @property
    def survives_deaths(self) -> bool:
        """Whether a worker outlives rank 0, and is to leave by itself."""

    @property
    def frame_bytes(self) -> float:
        """How large a message may be that is sent without waiting for rank 0."""

    def poll(self) -> tuple[int, Message] | None:
        """Return rank 0's next message, None if none has come."""

    def receive(self) -> tuple[int, Message] | None:
        """Wait for a message of rank 0."""

    def send(self, rank: int, message: Message) -> None:
        """Send a message to rank 0."""
