"""Experiments and trials: a name, a function, and a configuration to expand."""

from __future__ import annotations

import operator
import sys
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ConfigurationError, TrialNotFinishedError
from .grid import Expansion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from .blocks import Study


# As many as a UUID can tell apart.
_SEEDS = 1 << 128


class _Stored(NamedTuple):
    """A trial as it is stored: ``results`` is None until it has finished."""

    id: uuid.UUID
    experiment_id: uuid.UUID
    index: int  # type: ignore[assignment] # hides tuple.index, which nobody misses
    configuration: dict[str, Any]
    results: dict[str, Any] | None = None
    status: str = "pending"
    attempts: int = 0
    error_type: str | None = None
    error_message: str | None = None
    error: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    duration: float | None = None
    rank: int | None = None
    hostname: str | None = None
    run_id: int | None = None


class Trial(_Stored):
    """One point of an experiment's expanded configuration, and what came of it.

    ``status`` is pending, running, finished or failed. ``error`` is the traceback
    text of the last failure, ``duration`` seconds, times are ISO 8601 in UTC.
    ``run_id`` is the run that ran it last, a row of the table ``runs``; None where it
    was completed by hand or was never run.

    ``results`` is a dict where ``has_finished``; otherwise it is false, and asking it
    for a result raises TrialNotFinishedError, which says how far the trial is.
    """

    __slots__ = ()

    @property
    def results(self) -> dict[str, Any]:
        stored = super().results
        return NoResults(self) if stored is None else stored  # type: ignore[return-value]

    @property
    def has_finished(self) -> bool:
        return self.status == "finished"


class NoResults:
    """In the place of the results of a trial that has not finished."""

    __slots__ = ("_trial",)

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def __bool__(self) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NoResults) and self._trial == other._trial

    __hash__ = None  # type: ignore[assignment] # as of a dict

    def __repr__(self) -> str:
        return f"<no results: trial {self._trial.index} is {self._trial.status}>"

    def _refuse(self, *_: object) -> Any:
        trial = self._trial
        first_line = (trial.error_message or "").partition("\n")[0]
        why = f" ({trial.error_type}: {first_line:.200})" if trial.error_type else ""
        msg = (
            f"trial {trial.index} ({trial.id}) has no results: it is "
            f"{trial.status}{why}; check trial.has_finished first"
        )
        raise TrialNotFinishedError(msg)

    __getitem__ = __iter__ = __len__ = __contains__ = _refuse
    get = items = keys = values = _refuse


class TrialIds:
    """The ids of an experiment's trials: a pure function of its id and their index.

    A UUID of version 8 (RFC 9562): 74 bits of a hash of the experiment's id, then 48
    bits of the trial's index. Ids of one experiment therefore sort by index, which
    keeps insertions into the database's index sequential, and the index can be read
    off the id. The hash is multiplicative (Knuth, The Art of Computer Programming 3,
    6.4): ids that a user chose as 1, 2, 3 are spread as random ones are.
    """

    # 2^128 divided by the golden ratio, made odd.
    _SPREAD = 0x9E3779B97F4A7C15F39CC0605CEDC835
    _FIXED_BITS = (0x8 << 76) | (0b10 << 62)
    _FREE_BITS = ((1 << 128) - (1 << 48)) & ~(0xF << 76) & ~(0b11 << 62)

    def __init__(self, experiment_id: uuid.UUID) -> None:
        bits = experiment_id.int * self._SPREAD % (1 << 128)
        self._base = (bits & self._FREE_BITS) | self._FIXED_BITS
        self.prefix = str(uuid.UUID(int=self._base))[:24]

    def __getitem__(self, index: int) -> uuid.UUID:
        return uuid.UUID(int=self._base | index)

    def text(self, index: int) -> str:
        """Return the id as text; the last group of a UUID is exactly the index."""
        return f"{self.prefix}{index:012x}"

    def index(self, trial_id: uuid.UUID | str) -> int:
        """Return the index that a trial id of this experiment was made of."""
        text = str(trial_id)
        if not text.startswith(self.prefix):
            msg = f"{text} is not a trial of this experiment"
            raise ValueError(msg)
        return int(text[24:], 16)


class Experiment:
    """A named experiment: call ``function`` for each trial of ``configuration``.

        Experiment("walk", function=walk, configuration={
            "N": IterableVariable([100, 1000]), "seed": IntegerVariable(1, 4),
            "sigma": 0.1,
        })

    ``configuration`` is a dict of names and values, or a list of such dicts, whose
    trials come one after the other. In a dict the variables among them are
    expanded to their product, as nested ``for`` loops from top to bottom, and the rest
    is the same in every trial. Each trial gets a copy of its own of what can be
    changed, in the state in which the experiment was made. Give an ``id`` of your own
    where another experiment names this one's trials: a random one differs each time
    the file is loaded.

    The trial function is ``fn(configuration: dict, trial_id: UUID) -> dict``. Name it
    by ``function_name``, or give the callable itself as ``function``; likewise
    ``init_store_function_name`` or ``init_store`` for the function that builds each
    rank's global store: it gets the configuration as written here and returns a dict.
    Names are looked up in ``include_file`` (relative to ``execute``'s ``directory``)
    or, without it, in the file that creates the experiment.

    ``where(configuration)`` says which points of the product are trials; it is called
    on rank 0, once for each combination of the parameters that it looks at. The others
    keep their order. ``priority(configuration)`` is a number: trials with a higher one
    are begun first, whatever their index.

    Each trial has a stream of random numbers of its own, which follows from ``seed``
    and the trial's index: see ``get_rng``. Without a ``seed``, that is a function of
    the experiment's id, and is stored with it at the first run. Before each trial the
    global generators of ``random`` and ``numpy.random``, if they are imported, are
    seeded from it too; ``reseed=False`` leaves them alone.

    Iterating yields ``Trial`` objects, ``len()`` is their number, ``experiment[i]``
    computes trial *i* alone. The id is random unless given.

    A stored experiment may be extended with another configuration; see ``execute``.
    Its trials then keep their numbers, also those that are not asked for any more,
    which ``len()`` does not count. ``assume`` says what the value of a parameter is in
    trials that do not have it: ``assume={"b": 0}`` when ``b`` is new.

    Raises:
        ConfigurationError: the configuration cannot be expanded or copied, the
            arguments contradict each other, or ``seed`` is not an integer from 0 to
            2**128 - 1.
    """

    def __init__(
        self,
        name: str,
        *,
        configuration: dict[str, Any] | list[dict[str, Any]],
        function_name: str | None = None,
        function: Callable[..., Any] | None = None,
        include_file: str | None = None,
        init_store_function_name: str | None = None,
        init_store: Callable[..., Any] | None = None,
        id: uuid.UUID | str | None = None,  # noqa: A002 - the ancestor's name
        where: Callable[[dict[str, Any]], Any] | None = None,
        priority: Callable[[dict[str, Any]], float] | None = None,
        seed: int | None = None,
        reseed: bool = True,
        assume: dict[str, Any] | None = None,
    ) -> None:
        self.name = _checked_name(name)
        self.function = function
        self.function_name = _one_of("function", function, function_name)
        self.include_file = None if include_file is None else str(include_file)
        self.init_store = init_store
        self.init_store_function_name = _one_of(
            "init_store", init_store, init_store_function_name
        )
        if self.function_name is None:
            msg = f"experiment '{name}' needs function= or function_name="
            raise ConfigurationError(msg)
        # As it is now: a trial, or the rest of the script, may change what it holds.
        for what, given in (("where", where), ("priority", priority)):
            if given is not None and not callable(given):
                msg = f"{what} must be a function of the configuration, not {given!r}"
                raise ConfigurationError(msg)
        self.priority = priority
        self._expansion = Expansion(configuration, where)
        self.given_seed = None if seed is None else _checked_seed(seed)
        # Its trials, where they are not just those of its configuration.
        self.study: Study | None = None
        self.assume: dict[str, Any] = {}
        if assume is not None:
            from .assumption import checked  # which few experiments need

            self.assume = checked(assume)
        self.reseed = reseed
        self.has_given_id = id is not None
        self.id = _experiment_id(id)
        maker = sys._getframe(1)  # noqa: SLF001
        # The names above mean names of the file that says them, wherever it is loaded.
        self.namespace: dict[str, Any] = maker.f_globals
        if _recorders:
            _recorders[-1](self, maker)

    @property
    def id(self) -> uuid.UUID:
        return self._id

    @id.setter  # noqa: A003 - the ancestor's name
    def id(self, value: uuid.UUID) -> None:
        self._id = value
        self._stored_seed: int | None = None
        self.trial_ids = TrialIds(value)

    @property
    def seed(self) -> int:
        """What the random streams of all trials follow from, in every attempt."""
        if self._stored_seed is not None:
            return self._stored_seed
        return self._id.int if self.given_seed is None else self.given_seed

    def become(
        self,
        experiment_id: uuid.UUID,
        seed: int | None = None,
        configuration: dict[str, Any] | None = None,
        study: Study | None = None,
    ) -> None:
        """Take over the id, seed and configuration that are stored, or rank 0's."""
        self.id = experiment_id
        self._stored_seed = seed
        if configuration is not None:
            self._expansion = Expansion(configuration)
            self.study = study

    @property
    def configuration(self) -> dict[str, Any]:
        return self._expansion.configuration

    @property
    def expansion(self) -> Expansion:
        return self._expansion

    @property
    def asked(self) -> tuple[range, ...]:
        """The numbers of the trials that are asked for: all, if it was not extended."""
        if self.study is None:
            return (range(self._expansion.size),)
        numbers: tuple[range, ...] = self.study.asked.pieces
        return numbers

    @property
    def size(self) -> int:
        """How many trials there are, also of those that are not asked for any more."""
        return self._expansion.size if self.study is None else self.study.blocks.size

    def __len__(self) -> int:
        return sum(map(len, self.asked))

    def __getitem__(self, index: int) -> Trial:
        place = operator.index(index)
        if place < 0:
            place += self.size
        if not 0 <= place < self.size:
            msg = f"experiment '{self.name}' has {self.size} trials, none at {index}"
            raise IndexError(msg)
        trials = self._expansion if self.study is None else self.study.blocks
        return Trial(self.trial_ids[place], self.id, place, trials[place])

    def __iter__(self) -> Iterator[Trial]:
        return (self[index] for piece in self.asked for index in piece)

    def __repr__(self) -> str:
        return f"<Experiment '{self.name}' of {len(self)} trials>"


# While a script is loaded, what takes note of each experiment and of the frame that
# makes it; the last one counts.
_recorders: list[Callable[[Experiment, FrameType], object]] = []


@contextmanager
def recording(recorder: Callable[[Experiment, FrameType], object]) -> Iterator[None]:
    """Call ``recorder`` with each experiment that is made meanwhile, and its maker."""
    _recorders.append(recorder)
    try:
        yield
    finally:
        _recorders.remove(recorder)


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or not name.strip() or "\x00" in name:
        msg = f"an experiment's name must be a non-empty string, not {name!r}"
        raise ConfigurationError(msg)
    return name


def _checked_seed(value: Any) -> int:
    try:
        seed = operator.index(value)
    except TypeError:
        seed = -1
    if isinstance(value, bool) or not 0 <= seed < _SEEDS:
        msg = f"seed must be an integer from 0 to 2**128 - 1, not {value!r}"
        raise ConfigurationError(msg)
    return seed


def _one_of(what: str, function: Any, function_name: Any) -> str | None:
    """Return the name that is stored: of the callable, or as it was given."""
    if function is not None and function_name is not None:
        msg = f"give {what} or {what}_name, not both"
        if what == "init_store":
            msg = "give init_store or init_store_function_name, not both"
        raise ConfigurationError(msg)
    if function is None:
        if function_name is not None and not isinstance(function_name, str):
            msg = f"{what}: a name must be a string; pass a callable as {what}="
            raise ConfigurationError(msg)
        return function_name
    if not callable(function):
        msg = f"{what} must be callable, not {function!r}"
        raise ConfigurationError(msg)
    return getattr(function, "__qualname__", None) or type(function).__qualname__


def _experiment_id(value: uuid.UUID | str | None) -> uuid.UUID:
    if value is None:
        return uuid.uuid4()
    if isinstance(value, uuid.UUID):
        return value
    try:
        return uuid.UUID(value)
    except (TypeError, ValueError, AttributeError):
        msg = f"id must be a UUID, not {value!r}"
        raise ConfigurationError(msg) from None
