"""The whole conversation between rank 0 and the workers, on one screen.

A worker says ``Ready`` and is given two batches; each time it has finished one it
reports and is given another, so that it never idles for a round trip. While a trial
runs its worker may ask questions, each of which rank 0 answers.

Where executors of mpi4py.futures hand out the trials, ``Form`` follows ``Ready``, and
only questions and ``Begun`` travel here until the ``Release``.

A message is a named tuple, the only frozen record of the standard library that does not
import ``dataclasses``, and with it ``inspect``, on every rank. To add one, write its
class and name it in ``Message``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, get_args

if TYPE_CHECKING:
    from ..encoding.codec import Encoded
    from ..trial.outcome import Outcome, Place, StoredSnapshot

Ranges = tuple[tuple[int, int], ...]


def indices_of(ranges: Ranges) -> list[int]:
    """Return the trials that ranges of indices, without their ends, name."""
    return [index for start, stop in ranges for index in range(start, stop)]


# Finished trials are reported together, but none later than this much other work: one
# that takes as long is reported by itself.
HOLD_SECONDS = 0.01


class Announce(NamedTuple):
    """Either way: a message of this tag and size follows on the payload channel.

    At its end are ``buffers`` of its arrays and, in 8 bytes each, their sizes.
    """

    tag: int
    size: int
    buffers: int = 0


class Begin(NamedTuple):
    """Coordinator to worker: an experiment starts; ``job`` is a pickled ``Job``."""

    job: bytes


class Dismiss(NamedTuple):
    """Coordinator to worker: an experiment has ended, or none is to begin.

    ``summary`` holds the fields of the run's ``RunSummary``; ``error`` is the class
    name and text of what stopped rank 0; neither: go home.
    """

    summary: tuple[Any, ...] | None = None
    error: tuple[str, str] | None = None


class Leave(NamedTuple):
    """Coordinator to worker: end your script with this exit code, as rank 0 does."""

    code: int


class Ready(NamedTuple):
    """Worker to coordinator: script loaded, store built, give me trials.

    ``place`` is where it runs them; None: that changes, and each ``Begun`` says it.
    """

    place: Place | None


class Unable(NamedTuple):
    """Worker to coordinator: I cannot load the script or build the store."""

    place: Place
    error: str
    message: str


class Assign(NamedTuple):
    """Coordinator to worker: run these trials, ranges of indices, in this order.

    ``announced``: say Begun before the first. A rank died of it, perhaps; if the next
    one is dead before it has this message, that is not the trial's doing.
    """

    ranges: Ranges
    announced: bool = False


class Finished(NamedTuple):
    """Worker to coordinator: outcomes of trials I hold, in the order assigned.

    Those that end a batch ask for another one.
    """

    outcomes: tuple[Outcome, ...]


class StopWork(NamedTuple):
    """Coordinator to worker: start no trial; the running one may step back.

    It has ``seconds`` for that, None as long as it likes.
    """

    reason: str
    seconds: float | None = None


class WorkStopped(NamedTuple):
    """Worker to coordinator: all I hold and have not reported is untouched.

    In answer to Release, where executors hand out the trials: nothing comes after it.
    """


class Release(NamedTuple):
    """Coordinator to worker: this experiment is over."""


class Form(NamedTuple):
    """Coordinator to worker: serve mpi4py.futures' executors, as one of these ranks."""

    ranks: tuple[int, ...]


class Begun(NamedTuple):
    """Worker to coordinator: this trial, the first of a batch, runs here now.

    ``place`` is where, of a worker that did not say so when it was ready.
    """

    index: int  # type: ignore[assignment] # hides tuple.index, which nobody misses
    place: Place | None = None


class SaveSnapshot(NamedTuple):
    """Worker to coordinator: keep this state. Answer: Done, once it is durable."""

    trial_id: str
    state: Encoded
    label: str | None


class FetchSnapshot(NamedTuple):
    """Worker to coordinator: this trial's latest? Answer: SnapshotFound."""

    trial_id: str


class FetchResults(NamedTuple):
    """Worker to coordinator: any trial's results? Answer: ResultsFound."""

    trial_id: str


class CompleteTrial(NamedTuple):
    """Worker to coordinator: keep these results. Answer: Done, once durable."""

    trial_id: str
    results: Encoded


class AddPiece(NamedTuple):
    """Worker to coordinator: bytes of an array file. Answer: Done, durable if last."""

    file: str
    offset: int
    data: bytes
    is_last: bool


class FetchPiece(NamedTuple):
    """Worker to coordinator: bytes of an array file? Answer: Piece."""

    file: str
    offset: int
    size: int


class Done(NamedTuple):
    """Coordinator to worker: what you asked me to keep is durable."""


class SnapshotFound(NamedTuple):
    """Coordinator to worker: the latest snapshot, None if there is none."""

    snapshot: StoredSnapshot | None


class ResultsFound(NamedTuple):
    """Coordinator to worker: the results, None while the trial is unfinished."""

    results: Encoded | None


class Piece(NamedTuple):
    """Coordinator to worker: the bytes, none where the file has ended."""

    data: bytes


class Refused(NamedTuple):
    """Coordinator to worker: the request failed with this error of ``errors``."""

    error: str
    message: str


# What a running trial may ask, in every mode, and what it is told.
Question = (
    SaveSnapshot | FetchSnapshot | FetchResults | CompleteTrial | AddPiece | FetchPiece
)
Answer = Done | SnapshotFound | ResultsFound | Piece | Refused
Message = (
    Announce
    | Begin
    | Dismiss
    | Leave
    | Assign
    | StopWork
    | Release
    | Ready
    | Unable
    | Finished
    | WorkStopped
    | Form
    | Begun
    | Question
    | Answer
)
# A message's tag is its place here: a trial's index is never a tag, which end at 2^20.
TYPES: tuple[type[Any], ...] = get_args(Message)
TAGS = {kind: tag for tag, kind in enumerate(TYPES)}


def _equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and tuple(one) == tuple(other)


def _unequal(one: Any, other: Any) -> bool:
    return not _equal(one, other)


def _hash(one: Any) -> int:
    return hash((type(one), tuple(one)))


# Equal to its own type only, whatever its fields. A tuple has a __ne__ of its own.
for _kind in TYPES:
    for _name, _method in (("eq", _equal), ("ne", _unequal), ("hash", _hash)):
        setattr(_kind, f"__{_name}__", _method)
