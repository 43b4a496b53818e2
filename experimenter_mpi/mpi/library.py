"""The MPI library as it loads, before MPI is started: starting it may end the process.

For ``doctor``, which is to say what is wrong; everybody else uses ``transport``.
"""

from __future__ import annotations

import atexit
import warnings
from typing import Any, NamedTuple

from ..errors import LaunchError
from . import transport
from .launch import version_of


class Library(NamedTuple):
    """What MPI library loads: its own words in one line, or why none does."""

    version: str | None = None
    error: str | None = None


def look() -> Library:
    """Load the library and ask what it is, without starting MPI."""
    import mpi4py

    mpi4py.rc.initialize = False
    try:
        mpi = transport.load()
    except LaunchError as error:
        return Library(error=str(error))
    return Library(version=version_of(mpi))


def start() -> Any:
    """Start MPI, which ``look`` has not, and return the module.

    An MPI that does not fit its launcher may end the process here.
    """
    mpi = transport.load()
    with warnings.catch_warnings():  # of a strange launcher, which doctor explains
        warnings.simplefilter("ignore")
        mpi.Init_thread(mpi.THREAD_MULTIPLE)
    atexit.register(mpi.Finalize)
    return mpi


def thread_level(mpi: Any) -> str:
    """Return the thread level of a started MPI as a word."""
    levels = ("SINGLE", "FUNNELED", "SERIALIZED", "MULTIPLE")
    given = mpi.Query_thread()
    found = (name for name in levels if getattr(mpi, f"THREAD_{name}") == given)
    return next(found, str(given)).lower()
