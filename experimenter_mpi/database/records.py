"""Trials as they are stored: rows of those that matter, and the others computed.

A trial's row has the experiment's sequence and the trial's number as its key. Whoever
asks for a trial without a row is told what such a row would say: that it is pending.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from ..errors import CorruptDocumentError, DatabaseError
from ..experiment.experiment import TrialIds
from ..experiment.ranges import Numbers
from ..trial.outcome import Status, iso
from . import studies
from .configurations import configurations
from .file.rows import all_checked, checked_status, checked_time, later
from .file.tables import LARGEST_NUMBER, NUMBER_BITS, trial_records
from .garbage import in_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sqlalchemy import Connection, Row

    from .configurations import Configurations
    from .file.storage import Storage
    from .studies import BlockTexts

# Rows of one read transaction: a reader that took its time would hold up the writer.
ROWS_AT_ONCE = 5_000
# So many trials without a row are listed. More may be a few bytes of a stranger's file,
# or would fill the memory before anyone could read them.
MOST_COMPUTED = 5_000_000

_SELECT = """
SELECT trial_records.key, trial_records.configuration, status, {results} AS results,
    attempts, error_type, error_message, error, started_at, finished_at, duration,
    rank, hostname, deaths, run_id
FROM trial_records
LEFT JOIN trial_places ON trial_places.id = trial_records.place
LEFT JOIN trial_errors ON trial_errors.key = trial_records.key
WHERE trial_records.key {{}}
"""
_WITH_RESULTS = _SELECT.format(results="results")
_WITHOUT_RESULTS = _SELECT.format(results="NULL")
_PAGE = "BETWEEN ? AND ? {} ORDER BY trial_records.key LIMIT ?"
# A condition for ``page``: that the trial is not set aside.
ASKED = (
    f" AND coalesce((SELECT first + count FROM set_aside "  # noqa: S608
    f"WHERE experiment = trial_records.key >> {NUMBER_BITS} "
    f"AND first <= trial_records.key & {LARGEST_NUMBER} "
    f"ORDER BY first DESC LIMIT 1), 0) <= trial_records.key & {LARGEST_NUMBER}"
)
_INSERT_PENDING = (
    "INSERT OR IGNORE INTO trial_records (key, configuration) VALUES (?, ?)"
)
_ADD_PLACE = "INSERT OR IGNORE INTO trial_places (rank, hostname) VALUES (?, ?)"
_FIND_PLACE = "SELECT id FROM trial_places WHERE rank = ? AND hostname = ?"


class TrialRow(NamedTuple):
    """All that is known of a trial, its documents as JSON text, its times as ISO."""

    id: str
    experiment_id: str
    trial_index: int
    configuration: str
    status: str = Status.PENDING
    results: str | None = None
    attempts: int = 0
    error_type: str | None = None
    error_message: str | None = None
    error: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    duration: float | None = None
    rank: int | None = None
    hostname: str | None = None
    deaths: int = 0
    run_id: int | None = None


class TrialKeys:
    """The trials of a stored experiment: their numbers, keys, ids, configurations."""

    def __init__(self, storage: Storage, experiment: Row[Any]) -> None:
        self.experiment_id: str = experiment.id
        self.sequence: int = experiment.sequence
        self.size: int = experiment.trial_count
        self.ids = TrialIds(UUID(experiment.id))
        self.first: int = self.sequence << NUMBER_BITS
        self.last = self.first + self.size - 1
        # Whether all are asked for, and are those of the experiment's configuration.
        self.is_plain: bool = experiment.asked_count is None
        self._row = experiment
        self._storage = storage
        self._asked: Numbers | None = None
        self._texts: Configurations | BlockTexts | None = None

    @property
    def asked(self) -> Numbers:
        """The numbers of the trials that are asked for."""
        if self._asked is None:
            self._asked = studies.asked(self._storage, self._row)
        return self._asked

    @property
    def asked_count(self) -> int:
        count: int = self.size if self.is_plain else self._row.asked_count
        return max(0, min(count, self.size))

    @property
    def configurations(self) -> Configurations | BlockTexts:
        """Their texts by number.

        Raises:
            CorruptDocumentError: the experiment's own is no configuration.
        """
        if self._texts is None:
            found = self._computed()
            if found.size != self.size:
                msg = (
                    f"{self._storage.name}: trial_count or configuration of experiment "
                    f"'{self._row.name}' is damaged or was tampered with: {self.size} "
                    f"trials are said, and {found.size} are made; delete it, or run it "
                    "under another name"
                )
                raise CorruptDocumentError(msg)
            self._texts = found
        return self._texts

    def _computed(self) -> Configurations | BlockTexts:
        if not self.is_plain:
            return studies.BlockTexts(self._storage, self._row)
        try:
            return configurations(self._row.configuration)
        except CorruptDocumentError as error:
            where, name = self._storage.name, self._row.name
            msg = f"{where}: experiment '{name}': {error}; delete it"
            raise CorruptDocumentError(msg) from error

    def require_size(self) -> None:
        """Raise a CorruptDocumentError unless it has as many trials as it says."""
        assert self.configurations is not None  # noqa: S101 - which looks

    def key(self, number: int) -> int:
        if not 0 <= number < self.size:
            msg = (
                f"{self._storage.name}: something belongs to trial {number} of "
                f"experiment '{self._row.name}', which has {self.size} trials: the "
                "file is damaged"
            )
            raise CorruptDocumentError(msg)
        return self.first + number

    def pending(self, number: int) -> TrialRow:
        """Return what there is to say of a trial without a row."""
        text = self.configurations[number]
        return TrialRow(self.ids.text(number), self.experiment_id, number, text)

    def insert(self, connection: Connection, numbers: Iterable[int]) -> None:
        """Make rows, as pending, of trials that have none, for what belongs to them."""
        texts = self.configurations
        rows = [(self.key(number), texts[number]) for number in numbers]
        if rows:
            connection.exec_driver_sql(_INSERT_PENDING, rows)

    def row(self, found: Row[Any]) -> TrialRow:
        number = found.key & LARGEST_NUMBER
        started_at = checked_time("started_at", found.started_at)
        finished_at = checked_time("finished_at", found.finished_at)
        return TrialRow(
            self.ids.text(number),
            self.experiment_id,
            number,
            found.configuration,
            checked_status(found.status),
            found.results,
            found.attempts,
            found.error_type,
            found.error_message,
            found.error,
            None if started_at is None else iso(started_at),
            None if finished_at is None else iso(finished_at),
            found.duration,
            found.rank,
            found.hostname,
            found.deaths,
            found.run_id,
        )


def place_number(connection: Connection, rank: int, hostname: str) -> int:
    """Return the number by which the database knows a rank on a host, or a new one."""
    place = rank, hostname
    connection.exec_driver_sql(_ADD_PLACE, place)
    found: int = connection.exec_driver_sql(_FIND_PLACE, place).scalar_one()
    return found


def seconds_of(time: str | None) -> float | None:
    """Return the time in a trial's row as it is stored."""
    return None if time is None else datetime.fromisoformat(time).timestamp()


def find(
    connection: Connection, keys: TrialKeys, number: int, *, results: bool = True
) -> TrialRow:
    """Return a trial, whether it has a row or not."""
    query = (_WITH_RESULTS if results else _WITHOUT_RESULTS).format("= ?")
    found = connection.exec_driver_sql(query, (keys.key(number),)).all()
    rows = all_checked(trial_records, found)
    return keys.row(rows[0]) if rows else keys.pending(number)


def page(
    connection: Connection,
    keys: TrialKeys,
    first: int = 0,
    condition: str = "",
    *,
    limit: int,
    results: bool = True,
) -> list[TrialRow]:
    """Return stored trials from the number ``first`` on, for which a condition holds.

    The condition is SQL over the columns of ``trial_records``, and begins with AND.
    """
    query = (_WITH_RESULTS if results else _WITHOUT_RESULTS).format(
        _PAGE.format(condition)
    )
    found = connection.exec_driver_sql(query, (keys.first + first, keys.last, limit))
    return [keys.row(row) for row in all_checked(trial_records, found)]


def stored(
    storage: Storage, keys: TrialKeys, *, results: bool = True
) -> Iterator[list[TrialRow]]:
    """Yield the stored trials in order, a page for each read transaction."""
    first = 0
    while True:
        with storage.reading() as connection:
            rows = page(connection, keys, first, limit=ROWS_AT_ONCE, results=results)
        if rows:
            first = later(first - 1, rows[-1].trial_index) + 1
            yield rows
        if len(rows) < ROWS_AT_ONCE:
            return


def every(
    storage: Storage, keys: TrialKeys, *, results: bool = True, aside: bool = False
) -> Iterator[TrialRow]:
    """Yield all trials in order, those without a row computed.

    Those that are set aside are left out, unless they are wanted.

    Raises:
        DatabaseError: there are too many to be listed.
    """
    require_listable(storage, keys, aside=aside)
    everything = keys.is_plain or aside
    between: Callable[[int, int], Iterable[int]] = (
        range if everything else keys.asked.between
    )
    following = 0
    for rows in stored(storage, keys, results=results):
        for row in rows:
            yield from map(keys.pending, between(following, row.trial_index))
            if everything or row.trial_index in keys.asked:
                yield row
            following = row.trial_index + 1
    yield from map(keys.pending, between(following, keys.size))


def require_listable(storage: Storage, keys: TrialKeys, *, aside: bool = False) -> None:
    """Raise a DatabaseError if nobody can want a list of all trials.

    Those that are set aside count only if they are wanted.
    """
    keys.require_size()
    query = "SELECT count(*) FROM trial_records WHERE key BETWEEN ? AND ?"
    size = keys.size if aside else keys.asked_count
    if size <= MOST_COMPUTED:
        return
    with storage.reading() as connection:
        within = keys.first, keys.last
        stored = connection.exec_driver_sql(query, within).scalar_one()
    if size - stored > MOST_COMPUTED:
        msg = (
            f"{storage.name}: {size:,} trials, {stored:,} of them stored, are too "
            "many for a list; ask for single ones with get_trial, or for the stored "
            "ones with SQL, in the view 'trials'"
        )
        raise DatabaseError(msg)


def numbers_among(
    connection: Connection, keys: TrialKeys, numbers: Sequence[int] | Numbers
) -> Iterator[list[int]]:
    """Yield those of the numbers that have a row, some hundreds at a time."""
    if isinstance(numbers, Numbers):
        for piece in numbers.pieces:
            yield from numbers_among(connection, keys, piece)
        return
    if isinstance(numbers, range) and numbers.step == 1:
        query = (
            "SELECT key FROM trial_records WHERE key BETWEEN ? AND ? "
            "ORDER BY key LIMIT 500"
        )
        first, last = keys.key(numbers.start), keys.key(numbers.stop - 1)
        while found := connection.exec_driver_sql(query, (first, last)).scalars().all():
            yield [key & LARGEST_NUMBER for key in found]
            first = later(first - 1, found[-1]) + 1
        return
    for some in in_groups(list(numbers)):
        marks = ", ".join("?" * len(some))
        query = f"SELECT key FROM trial_records WHERE key IN ({marks})"  # noqa: S608
        wanted = tuple(keys.key(number) for number in some)
        found = connection.exec_driver_sql(query, wanted).scalars().all()
        yield sorted(key & LARGEST_NUMBER for key in found)
