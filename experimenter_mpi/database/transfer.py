"""Experiments from one database into another: export and merge.

Rows are read from the source a few thousand at a time, each in a short transaction,
so that a run that writes to it is not held up. Trials come before snapshots, and both
before the arrays: what refers to an array is never newer than the array.
"""

from __future__ import annotations

import os
import shutil
import uuid
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select

from ..errors import DatabaseError, DatabaseWriteError
from ..experiment.ranges import Numbers
from ..trial.outcome import Status
from . import documents, notes, studies
from .file.engine import raw
from .file.opening import open_storage
from .file.rows import all_checked, later
from .file.tables import (
    FINISHED,
    PENDING,
    STATUSES,
    blocks,
    experiments,
    snapshots,
    trial_records,
)
from .finished import recount
from .flat_views import renew_within
from .garbage import in_groups
from .lookup import find_named, id_range, named_row
from .pairs import Pair
from .records import TrialKeys, place_number, seconds_of, stored
from .runs import CopiedRuns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Row, Select

    from .file.storage import Storage
    from .records import TrialRow

_ROWS_AT_ONCE = 2_000
# What is copied of a trial besides its number.
_COPIED = (
    *("status", "attempts", "deaths", "started_at", "finished_at", "duration"),
    *("place", "run_id", "configuration", "results"),
)
_ADD_TRIAL = (
    f"INSERT OR REPLACE INTO trial_records (key, {', '.join(_COPIED)}) "  # noqa: S608
    f"VALUES (?{', ?' * len(_COPIED)})"
)
_ADD_ERROR = "INSERT OR REPLACE INTO trial_errors VALUES (?, ?, ?, ?)"
_FORGET_ERROR = "DELETE FROM trial_errors WHERE key = ?"


def export(storage: Storage, outfile: str, names: Sequence[str]) -> None:
    """Make a new database at ``outfile`` of the named experiments, or of all.

    It appears under its name when it is complete.
    """
    outfile = os.path.abspath(outfile)
    if os.path.lexists(outfile) or os.path.lexists(f"{outfile}.arrays"):
        msg = f"{outfile} exists: export writes a new file, so choose another name"
        raise DatabaseWriteError(msg)
    with storage.reading() as connection:
        rows = [named_row(storage, connection, name) for name in dict.fromkeys(names)]
        if not names:
            found = connection.execute(select(experiments)).all()
            rows = all_checked(experiments, found)
    unfinished = f"{outfile}.{uuid.uuid4().hex}.part"
    try:
        target = open_storage(unfinished)
        try:
            with target.transaction() as connection:
                for row in sorted(rows, key=lambda each: each.sequence):
                    _Copy(storage, target, connection, row).add()
        finally:
            target.close()
        _rename(unfinished, outfile)
    except BaseException:
        _remove_database(unfinished)
        raise


def merge(primary: Storage, secondary: Storage) -> None:
    """Add to ``primary`` what only ``secondary`` has; all of it or nothing."""
    if primary is secondary or (primary.path and primary.path == secondary.path):
        return
    with secondary.reading() as connection:
        query = select(experiments).order_by(experiments.c.sequence)
        rows = all_checked(experiments, connection.execute(query).all())
    with primary.transaction() as connection:
        copies = [_Copy(secondary, primary, connection, row) for row in rows]
        for copy in copies:
            copy.require_compatible()
        for copy in copies:
            copy.add()


class _Copy:
    """One experiment on its way from a source into a target's open transaction."""

    def __init__(
        self, source: Storage, target: Storage, connection: Connection, row: Row[Any]
    ) -> None:
        self._source = source
        self._target = target
        self._connection = connection
        self._row = row
        there = find_named(connection, row.name)
        self._is_new = there is None
        self._id: str = row.id if there is None else there.id
        self._source_keys = TrialKeys(source, row)
        self._keys = TrialKeys(target, row if there is None else there)
        self._pair = None if there is None else Pair(target, there, source, row)
        self._places: dict[tuple[int, str], int] = {}
        self._wanted: set[str] = set()
        self._runs = CopiedRuns(source, connection, row.id, self._id)

    def require_compatible(self) -> None:
        """Raise unless the target has the same experiment, or none of that name."""
        if self._is_new:
            self._require_free_id()
            return
        assert self._pair is not None  # noqa: S101 - else it is new
        self._pair.require_compatible()

    def add(self) -> None:
        """Copy what the target lacks."""
        if self._pair is None:
            self._keys = self._add_experiment()
        else:
            self._wanted |= self._pair.add_blocks(self._connection)
            row = named_row(self._target, self._connection, self._row.name)
            self._keys = TrialKeys(self._target, row)
        self._add_trials()
        self._add_snapshots()
        keys = self._source_keys, self._keys
        notes.copy(self._source, self._connection, *keys, self._number)
        self._add_arrays()
        self._runs.add()
        recount(self._connection, self._keys.sequence)
        renew_within(self._connection, self._keys.sequence)

    def _add_experiment(self) -> TrialKeys:
        values = {**self._row._mapping}  # noqa: SLF001
        del values["sequence"]
        self._connection.execute(insert(experiments), values)
        self._wanted |= documents.references(self._row.configuration)
        self._wanted |= documents.references(self._row.assume)
        row = named_row(self._target, self._connection, self._row.name)
        keys = TrialKeys(self._target, row)
        # Of those that the row knows: a run may have extended it since it was read.
        known = blocks.c.first < self._row.trial_count
        mine = select(blocks).where(blocks.c.experiment == self._row.sequence, known)
        with self._source.reading() as connection:
            found = connection.execute(mine).all()
        for block in all_checked(blocks, found):
            self._wanted |= documents.references(block.document)
            values = {**block._mapping, "experiment": keys.sequence}  # noqa: SLF001
            self._connection.execute(insert(blocks), values)
        aside = Numbers([range(keys.size)]) - self._source_keys.asked
        studies.put_aside(self._connection, keys.sequence, aside)
        return keys

    def _number(self, theirs: int) -> int:
        """Return the number that a trial of the source has here."""
        return theirs if self._pair is None else self._pair.number(theirs)

    def _add_trials(self) -> None:
        """Take trials that matter more in the source than here.

        A result counts more than a failure, and either more than never having been
        tried. Of a new experiment all are taken.
        """
        for rows in stored(self._source, self._source_keys):
            lacking = rows if self._is_new else self._lacking(rows)
            values = [self._values(row) for row in lacking]
            if not values:
                continue
            driver = raw(self._connection)
            driver.executemany(_FORGET_ERROR, [each[:1] for each in values])
            driver.executemany(_ADD_TRIAL, values)
            errors = [self._error(row) for row in lacking if row.error_type is not None]
            driver.executemany(_ADD_ERROR, errors)

    def _lacking(self, rows: list[TrialRow]) -> list[TrialRow]:
        """Return those of the source's trials which the target lacks."""
        here: dict[int, Row[Any]] = {}
        columns = trial_records.c.key, trial_records.c.status, trial_records.c.attempts
        numbers = [self._number(row.trial_index) for row in rows]
        for some in in_groups(list(map(self._keys.key, numbers))):
            query = select(*columns).where(trial_records.c.key.in_(some))
            found = all_checked(trial_records, self._connection.execute(query))
            here.update((row.key - self._keys.first, row) for row in found)
        pairs = zip(rows, map(here.get, numbers), strict=True)
        return [theirs for theirs, ours in pairs if _counts_more(theirs, ours)]

    def _values(self, row: TrialRow) -> tuple[Any, ...]:
        self._wanted |= documents.references(row.results)
        text = row.configuration
        if self._is_new:
            self._wanted |= documents.references(text)
        else:  # it may be written in another way there
            text = self._keys.configurations[self._number(row.trial_index)]
        # What runs there does not run here.
        status = Status.PENDING if row.status == Status.RUNNING else row.status
        return (
            self._keys.key(self._number(row.trial_index)),
            STATUSES.index(status),
            row.attempts,
            row.deaths,
            *(seconds_of(each) for each in (row.started_at, row.finished_at)),
            row.duration,
            self._place(row),
            self._runs.number(row.run_id),
            text,
            row.results,
        )

    def _error(self, row: TrialRow) -> tuple[Any, ...]:
        key = self._keys.key(self._number(row.trial_index))
        return key, row.error_type, row.error_message, row.error

    def _place(self, row: TrialRow) -> int | None:
        if row.rank is None or row.hostname is None:
            return None
        place = row.rank, row.hostname
        if place not in self._places:
            self._places[place] = place_number(self._connection, *place)
        return self._places[place]

    def _add_snapshots(self) -> None:
        """Append snapshots that are not there yet, in the source's order."""
        first, last = id_range(self._row.id)
        query = select(snapshots).where(snapshots.c.trial_id.between(first, last))
        add = insert(snapshots).prefix_with("OR IGNORE")
        for rows in self._read(query):
            new = self._unknown_snapshots(rows)
            for row in new:
                self._wanted |= documents.references(row.state)
            theirs = (self._source_keys.ids.index(row.trial_id) for row in new)
            numbers = list(map(self._number, theirs))
            self._keys.insert(self._connection, sorted(set(numbers)))
            values = [
                {
                    "id": row.id,
                    "trial_id": self._keys.ids.text(number),
                    "label": row.label,
                    "state": row.state,
                    "created_at": row.created_at,
                    "run_id": self._runs.number(row.run_id),
                }
                for row, number in zip(new, numbers, strict=True)
            ]
            if values:
                self._connection.execute(add, values)

    def _unknown_snapshots(self, rows: list[Row[Any]]) -> list[Row[Any]]:
        query = select(snapshots.c.id).where(
            snapshots.c.id.in_(bindparam("ids", expanding=True))
        )
        ids = [row.id for row in rows]
        known = set(self._connection.execute(query, {"ids": ids}).scalars())
        return [row for row in rows if row.id not in known]

    def _add_arrays(self) -> None:
        """Copy the arrays that what was copied refers to, files first."""
        for array_id in sorted(self._wanted):
            with self._source.reading() as connection:
                record = documents.array_record(connection, self._row.id, array_id)
            if record.file is not None:
                record = self._moved(record)
            records = documents.settled_records(self._target, [record])
            documents.keep_arrays(self._connection, self._id, records)

    def _moved(self, record: Any) -> Any:
        """Have the file in the target's folder too, or its bytes in the row."""
        source, target = self._source.files, self._target.files
        if source is None or target is None:
            return documents.inline(self._source, record)
        target.copy(record.file, source)
        return record

    def _read(self, query: Select[Any]) -> Iterator[list[Row[Any]]]:
        """Yield snapshots of the source by their number, some at a time."""
        key, after = snapshots.c.sequence, 0
        page = query.where(key > bindparam("after")).order_by(key).limit(_ROWS_AT_ONCE)
        while True:
            with self._source.reading() as connection:
                found = connection.execute(page, {"after": after}).all()
                if not found:
                    return
                rows = all_checked(snapshots, found)
                after = later(after, rows[-1].sequence)
            yield rows

    def _require_free_id(self) -> None:
        mine = experiments.c.trial_prefix == self._row.trial_prefix
        query = select(experiments.c.name).where(mine)
        name = self._connection.execute(query).scalar_one_or_none()
        if name is not None:
            msg = (
                f"experiment '{self._row.name}' of {self._source.name} has the id of "
                f"'{name}' in {self._target.name}: nothing of it was merged; "
                "export the others by name, and merge those"
            )
            raise DatabaseError(msg)


def _counts_more(theirs: TrialRow, ours: Row[Any] | None) -> bool:
    if theirs.status == Status.FINISHED:
        return ours is None or ours.status != FINISHED
    untried = ours is None or (ours.status, ours.attempts) == (PENDING, 0)
    return theirs.status == Status.FAILED and untried


def _rename(unfinished: str, outfile: str) -> None:
    """Give the finished copy its name; a file that has appeared there is kept."""
    try:
        os.close(os.open(outfile, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        msg = f"cannot create {outfile}: {error.strerror}; choose another place"
        raise DatabaseWriteError(msg) from error
    try:
        if os.path.isdir(f"{unfinished}.arrays"):
            os.rename(f"{unfinished}.arrays", f"{outfile}.arrays")
        os.rename(unfinished, outfile)
    except OSError as error:
        _remove_database(outfile)
        msg = f"cannot create {outfile}: {error.strerror}; choose another place"
        raise DatabaseWriteError(msg) from error


def _remove_database(path: str) -> None:
    shutil.rmtree(f"{path}.arrays", ignore_errors=True)
    if os.path.exists(path):
        os.unlink(path)
