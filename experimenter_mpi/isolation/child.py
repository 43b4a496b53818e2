"""The program of a child process: load the script once, run the trials it is given.

It leaves when its parent closes the pipe, and is killed when its parent dies.
"""

from __future__ import annotations

import faulthandler
import fcntl
import os
import signal
import sys
import time
from _thread import _count, allocate_lock
from contextlib import suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

from .. import output
from ..coordination.messages import Question, Refused
from ..coordination.questions import Aside, Questions
from ..errors import ExperimenterError, ProtocolError, rebuilt
from ..trial.arrays import SharedArrays
from ..trial.attempt import InProcess, message_of
from ..trial.briefing import experiment_of
from ..trial.context import Context
from ..trial.functions import prepare
from ..trial.signals import Handlers, deferred, tell_on_quit
from . import child_messages as m
from .pipe import LAST_WORDS, LIFELINE, SINK, SOURCE, TELL_AND_DIE, Wire

if TYPE_CHECKING:
    from ..trial.briefing import Briefing

# A trial may look in its innermost loop: the answer "no" is that old at most.
WATCH_SECONDS = 0.01


def main() -> None:
    """Do what the parent says on the descriptors it gave, until it closes them."""
    die_with_parent(LIFELINE)
    _leave_last_words(LAST_WORDS)
    _close_all_but({0, 1, 2, SOURCE, SINK, LIFELINE, LAST_WORDS})
    output.make_safe()
    if isinstance(sys.stdout, TextIOWrapper):  # what comes before a crash is seen
        sys.stdout.reconfigure(line_buffering=True)
    wire = Wire(SOURCE, SINK)
    _outlive_signals(wire)
    with suppress(EOFError):
        serve(wire)


def serve(wire: Wire) -> None:
    """Prepare what the parent orders, and run its trials.

    Raises:
        EOFError: the parent has closed the pipe; the only way out but Unable.
    """
    begin: m.BeginChild = wire.receive()
    sys.argv[:] = begin.arguments
    with output.above_bar(begin.job.bar_on):
        _serve(wire, begin.job)


def _serve(wire: Wire, job: Briefing) -> None:
    parent = Parent(wire)
    try:
        trials = _prepared(job, parent)
    except ExperimenterError as error:
        wire.send(m.ChildUnable(type(error).__name__, message_of(error)))
        return
    wire.send(m.ChildReady())
    while True:
        run: m.RunTrial = wire.receive()
        outcome, exception = trials.run(run.index)
        output.flush()
        parent.settle()
        wire.send(m.TrialEnded(outcome, isinstance(exception, KeyboardInterrupt)))


def _prepared(job: Briefing, parent: Parent) -> InProcess:
    experiment = experiment_of(job)
    job.tell(experiment)
    function, store = prepare(experiment, job.include)
    arrays = SharedArrays(job.arrays_folder, job.lock_token, parent)
    context = Context(
        job.name, parent, arrays, parent, store, allow_pickle=job.allow_pickle
    )
    return InProcess(experiment, function, context)


class Parent(Questions):
    """The rank at the other end: what a trial may ask of rank 0, and ``StopInfo``."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._in_use = allocate_lock()  # a trial may have threads
        self._aside: Aside | None = None
        self._in_making = allocate_lock()
        self._draining = False
        self._look_again_at = 0.0

    def requested(self) -> bool:
        if not self._draining and time.monotonic() >= self._look_again_at:
            self._draining = self._run_state().stopping
            self._look_again_at = time.monotonic() + WATCH_SECONDS
        return self._draining

    def time_left(self) -> float | None:
        return self._run_state().seconds_left

    def _run_state(self) -> m.RunState:
        state: m.RunState = self._told(m.FetchRunState())
        return state

    def ask(self, question: Question, expected: Any) -> Any:
        answer = self._told(question)
        if isinstance(answer, Refused):
            raise rebuilt(answer.error, answer.message)
        if not isinstance(answer, expected):
            asked = type(question).__name__
            msg = f"the parent answered {asked} with {type(answer).__name__}"
            raise ProtocolError(msg)
        return answer

    def _told(self, question: Any) -> Any:
        with deferred():
            if not _count():
                return self._tell(question)
            with self._in_making:
                if self._aside is None:
                    self._aside = Aside()  # see there
            return self._aside.call(self._tell, question)

    def _tell(self, question: Any) -> Any:
        with self._in_use:
            self._wire.send(question)
            return self._wire.receive()

    def settle(self) -> None:
        """Wait for the answer to a question that a trial has given up."""
        if self._aside is not None:
            self._aside.settle()


def die_with_parent(lifeline: int) -> None:
    """Make the kernel kill this process group when the pipe's other end is closed.

    Also in the middle of a call into C that never lets Python run. Where the kernel
    cannot, a thread does it.
    """
    try:
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
    except (AttributeError, OSError):  # not Linux
        _watch(lifeline)
    else:
        _leave_if_closed(lifeline)


def _leave_if_closed(lifeline: int) -> None:
    """Check once for a parent that died before the kernel was asked to watch it."""
    os.set_blocking(lifeline, False)
    with suppress(BlockingIOError):
        os.read(lifeline, 1)
        os._exit(1)


def _watch(lifeline: int) -> None:
    from threading import Thread

    def watch() -> None:
        os.read(lifeline, 1)
        os.killpg(0, signal.SIGKILL)

    Thread(target=watch, daemon=True).start()


def _leave_last_words(descriptor: int) -> None:
    """Write the stacks there in a crash, and when the parent asks for them."""
    # A dying process must not wait for a reader.
    os.set_blocking(descriptor, False)
    faulthandler.enable(descriptor)
    faulthandler.register(TELL_AND_DIE, descriptor, all_threads=True, chain=True)


def _close_all_but(kept: set[int]) -> None:
    """Close what a C library of the parent, such as MPI's, left open for us."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            for name in os.listdir(folder):
                if int(name) not in kept:
                    with suppress(OSError):
                        os.close(int(name))
            return


def _outlive_signals(wire: Wire) -> None:
    """Leave the decision to rank 0: a scheduler signals every process of the job.

    Handlers, not SIG_IGN, which what a trial starts would inherit.
    """

    def stay_silent() -> None:
        # What a trial forks may neither talk in its name nor hold the pipes open.
        wire.close()
        faulthandler.disable()
        faulthandler.unregister(TELL_AND_DIE)

    Handlers(lambda _number, _frame: None, on_forked=stay_silent).install()
    tell_on_quit()
    # Writing to the terminal is not a reason to stop, though the group is another.
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
