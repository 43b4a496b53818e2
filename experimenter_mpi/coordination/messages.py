"""The whole conversation between rank 0 and the workers, on one screen.

A worker says ``Ready`` and is given two batches; each time it has finished one it
reports and is given another, so that it never idles for a round trip. While a trial
runs its worker may ask questions, each of which rank 0 answers.

Where executors of mpi4py.futures hand out the trials, ``Form`` follows ``Ready``, and
only questions and ``Begun`` travel here until the ``Release``.
"""

from __future__ import annotations

from enum import IntEnum
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ..encoding.codec import Encoded
from ..trial.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..trial.outcome import Place, StoredSnapshot

Ranges = tuple[tuple[int, int], ...]


def indices_of(ranges: Ranges) -> list[int]:
    """Return the trials that ranges of indices, without their ends, name."""
    return [index for start, stop in ranges for index in range(start, stop)]


# Finished trials are reported together, but none later than this much other work: one
# that takes as long is reported by itself.
HOLD_SECONDS = 0.01


class Tag(IntEnum):
    """One tag per type of message. A trial's index is never a tag: tags end at 2^20."""

    ANNOUNCE = 1
    BEGIN = 2
    DISMISS = 3
    ASSIGN = 4
    STOP_WORK = 5
    RELEASE = 6
    READY = 7
    UNABLE = 8
    FINISHED = 9
    WORK_STOPPED = 10
    SAVE_SNAPSHOT = 11
    FETCH_SNAPSHOT = 12
    FETCH_RESULTS = 13
    COMPLETE_TRIAL = 14
    DONE = 15
    SNAPSHOT_FOUND = 16
    RESULTS_FOUND = 17
    REFUSED = 18
    FORM = 19
    BEGUN = 20
    ADD_PIECE = 21
    FETCH_PIECE = 22
    PIECE = 23
    LEAVE = 24


T = TypeVar("T", bound=type)

TYPES: dict[Tag, type[Any]] = {}
TAGS: dict[type, Tag] = {}


def message(tag: Tag) -> Callable[[T], T]:
    """Make a named tuple a type of message: its tag, and equal only to its own type.

    Named tuples, since they are the standard library's only frozen records that do not
    import ``dataclasses``, and with it ``inspect``, on every rank.
    """

    def register(kind: T) -> T:
        TYPES[tag] = kind
        TAGS[kind] = tag
        setattr(kind, "__eq__", _equal)  # noqa: B010 - mypy will not have it assigned
        setattr(kind, "__ne__", _unequal)  # noqa: B010 - tuple has one of its own
        setattr(kind, "__hash__", _hash)  # noqa: B010
        return kind

    return register


# Outcomes as they travel: each field of all of them, and of results that are all text
# that text. One by one, named as they are, they cost six times as much to pickle.
Columns = tuple[tuple[Any, ...], ...]


def spread(outcomes: Iterable[Outcome]) -> Columns:
    """Return the fields of outcomes, none where there are no outcomes."""
    fields = tuple(zip(*outcomes, strict=True))
    if not fields:
        return ()
    index, status, results, *others = fields
    texts = tuple(r[0] if r and not (r[1] or r[2]) else r for r in results)
    return index, status, texts, *others


def gathered(columns: Columns) -> tuple[Outcome, ...]:
    """Return what ``spread`` was given."""
    if not columns:
        return ()
    index, status, texts, *others = columns
    new = tuple.__new__  # a named tuple's own is a function of Python's
    none: Any = ()
    results = [new(Encoded, (r, none, none)) if type(r) is str else r for r in texts]
    rows = zip(index, status, results, *others, strict=True)
    return tuple(map(new, repeat(Outcome), rows))


def _equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and tuple(one) == tuple(other)


def _unequal(one: Any, other: Any) -> bool:
    return not _equal(one, other)


def _hash(one: Any) -> int:
    return hash((type(one), tuple(one)))


@message(Tag.ANNOUNCE)
class Announce(NamedTuple):
    """Either way: a message of this tag and size follows on the payload channel.

    At its end are ``buffers`` of its arrays and, in 8 bytes each, their sizes.
    """

    tag: int
    size: int
    buffers: int = 0


@message(Tag.BEGIN)
class Begin(NamedTuple):
    """Coordinator to worker: an experiment starts; ``job`` is a pickled ``Job``."""

    job: bytes


@message(Tag.DISMISS)
class Dismiss(NamedTuple):
    """Coordinator to worker: an experiment has ended, or none is to begin.

    ``summary`` holds the fields of the run's ``RunSummary``; ``error`` is the class
    name and text of what stopped rank 0; neither: go home.
    """

    summary: tuple[Any, ...] | None = None
    error: tuple[str, str] | None = None


@message(Tag.LEAVE)
class Leave(NamedTuple):
    """Coordinator to worker: end your script with this exit code, as rank 0 does."""

    code: int


@message(Tag.READY)
class Ready(NamedTuple):
    """Worker to coordinator: script loaded, store built, give me trials.

    ``place`` is where it runs them; None: that changes, and each ``Begun`` says it.
    """

    place: Place | None


@message(Tag.UNABLE)
class Unable(NamedTuple):
    """Worker to coordinator: I cannot load the script or build the store."""

    place: Place
    error: str
    message: str


@message(Tag.ASSIGN)
class Assign(NamedTuple):
    """Coordinator to worker: run these trials, ranges of indices, in this order.

    ``announced``: say Begun before the first. A rank died of it, perhaps; if the next
    one is dead before it has this message, that is not the trial's doing.
    """

    ranges: Ranges
    announced: bool = False


@message(Tag.FINISHED)
class Finished(NamedTuple):
    """Worker to coordinator: outcomes of trials I hold, in the order assigned.

    Those that end a batch ask for another one.
    """

    outcomes: tuple[Outcome, ...]


@message(Tag.STOP_WORK)
class StopWork(NamedTuple):
    """Coordinator to worker: start no trial; the running one may step back.

    It has ``seconds`` for that, None as long as it likes.
    """

    reason: str
    seconds: float | None = None


@message(Tag.WORK_STOPPED)
class WorkStopped(NamedTuple):
    """Worker to coordinator: all I hold and have not reported is untouched.

    In answer to Release, where executors hand out the trials: nothing comes after it.
    """


@message(Tag.RELEASE)
class Release(NamedTuple):
    """Coordinator to worker: this experiment is over."""


@message(Tag.FORM)
class Form(NamedTuple):
    """Coordinator to worker: serve mpi4py.futures' executors, as one of these ranks."""

    ranks: tuple[int, ...]


@message(Tag.BEGUN)
class Begun(NamedTuple):
    """Worker to coordinator: this trial, the first of a batch, runs here now.

    ``place`` is where, of a worker that did not say so when it was ready.
    """

    index: int  # type: ignore[assignment] # hides tuple.index, which nobody misses
    place: Place | None = None


@message(Tag.SAVE_SNAPSHOT)
class SaveSnapshot(NamedTuple):
    """Worker to coordinator: keep this state. Answer: Done, once it is durable."""

    trial_id: str
    state: Encoded
    label: str | None


@message(Tag.FETCH_SNAPSHOT)
class FetchSnapshot(NamedTuple):
    """Worker to coordinator: this trial's latest? Answer: SnapshotFound."""

    trial_id: str


@message(Tag.FETCH_RESULTS)
class FetchResults(NamedTuple):
    """Worker to coordinator: any trial's results? Answer: ResultsFound."""

    trial_id: str


@message(Tag.COMPLETE_TRIAL)
class CompleteTrial(NamedTuple):
    """Worker to coordinator: keep these results. Answer: Done, once durable."""

    trial_id: str
    results: Encoded


@message(Tag.ADD_PIECE)
class AddPiece(NamedTuple):
    """Worker to coordinator: bytes of an array file. Answer: Done, durable if last."""

    file: str
    offset: int
    data: bytes
    is_last: bool


@message(Tag.FETCH_PIECE)
class FetchPiece(NamedTuple):
    """Worker to coordinator: bytes of an array file? Answer: Piece."""

    file: str
    offset: int
    size: int


@message(Tag.DONE)
class Done(NamedTuple):
    """Coordinator to worker: what you asked me to keep is durable."""


@message(Tag.SNAPSHOT_FOUND)
class SnapshotFound(NamedTuple):
    """Coordinator to worker: the latest snapshot, None if there is none."""

    snapshot: StoredSnapshot | None


@message(Tag.RESULTS_FOUND)
class ResultsFound(NamedTuple):
    """Coordinator to worker: the results, None while the trial is unfinished."""

    results: Encoded | None


@message(Tag.PIECE)
class Piece(NamedTuple):
    """Coordinator to worker: the bytes, none where the file has ended."""

    data: bytes


@message(Tag.REFUSED)
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
