"""A thread beside a block of code, which ends with it."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def in_background(work: Callable[[Event], object], name: str) -> Iterator[None]:
    """Call ``work`` on a thread; it returns when the event that it is given is set."""
    over = Event()
    thread = Thread(target=work, args=(over,), name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
