"""Signals where trials run: a run's handlers are its own, and last as long as it does.

Some make the run stop, and SIGQUIT has it say where it is, after which it goes on.
A trial may put handlers of its own in their place, until it ends. What it forks is a
stranger to the run: it gets the handlers from before, and may ask rank 0 for nothing.
"""

from __future__ import annotations

import os
import signal
import sys
from _signal import getsignal  # type: ignore[import-not-found] # signal's is slow
from _thread import get_ident
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

from . import stacks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")
# Those that make a run drain.
SIGNALS = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
_NUMBERS = [int(number) for number in SIGNALS]
_ALL = range(1, signal.NSIG)


class Handlers:
    """One handler for all signals that make a run drain.

    ``on_replaced`` is called after a trial's handlers gave way to this one again, and
    ``on_forked`` in every process that is forked meanwhile.
    """

    def __init__(
        self,
        handler: Callable[[int, Any], object],
        on_replaced: Callable[[], object] = lambda: None,
        on_forked: Callable[[], object] = lambda: None,
    ) -> None:
        self.handler = handler
        self.on_replaced = on_replaced
        self.on_forked = on_forked
        self._previous: dict[int, Any] = {}

    def install(self) -> None:
        """Call the handler from now on.

        Raises:
            ValueError: this is not the main thread, which alone can have handlers.
        """
        global _alarm_before, _main_thread
        look_at_forks()
        for number in _NUMBERS:
            self._previous[number] = signal.signal(number, self.handler)
        if not _installed:
            _alarm_before, _main_thread = getsignal(signal.SIGALRM), get_ident()
        _installed.append(self)
        _expect()

    def remove(self) -> None:
        """Bring back what was there before."""
        if self in _installed:
            _installed.remove(self)
            _expect()
        for number, handler in self._previous.items():
            signal.signal(number, _or_default(handler))

    def give_way(self) -> None:
        """Bring back what was there before, unless a trial has its own by now."""
        for number, handler in self._previous.items():
            if getsignal(number) is self.handler:
                signal.signal(number, _or_default(handler))

    def replaced(self) -> dict[int, Any]:
        """Return the handlers that a trial has put in the place of this one."""
        found = {number: getsignal(number) for number in _NUMBERS}
        return {n: each for n, each in found.items() if each is not self.handler}


def _expect() -> None:
    """Keep which handlers are there as long as no trial has its own."""
    _expected.clear()
    if _installed:
        _expected.extend((number, _installed[-1].handler) for number in _NUMBERS)
        _expected.append((int(signal.SIGALRM), _alarm_before))
        if stacks.is_listening():
            _expected.append((stacks.QUIT, stacks.on_signal))


def _or_default(handler: Any) -> Any:
    return signal.SIG_DFL if handler is None else handler  # None: set by a C library


_installed: list[Handlers] = []
_expected: list[tuple[int, Any]] = []
_alarm_before: Any = None
_main_thread = 0


@contextmanager
def outliving_signals() -> Iterator[None]:
    """Leave the decision to rank 0: a signal to the whole job reaches it as well."""
    handlers = Handlers(lambda _number, _frame: None)
    with telling_on_quit():
        with suppress(ValueError):  # not the main thread
            handlers.install()
        try:
            yield
        finally:
            handlers.remove()


def are_untouched() -> bool:
    """Whether a trial has left all handlers alone, and so the timer, as most do."""
    for number, handler in _expected:  # noqa: SIM110 - all() takes twice the time
        if getsignal(number) is not handler:
            return False
    return True


def replaced() -> dict[int, Any]:
    """Return the handlers that a trial has left in the place of the run's."""
    return _installed[-1].replaced() if _installed else {}


def put_back(trials: dict[int, Any]) -> None:
    """Put the run's handlers in the place of the trial's again, and stop its timer."""
    if get_ident() != _main_thread or not _installed:
        return  # a trial on the main thread, which alone can have them, may still run
    for number in trials:
        signal.signal(number, _installed[-1].handler)
    if trials:
        _installed[-1].on_replaced()
    if getsignal(signal.SIGALRM) is not _alarm_before:
        signal.setitimer(signal.ITIMER_REAL, 0)  # it would end another trial
    stacks.listen_again()


@contextmanager
def deferred() -> Iterator[None]:
    """Call handlers of a trial's own only after what happens here is complete.

    One may raise, which would leave an answer to the next question, or ask something
    itself, which would wait forever for a lock that its own thread holds.
    """
    recorder = _Recorder()
    try:
        recorder.begin()
        yield
    finally:
        recorder.end()


class _Recorder:
    """Stands in for handlers for a while, and calls them afterwards."""

    def __init__(self) -> None:
        self._handlers, self._missed = dict[int, Any](), dict[int, Any]()
        self._is_recording, self._life = True, life

    def begin(self) -> None:
        if _installed and get_ident() == _main_thread:  # elsewhere none is called
            ours = _installed[-1].handler
            self._handlers = {
                n: h
                for n, h in python_handlers().items()
                if h is not ours and h is not stacks.on_signal
            }
        for number in self._handlers:
            signal.signal(number, self.on_signal)

    def on_signal(self, number: int, frame: Any) -> None:
        if self._is_recording and life == self._life:  # else forked meanwhile
            self._missed[number] = frame
        else:
            self._handlers[number](number, frame)

    def end(self) -> None:
        self._is_recording = False
        try:
            for number, handler in self._handlers.items():
                if getsignal(number) == self.on_signal:
                    signal.signal(number, handler)
            while self._missed:
                number, frame = self._missed.popitem()
                self._handlers[number](number, frame)
        except BaseException:  # of a handler: it is the others' turn all the same
            self.end()
            raise


def deafen() -> None:
    """Call no handler any more: this process ends."""
    if get_ident() != _main_thread:
        return
    for number in _ALL:
        while callable(getsignal(number)):
            with suppress(BaseException):  # of the handler itself
                signal.signal(number, signal.SIG_IGN)


def pass_on(number: int) -> None:
    """Tell the run of a signal that a trial's own handler has taken."""
    if _installed:
        _installed[-1].handler(number, None)


def python_handlers() -> dict[int, Any]:
    """Return all handlers that are Python's, the run's own among them."""
    return {n: found for n in _ALL if callable(found := getsignal(n))}


@contextmanager
def telling_on_quit() -> Iterator[None]:
    """Make SIGQUIT print the stacks of this process, which continues."""
    listens = tell_on_quit()
    try:
        yield
    finally:
        if listens:
            stacks.leave()
            _expect()


def tell_on_quit() -> bool:
    """Do so from now on; False if this is not the main thread."""
    look_at_forks()
    listens = stacks.listen()
    _expect()
    return listens


# --- what is forked


class OwnProcess:
    """A context in which a user's code runs: what it forks never comes out of it.

    Such a process ends there, as it would if Python had nothing else to do.
    """

    __slots__ = ("_life",)

    def __enter__(self) -> None:
        look_at_forks()
        self._life = life

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if life != self._life:
            _end_fork(error)


def _end_fork(error: BaseException | None) -> NoReturn:
    """End this process with the exit code that Python would have given.

    Without a lock of ours, or an import: a thread may have held it that is not here.
    """
    code = 1
    try:
        code = _exit_code(error)
        sys.stdout.flush()
        sys.stderr.flush()
        if isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        os._exit(code)


def _exit_code(error: BaseException | None) -> int:
    """Return the exit code after what ends a program, and say what Python would."""
    if error is None:
        return 0
    if not isinstance(error, SystemExit):
        frames = error.__traceback__  # the first one is ours
        sys.__excepthook__(type(error), error, frames and frames.tb_next)
        return 1
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    sys.stderr.write(f"{error.code}\n")
    return 1


# What every forked process does, before it runs a line of a trial's code.
on_fork: list[Callable[[], object]] = []
# Changes in every forked process; os.getpid() would be a system call for each trial.
life = 0
_masks: dict[int, set[Any]] = {}
_is_looking = False


def look_at_forks() -> None:
    """Make whatever this process forks from now on a stranger to the run."""
    global _is_looking  # noqa: PLW0603 - what is registered stays for good
    if not _is_looking:
        _is_looking = True
        os.register_at_fork(
            before=_block, after_in_parent=_unblock, after_in_child=_become_stranger
        )


def _block() -> None:
    """Keep signals from a child before it has its own handlers.

    Python forgets those that come before; a pool that ends its processes soon after it
    has started them would wait forever for one that has heard nothing of it.
    """
    _masks[get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    signal.pthread_sigmask(signal.SIG_BLOCK, (*SIGNALS, stacks.QUIT))


def _unblock() -> None:
    mask = _masks.pop(get_ident(), None)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _become_stranger() -> None:
    global life  # noqa: PLW0603 - attempts compare it
    life += 1
    for let_go in on_fork:
        let_go()
    while _installed:
        handlers = _installed.pop()
        handlers.give_way()
        handlers.on_forked()
    stacks.forget()
    _expect()
    # Python would raise KeyboardInterrupt here, where nothing hears of it.
    if signal.SIGINT in signal.sigpending():
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    _unblock()
