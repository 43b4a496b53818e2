"""A rank that cannot go on ends the job, and says why: the others would wait for it.

Imported only then: a rank has much to read before it begins.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

from .. import output
from ..errors import ExperimenterError, ProtocolError, printable, text_of
from ..exit_codes import EXIT_FAILED_TRIALS, EXIT_STOPPED, EXIT_WRONG
from ..trial import signals
from ..trial.context import current

if TYPE_CHECKING:
    from collections.abc import Callable

    from .transport import Transport

# How long what explains an abort is given to pass through the launcher's pipes.
ABORT_SECONDS = 0.5

# How long all ranks but one leave it to that one to say why they end: it may be inside
# a trial, and notice later.
WORD_SECONDS = 1.5


def end_job(transport: Transport, error: BaseException) -> NoReturn:
    """Print what this rank met outside of any trial, and end all ranks.

    An exception that is an error is shown with its traceback, as if nobody had caught
    it; ``SystemExit`` and its like come from a trial's code, most often from a handler.
    """
    signals.deafen()
    if isinstance(error, Exception):
        sys.excepthook(type(error), error, error.__traceback__)  # may end the job
        transport.abort(EXIT_WRONG if _is_users(error) else EXIT_FAILED_TRIALS)
    why = "stopped at once"
    if not isinstance(error, KeyboardInterrupt):
        why = (
            f"{type(error).__name__}({text_of(error)}) was raised between two trials, "
            "perhaps by a signal handler that a trial left behind"
        )
    _say(transport, f"{why}; rerun the same command to continue")
    transport.abort(EXIT_STOPPED)


def before_finalize(transport: Transport) -> None:
    """Close the transport, or end the job where rank 0 would wait for this rank."""
    if not transport.is_needed and current.get(None) is None:
        transport.close()
        return
    _say(
        transport,
        "a trial called MPI.Finalize(), which ends MPI for the whole run: remove the "
        "call, or rerun with --isolate",
    )
    transport.abort(EXIT_WRONG)


def leave_without_rank_0(transport: Transport) -> None:
    """End what is left of a job whose rank 0 has died; the lowest rank says why."""
    if transport.rank != min(transport.workers):
        time.sleep(WORD_SECONDS)
    text = (
        "rank 0 has died; what it committed is kept. Rerun the same command to continue"
    )
    output.say(f"experimenter_mpi: {text}")
    transport.abort(EXIT_STOPPED)


def say_uncaught(
    communicator: Any, error: BaseException, hook: Callable[..., object]
) -> int:
    """Print an uncaught error, a bug by ``hook``; return its exit code."""
    if _is_users(error):
        output.say(f"experimenter_mpi: {printable(str(error))}")
    else:
        _say_place(communicator)
        hook(type(error), error, error.__traceback__)
    let_words_out()
    return EXIT_WRONG if _is_users(error) else EXIT_FAILED_TRIALS


def _is_users(error: BaseException) -> bool:
    mistake = isinstance(error, ExperimenterError)
    return mistake and not isinstance(error, ProtocolError)


def _say_place(communicator: Any) -> None:
    where = f"rank {communicator.rank} of {communicator.size} on {os.uname().nodename}"
    output.say(f"experimenter_mpi: uncaught on {where}:")


def let_words_out() -> None:
    """Wait until what was printed has reached the launcher, which drops it on Abort."""
    output.flush()
    time.sleep(ABORT_SECONDS)


def _say(transport: Transport, text: str) -> None:
    where = f"rank {transport.rank} on {transport.hostname}"
    output.say(f"experimenter_mpi: {where}: {printable(text)}")
