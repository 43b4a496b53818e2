"""Where this process is: the stacks of all its threads, and on SIGQUIT more than that.

``faulthandler`` prints the stacks at once, even where a C library keeps Python from
running. What else is to be said waits until Python runs again.
"""

from __future__ import annotations

import faulthandler  # built into Python: there is no file to be read
import signal
import sys
from _signal import getsignal  # type: ignore[import-not-found] # signal's is slow
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

QUIT = int(signal.SIGQUIT)
_STDERR = 2

# What is called on SIGQUIT after the stacks were printed.
on_quit: list[Callable[[], object]] = []


class _Listening:
    """How many listen to SIGQUIT, and what handled it before the first of them."""

    times = 0
    before: Any = None


def is_listening() -> bool:
    """Whether anybody does."""
    return _Listening.times > 0


def listen() -> bool:
    """Handle SIGQUIT from now on; False if this is not the main thread."""
    if not _Listening.times:
        before = getsignal(QUIT)
        try:
            _take()
        except ValueError:
            return False
        _Listening.before = before
    _Listening.times += 1
    return True


def listen_again() -> None:
    """Handle it in the place of what a trial has left behind."""
    if is_listening() and getsignal(QUIT) is not on_signal:
        _take()


def leave() -> None:
    """Undo a ``listen``; the last one brings back what was there before."""
    _Listening.times -= 1
    if not _Listening.times:
        faulthandler.unregister(QUIT)
        if getsignal(QUIT) is on_signal:  # and not what a trial has left
            before = _Listening.before
            signal.signal(QUIT, signal.SIG_DFL if before is None else before)


def forget() -> None:
    """Undo all of them, in a process that was forked."""
    if is_listening():
        _Listening.times = 1
        leave()


def _take() -> None:
    signal.signal(QUIT, on_signal)  # which only the main thread may
    faulthandler.unregister(QUIT)  # which may bring back what it had found
    signal.signal(QUIT, on_signal)
    if sys.__stderr__ is not None:  # else its descriptor is somebody's file by now
        faulthandler.register(QUIT, _STDERR, all_threads=True, chain=True)


def on_signal(_number: int = QUIT, _frame: Any = None) -> None:
    """Print what comes after the stacks; never raises."""
    for tell in on_quit:
        with suppress(Exception):
            tell()


def show() -> None:
    """Print the stacks of all threads, if anything can be printed."""
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback(_STDERR, all_threads=True)
