"""One attempt at one trial: call the function, time it, catch what it raises.

Modes and workers know the protocol ``Attempts`` alone: who runs trials is this process
itself, or a child of it.

Whatever a trial does ends in an ``Outcome``: results, a failure with its traceback,
or the trial back in the queue. Nothing it raises reaches the loop that runs trials.
A full disk is not the trial's failure: it goes back, with why the run is to end.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..errors import (
    EncodingError,
    EndsRun,
    ExperimenterError,
    TrialError,
    TrialInterrupted,
    TrialProcessError,
    TrialTimeoutError,
    text_of,
)
from ..experiment.experiment import Trial
from . import script, signals
from .context import Context, Stream, current, stream
from .outcome import Failure, Outcome, Status
from .signals import OwnProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from ..coordination.questions import Questions
    from ..experiment.experiment import Experiment
    from .context import StopInfo
    from .outcome import Entry

MESSAGE_LENGTH, TRACEBACK_LENGTH = 10_000, 100_000
# A longer message is not repeated whole in the traceback.
_REPEATED_LENGTH = 1_000
# Longer than the note that says what was left out.
_NOTE_LENGTH = 100
_PACKAGE = __name__.partition(".")[0]
_KINDS = {kind.__name__: kind for kind in (TrialProcessError, TrialTimeoutError)}


class Attempt(NamedTuple):
    """An outcome, and the exception itself for whoever wants to raise it again."""

    outcome: Outcome
    exception: BaseException | None = None


class Attempts(Protocol):
    """Runs trials by their index; several threads may call ``run`` at once."""

    def run(self, index: int) -> Attempt:
        """Run a trial; never raises for what the trial does."""

    def close(self) -> None:
        """Release what runs them."""


class Isolation(Protocol):
    """Starts processes for trials, which ask ``services`` and ``watch``."""

    def start(
        self, services: Questions, watch: StopInfo, *, warm: bool = True
    ) -> Attempts:
        """Return what runs trials there; if ``warm``, its first process is ready."""


class InProcess:
    """Implements ``Attempts`` in this process and the calling thread."""

    def __init__(
        self, experiment: Experiment, function: Callable[..., Any], context: Context
    ) -> None:
        self._experiment = experiment
        self._function = function
        self._context = context

    def run(self, index: int) -> Attempt:
        try:
            trial = self._experiment[index]
            self._give_stream(trial)
        except BaseException as error:  # noqa: BLE001 - as where a copy needs memory
            ids = self._experiment.trial_ids[index], self._experiment.id
            return attempt(_raising(error), Trial(*ids, index, {}), self._context)
        return attempt(self._function, trial, self._context)

    def _give_stream(self, trial: Trial) -> None:
        own = Stream(self._experiment, trial)
        stream.set(own)
        if own.seeds_globals and ("random" in sys.modules or "numpy" in sys.modules):
            from ..experiment.streams import seed_globals  # which others need not

            seed_globals(*own.place)

    def close(self) -> None:
        """There is nothing to let go."""


def _raising(error: BaseException) -> Callable[..., Any]:
    def function(*_: Any) -> Any:
        raise error

    return function


def attempt(function: Callable[..., Any], trial: Trial, context: Context) -> Attempt:
    """Run ``function`` for ``trial`` in ``context``; never raises."""
    started_at, start = time.time(), time.perf_counter()
    results, exception = None, None
    token = current.set(context)
    try:
        results = context.encode(_called(function, trial))
    except BaseException as error:  # noqa: BLE001 - sys.exit() ends a trial, no more
        exception = error
    finally:
        current.reset(token)
    duration = time.perf_counter() - start
    status, failure = _judged(exception, context)
    times = started_at, started_at + duration
    outcome = Outcome(trial.index, status, results, failure, *times, duration)
    return Attempt(outcome, exception)


def _called(function: Callable[..., Any], trial: Trial) -> dict[str, Any]:
    with OwnProcess():
        results = function(trial.configuration, trial.id)
    if not isinstance(results, dict):
        name = getattr(function, "__qualname__", "the trial function")
        msg = f"{name} returned {type(results).__name__}; a trial must return a dict"
        raise EncodingError(msg)
    return results


def _judged(
    exception: BaseException | None, context: Context
) -> tuple[str, Failure | None]:
    """Return a trial's status and failure, and put the run's handlers back."""
    if exception is None and signals.are_untouched():
        return Status.FINISHED, None
    handlers = signals.replaced()
    try:
        return _meaning_of(exception, handlers, context.watch)
    except BaseException as error:  # noqa: BLE001 - of what the trial has raised
        return Status.FAILED, describe(error)
    finally:
        signals.put_back(handlers)


def _meaning_of(
    exception: BaseException | None, handlers: dict[int, Any], watch: StopInfo
) -> tuple[str, Failure | None]:
    if exception is None:
        return Status.FINISHED, None
    if isinstance(exception, TrialInterrupted):
        return Status.PENDING, None
    from .stepping_back import stepped_back  # which most workers never need

    if stepped_back(exception, handlers, watch):
        return Status.PENDING, None
    full = _what_ends_the_run(exception)
    failure = describe(exception)
    if full is None:
        return Status.FAILED, failure
    kept = _bounded(type(full).__name__, str(full), failure.traceback)
    return Status.PENDING, kept


def _what_ends_the_run(error: BaseException | None) -> BaseException | None:
    """Return the storage's error that this one is, or was raised because of."""
    seen = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, EndsRun):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def describe(error: BaseException) -> Failure:
    """Return what is stored of an exception, from the user's own code on."""
    kind = type.__dict__["__name__"].__get__(type(error))  # whatever its class says
    message = text_of(error)
    try:
        if isinstance(error, SystemExit):
            message = f"the trial called sys.exit({error.code!r})"
        import traceback

        script.show_sources()
        lines = traceback.format_exception(type(error), error, _users_frames(error))
        text = "".join(lines)
    except BaseException:  # noqa: BLE001 - a broken __str__ must not break the run
        text = f"{kind}: {message}"
    return _bounded(kind, message, text)


def message_of(error: BaseException) -> str:
    """Return an exception's message, as much of it as is worth to send and to keep."""
    return _cut(text_of(error), MESSAGE_LENGTH)


def _bounded(kind: str, message: str, traceback: str) -> Failure:
    """Return a failure of which a thousand like it do not fill memory and file."""
    if len(message) > _REPEATED_LENGTH:
        traceback = traceback.replace(message, _cut(message, _REPEATED_LENGTH))
    message = _cut(message, MESSAGE_LENGTH)
    return Failure(kind, message, _cut(traceback, TRACEBACK_LENGTH))


def _cut(text: str, longest: int) -> str:
    """Leave out the middle of a text that is too long, and say so there."""
    if len(text) <= longest:
        return text
    kept = (longest - _NOTE_LENGTH) // 2
    note = f"\n[{len(text) - 2 * kept:,} characters are left out here]\n"
    return text[:kept] + note + text[-kept:]


def trial_error(entry: Entry) -> TrialError:
    """Return a trial's failure as an exception that carries where it happened."""
    place, failure = entry.place, entry.outcome.failure
    kind, text = (failure.type, failure.message) if failure else ("", "")
    return _KINDS.get(kind, TrialError)(
        f"trial {entry.outcome.index} failed on rank {place.rank} "
        f"({place.hostname}): {kind}: {text}",
        traceback=failure.traceback if failure else "",
        rank=place.rank,
        hostname=place.hostname,
    )


def _users_frames(error: BaseException) -> TracebackType | None:
    """Leave out this package's own frames, which stand before the user's.

    Where there are no others, it is a mistake that was explained, or a bug to be seen.
    """
    frames = error.__traceback__
    while frames is not None and _is_ours(frames.tb_frame.f_globals):
        frames = frames.tb_next
    if frames is None and not isinstance(error, ExperimenterError):
        return error.__traceback__
    return frames


def _is_ours(namespace: dict[str, Any]) -> bool:
    return str(namespace.get("__name__", "")).partition(".")[0] == _PACKAGE
