"""Exceptions that one thread raises in another, as libraries for time limits do."""

from __future__ import annotations

from ctypes import c_ulong, py_object, pythonapi


class Late(BaseException):
    """What a thread is told whose time is over."""


def raise_in(thread: int, kind: type[BaseException]) -> None:
    """Have a thread raise an exception of this kind at its next step of Python."""
    pythonapi.PyThreadState_SetAsyncExc(c_ulong(thread), py_object(kind))
