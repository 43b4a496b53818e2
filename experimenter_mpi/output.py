"""Printing that fails nothing: a log on a full disk, a closed pipe, no log at all.

A run must not end, nor a trial count as failed, since a line could not be written. What
only prints, as a query does, must not claim to have printed.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed import ReadableBuffer

STREAMS = {"stdout": 1, "stderr": 2}
# To the beginning of the line, and without what stands there. Not by a carriage return,
# at which Python flushes: the pieces of a line would be written one by one.
_ERASE = "\x1b[G\x1b[K"
# What a stream raises that is closed, broken, or None.
TROUBLE = (OSError, ValueError, AttributeError)


class OutputError(OSError):
    """What a verb prints cannot be written: nobody reads it, or the disk is full."""

    @property
    def is_quiet(self) -> bool:
        """Whether its reader has seen enough, as in ``... | head``."""
        import errno

        return self.errno == errno.EPIPE


class _Descriptor(FileIO):
    """Writes to a file descriptor, and drops what cannot be written.

    When ``strict`` the first failure is raised: what comes after it is dropped.
    """

    def __init__(self, number: int, *, strict: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self._strict = strict

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            while (written := super().write(data)) is None:  # the pipe is full
                _wait_for(self.fileno())
        except OSError as error:
            if not self._strict:
                return memoryview(data).nbytes
            self._strict = False
            raise OutputError(error.errno, error.strerror) from None
        return int(written)


def _wait_for(number: int) -> None:
    import select

    select.select((), (number,), ())


def make_safe(*, strict: bool = False) -> None:
    """Ignore failures of printing in this process, up to Python's last flush.

    When ``strict``, what standard output does not take raises OutputError, once.
    """
    _fill_gaps()
    for name, number in STREAMS.items():
        stream = getattr(sys, name)
        if stream is None or _is_plain(stream):
            made = _safe(stream, number, strict=strict and name == "stdout")
            setattr(sys, name, made)
            setattr(sys, f"__{name}__", made)


@contextmanager
def safe() -> Iterator[None]:
    """Ignore failures of printing until the end of the block."""
    before = {}
    for name, number in STREAMS.items():
        stream = getattr(sys, name)
        if stream is not None and _is_plain(stream):
            with suppress(*TROUBLE):
                stream.flush()
            before[name] = stream, _safe(stream, number)
            setattr(sys, name, before[name][1])
    try:
        yield
    finally:
        for name, (stream, made) in before.items():
            made.flush()
            if getattr(sys, name) is made:
                setattr(sys, name, stream)


@contextmanager
def above_bar(names: Iterable[str]) -> Iterator[None]:
    """Print lines of these streams above the bar of another process.

    The line of a bar has no end, so what is printed next would continue it: each line
    erases it first, and the bar is drawn again below. What is not printed by Python's
    streams, as by C code, is as it was.
    """
    streams = [sys.__dict__[name] for name in names]
    streams += [sys.__dict__[f"__{name}__"] for name in names]
    changed = []
    for stream in streams:
        if type(stream) is TextIOWrapper and "write" not in vars(stream):
            changed.append((stream, stream.line_buffering))
            _begin_lines_with_erasing(stream)
    try:
        yield
    finally:
        for stream, line_buffering in changed:
            vars(stream).pop("write", None)
            with suppress(*TROUBLE):
                stream.reconfigure(line_buffering=line_buffering)


def beside(stream: Any) -> Any:
    """Return another stream to the same place, itself if it is not one of Python's."""
    if type(stream) is not TextIOWrapper:
        return stream
    return _safe(stream, stream.fileno())


def _begin_lines_with_erasing(stream: TextIOWrapper) -> None:
    with suppress(*TROUBLE):  # half a line would be erased by the bar
        stream.reconfigure(line_buffering=True)
    # In the object itself: others, such as a logger, hold it too.
    vars(stream)["write"] = _erasing(stream.write)


def _erasing(write: Callable[[str], int]) -> Callable[[str], int]:
    is_new_line = True

    def write_line(text: str, /) -> int:
        nonlocal is_new_line
        if not text or not isinstance(text, str):
            return write(text)
        begins, is_new_line = is_new_line, text[-1] == "\n"
        write(_ERASE + text if begins else text)
        return len(text)

    return write_line


def _is_plain(stream: Any) -> bool:
    """Whether it is Python's own, and not a notebook's, a test's or the user's."""
    if type(stream) is not TextIOWrapper or stream.closed:
        return False
    return type(getattr(stream.buffer, "raw", stream.buffer)) is FileIO


def _safe(stream: Any, number: int, *, strict: bool = False) -> TextIOWrapper:
    """Return a stream as this one, to the same descriptor, that does not fail."""
    descriptor: Any = _Descriptor(number, strict=strict)
    descriptor.name = getattr(stream, "name", number)
    is_buffered = type(getattr(stream, "buffer", None)) is not FileIO  # `python -u`
    return TextIOWrapper(
        BufferedWriter(descriptor) if is_buffered else descriptor,
        encoding=getattr(stream, "encoding", "utf-8"),
        errors="backslashreplace",  # names may hold what it cannot encode
        line_buffering=getattr(stream, "line_buffering", True),
        write_through=getattr(stream, "write_through", False),
    )


def _fill_gaps() -> None:
    """Prevent files and sockets from taking the number of a closed standard stream."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which is given the lowest that is free


def say(text: str) -> None:
    """Print a line to standard error, whatever becomes of it."""
    # One write a line: the launcher mixes what several ranks print.
    with suppress(*TROUBLE):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def say_at_once(text: str) -> None:
    """Print a line where Python's streams may be in use: in a signal's handler."""
    if sys.__stderr__ is not None:  # else it is somebody's file by now
        left = f"{text}\n".encode(errors="backslashreplace")
        with suppress(OSError):
            while left:
                left = left[os.write(STREAMS["stderr"], left) :]


def flush() -> None:
    """Flush what was printed, as far as possible."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(*TROUBLE):
            stream.flush()
