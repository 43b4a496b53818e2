"""What a running trial may ask for, with the same meaning in every mode.

Who runs the trial sets the context; the functions here find it. Each thread has its
own, so that trials on several threads never see each other's.
"""

from __future__ import annotations

from _contextvars import ContextVar  # contextvars is one more file to read
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Protocol
from uuid import UUID

from ..encoding import codec
from ..errors import (
    ConfigurationError,
    DatabaseLockedError,
    DatabaseWriteError,
    EncodingError,
    EndsRun,
    OutsideTrialError,
    StoreError,
    marked,
)
from . import signals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.random import Generator

    from ..encoding.codec import ArrayRecord, Encoded
    from ..experiment.experiment import Experiment, Trial
    from .outcome import StoredSnapshot
    from .store import Store


class Snapshot(NamedTuple):
    """State that a trial saved, to go on from after an interruption.

    ``created_at`` is an ISO 8601 time in UTC, for people; which snapshot of a trial
    is the latest is decided by a sequence number, never by a clock.
    """

    id: UUID
    trial_id: UUID
    state: dict[str, Any]
    label: str | None
    created_at: str


class TrialServices(Protocol):
    """Where a trial's requests are answered: the ledger, or rank 0 by message.

    Every call is durable when it returns.
    """

    def save_snapshot(self, trial_id: str, state: Encoded, label: str | None) -> None:
        """See ``Ledger.save_snapshot``."""

    def latest_snapshot(self, trial_id: str) -> StoredSnapshot | None:
        """See ``Ledger.latest_snapshot``."""

    def results_of(self, trial_id: str) -> Encoded | None:
        """See ``Ledger.results_of``."""

    def complete(self, trial_id: str, results: Encoded) -> None:
        """See ``Ledger.complete``."""


class Arrays(Protocol):
    """Where arrays too large for a message or a row go, and come from."""

    def write(self, encoded: Encoded) -> Encoded:
        """Move large arrays out; what remains owns its bytes."""

    def read(self, record: ArrayRecord) -> Any:
        """Return the array."""


class StopInfo(Protocol):
    """What a trial may know about the end of the run."""

    def requested(self) -> bool:
        """Whether the run is draining."""

    def time_left(self) -> float | None:
        """Seconds until the run's time limit."""


class Context(NamedTuple):
    """Everything a trial may reach besides its own arguments."""

    experiment_name: str
    services: TrialServices
    arrays: Arrays
    watch: StopInfo
    store: Store | None = None
    allow_pickle: bool = False

    def encode(self, value: Any, owner: str | None = None) -> Encoded:
        """Encode a value and move its large arrays to where they are kept.

        What belongs to an ``owner`` is removed with others of that owner's.
        """
        encoded = codec.encode(value, hash_up_to=codec.INLINE_BYTES)
        if not encoded.arrays:
            return encoded
        if owner is not None:
            encoded = codec.owned(encoded, owner)
        with _keeping():
            return self.arrays.write(encoded)

    def decode(self, encoded: Encoded) -> Any:
        records = {record.id: record for record in encoded.arrays}

        def load(array_id: str) -> Any:
            return self.arrays.read(records[array_id])

        return codec.decode(encoded.document, load, allow_pickle=self.allow_pickle)


current: ContextVar[Context] = ContextVar("current")


class Stream:
    """The random numbers of one attempt at a trial: see ``experiment.streams``.

    ``seeds_globals``: the global generators are the trial's own, from its start until
    it saves a snapshot or asks for its latest. ``generator`` is made when first asked
    for.
    """

    __slots__ = ("experiment", "generator", "seeds_globals", "trial")

    def __init__(self, experiment: Experiment, trial: Trial) -> None:
        self.experiment = experiment
        self.trial = trial
        self.seeds_globals = experiment.reseed
        self.generator: Generator | None = None

    @property
    def place(self) -> tuple[int, int]:
        """The seed of the experiment, and the number of the trial."""
        return self.experiment.seed, self.trial.index


stream: ContextVar[Stream | None] = ContextVar("stream", default=None)


class _Denied:
    """Refuses whatever a process that a trial has forked asks of the run."""

    def __getattr__(self, name: str) -> NoReturn:
        msg = (
            "only the trial's own process can do this, not a process that it has "
            "started: pass the values to the trial's function"
        )
        raise OutsideTrialError(msg)


def _deny_to_child() -> None:
    """Leave a forked process nothing of its parent's context but the store."""
    context = current.get(None)
    if context is not None:
        denied: Any = _Denied()
        current.set(context._replace(services=denied, arrays=denied, watch=denied))
        stream.set(None)  # all children would draw the same numbers


signals.on_fork.append(_deny_to_child)


def get_global_store() -> Store:
    """Return this rank's read-only store.

    Raises:
        StoreError: the experiment has no store function.
    """
    context = _context("get_global_store")
    if context.store is None:
        msg = (
            f"experiment '{context.experiment_name}' has no global store: set "
            "init_store=your_function (or its name) in Experiment(...)"
        )
        raise StoreError(msg)
    return context.store


def save_snapshot_in_global_database(
    trial_id: UUID | str, state: dict[str, Any], label: str | None = None
) -> None:
    """Save the state of a running trial; durable when it returns."""
    context = _context("save_snapshot_in_global_database")
    label = checked_label(label)
    encoded = context.encode(_checked("a snapshot's state", state), str(trial_id))
    with _keeping():
        context.services.save_snapshot(str(trial_id), encoded, label)
    _goes_on(str(trial_id))


def get_latest_snapshot_from_global_database(trial_id: UUID | str) -> Snapshot | None:
    """Return the trial's latest snapshot, or None if it has saved none."""
    context = _context("get_latest_snapshot_from_global_database")
    stored = context.services.latest_snapshot(str(trial_id))
    _goes_on(str(trial_id), stored)
    if stored is None:
        return None
    state = context.decode(stored.state)
    ids = UUID(stored.id), UUID(stored.trial_id)
    return Snapshot(*ids, state, stored.label, stored.created_at)


def get_results_from_trial_global_database(
    trial_id: UUID | str,
) -> dict[str, Any] | None:
    """Return the results of any trial in the database, None while it is unfinished."""
    context = _context("get_results_from_trial_global_database")
    encoded = context.services.results_of(str(trial_id))
    return None if encoded is None else context.decode(encoded)


def complete_trial_in_global_database(
    trial_id: UUID | str, results: dict[str, Any]
) -> None:
    """Store results of a trial, which is then finished; durable when it returns."""
    context = _context("complete_trial_in_global_database")
    encoded = context.encode(_checked("results", results))
    with _keeping():
        context.services.complete(str(trial_id), encoded)


def get_rng() -> Generator:
    """Return the trial's own random generator, the same object each time it asks.

    It is numpy's ``Generator(PCG64(SeedSequence(seed, spawn_key=(number,))))``, where
    ``seed`` is the experiment's and ``number`` the trial's index. So a trial draws the
    same numbers in every mode, on any number of ranks and in every attempt.
    """
    own = _stream("get_rng")
    if own.generator is None:
        from ..experiment.streams import generator

        own.generator = generator(*own.place)
    return own.generator


def get_seed(bits: int = 64) -> int:
    """Return a whole number of so many bits, from 1 to 128: a seed of the trial's own.

    Always the same one for a trial: the lowest bits of the integer whose 32-bit words,
    the lowest first, are ``SeedSequence(seed, spawn_key=(number,)).generate_state(4)``.
    Nothing is drawn from ``get_rng()``.
    """
    own = _stream("get_seed")
    from ..experiment.streams import SEED_BITS, integer

    if type(bits) is not int or not 1 <= bits <= SEED_BITS:
        msg = f"bits must be a whole number from 1 to {SEED_BITS}, not {bits!r}"
        raise ConfigurationError(msg)
    seed, number = own.place
    return integer(seed, (number,), bits)


def stop_requested() -> bool:
    """Say whether the run is draining: save a snapshot, raise TrialInterrupted."""
    return _context("stop_requested").watch.requested()


def time_left() -> float | None:
    """Return the seconds until the run's time limit, None without one."""
    return _context("time_left").watch.time_left()


def _goes_on(trial_id: str, stored: StoredSnapshot | None = None) -> None:
    """Give a trial that goes on from a snapshot other random numbers from here on.

    Else it would draw again what it has drawn before the snapshot.
    """
    own = stream.get()
    if own is None or not own.seeds_globals or str(own.trial.id) != trial_id:
        return
    own.seeds_globals = False
    if stored is not None:
        from ..experiment.streams import seed_globals_after

        seed_globals_after(*own.place, UUID(stored.id).int)


@contextmanager
def _keeping() -> Iterator[None]:
    """Tell a storage that keeps nothing more from a mistake of this one trial."""
    try:
        yield
    except (DatabaseWriteError, DatabaseLockedError) as error:
        met = marked(error, EndsRun).with_traceback(error.__traceback__)
        raise met from error.__cause__


def _context(function: str) -> Context:
    try:
        return current.get()
    except LookupError:
        msg = (
            f"{function}() can be called only inside a running trial: call it from "
            "the trial function; a thread that this function starts needs its "
            "context, as in Thread(target=contextvars.copy_context().run, "
            "args=(work,))"
        )
        raise OutsideTrialError(msg) from None


def _stream(function: str) -> Stream:
    _context(function)
    own = stream.get()
    if own is None:
        msg = (
            f"{function}() can be called only in the trial's own process, not in one "
            "that it has started: give each of those a seed or a generator, as in "
            f"get_rng().spawn(n)"
        )
        raise OutsideTrialError(msg)
    return own


def checked_label(label: object) -> str | None:
    """Return a label as plain text: a class of the user's is not known everywhere.

    Raises:
        EncodingError: it is no text.
    """
    if label is None:
        return None
    if not isinstance(label, str):
        kind = type(label).__name__
        msg = f"a snapshot's label must be a string, not {kind}: use str({label!r:.40})"
        raise EncodingError(msg)
    return str.__str__(label)


def _checked(what: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        msg = f"{what} must be a dict, not {type(value).__name__}"
        raise EncodingError(msg)
    return value
