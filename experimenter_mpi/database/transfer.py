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
from uuid import UUID

from sqlalchemy import bindparam, insert, select, update

from ..errors import DatabaseError, DatabaseWriteError, ExperimentMismatchError
from ..experiment.experiment import TrialIds
from ..trial.outcome import Status
from . import comparison, documents
from .experiments import Experiments
from .file.opening import open_storage
from .file.rows import all_checked, later
from .file.tables import experiments, snapshots, trials
from .lookup import find_named, id_range, named_row
from .runs import CopiedRuns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Column, ColumnElement, Connection, Row, Select

    from .file.storage import Storage

_ROWS_AT_ONCE = 2_000
# A result counts more than a failure, and either more than never having been tried.
_UNTRIED = (trials.c.status == Status.PENDING) & (trials.c.attempts == 0)
_TAKE = (
    update(trials)
    .where(trials.c.id == bindparam("trial_id"))
    .values(
        {
            column.name: bindparam(f"new_{column.name}")
            for column in trials.c
            if column.name
            not in ("id", "experiment_id", "trial_index", "configuration")
        }
    )
)


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
        stored = find_named(connection, row.name)
        self._is_new = stored is None
        self._id: str = row.id if stored is None else stored.id
        self._trial_ids = TrialIds(UUID(self._id))
        self._wanted: set[str] = set()
        self._runs = CopiedRuns(source, connection, row.id, self._id)

    def require_compatible(self) -> None:
        """Raise unless the target has the same experiment, or none of that name."""
        if self._is_new:
            self._require_free_id()
            return
        ours = Experiments(self._target).get(self._id)
        theirs = Experiments(self._source).get(self._row.id)
        lines = comparison.differences(ours, theirs)
        if not lines and comparison.different_seeds(theirs, ours):
            lines = [f"seed: {ours.seed} -> {theirs.seed}"]
        if lines:
            msg = (
                f"experiment '{self._row.name}' of {self._source.name} is in "
                f"{self._target.name} with another configuration: "
                f"{comparison.summary(lines)}. Nothing of it was merged; rename one "
                "of the two."
            )
            raise ExperimentMismatchError(msg)

    def add(self) -> None:
        """Copy what the target lacks."""
        if self._is_new:
            values = {**self._row._mapping}  # noqa: SLF001
            del values["sequence"]
            self._connection.execute(insert(experiments), values)
            self._wanted |= documents.references(self._row.configuration)
            self._add_trials()
        else:
            self._add_results()
        self._add_snapshots()
        self._add_arrays()
        self._runs.add()

    def _add_trials(self) -> None:
        for rows in self._read(select(trials), trials.c.id, id_range(self._row.id)):
            values = [self._trial(row) for row in rows]
            self._connection.execute(insert(trials), values)

    def _trial(self, row: Row[Any]) -> dict[str, Any]:
        run_id = self._runs.number(row.run_id)
        values = {**row._mapping, "run_id": run_id}  # noqa: SLF001
        if row.status == Status.RUNNING:  # not in this database
            values["status"] = Status.PENDING
        self._wanted |= documents.references(row.configuration)
        self._wanted |= documents.references(row.results)
        return values

    def _add_results(self) -> None:
        """Take trials that are finished only in the source, or failed only there."""
        self._take(Status.FINISHED, trials.c.status != Status.FINISHED)
        self._take(Status.FAILED, _UNTRIED)

    def _take(self, status: str, lacking: ColumnElement[bool]) -> None:
        """Take the source's trials of this status which are ``lacking`` here."""
        query = select(trials).where(trials.c.status == status)
        for rows in self._read(query, trials.c.id, id_range(self._row.id)):
            theirs = {self._trial_ids.text(row.trial_index): row for row in rows}
            here = trials.c.id.in_(bindparam("ids", expanding=True))
            wanted = select(trials.c.id).where(here, lacking)
            ids = self._connection.execute(wanted, {"ids": list(theirs)}).scalars()
            values = [self._results(key, theirs[key]) for key in ids]
            if values:
                self._connection.execute(_TAKE, values)

    def _results(self, trial_id: str, row: Row[Any]) -> dict[str, Any]:
        self._wanted |= documents.references(row.results)
        values = {f"new_{key}": value for key, value in row._mapping.items()}  # noqa: SLF001
        run_id = self._runs.number(row.run_id)
        return {**values, "new_run_id": run_id, "trial_id": trial_id}

    def _add_snapshots(self) -> None:
        """Append snapshots that are not there yet, in the source's order."""
        first, last = id_range(self._row.id)
        query = (
            select(snapshots, trials.c.trial_index)
            .join(trials, trials.c.id == snapshots.c.trial_id)
            .where(trials.c.id.between(first, last))
        )
        add = insert(snapshots).prefix_with("OR IGNORE")
        for rows in self._read(query, snapshots.c.sequence, (0, None)):
            new = self._unknown_snapshots(rows)
            for row in new:
                self._wanted |= documents.references(row.state)
            values = [
                {
                    "id": row.id,
                    "trial_id": self._trial_ids.text(row.trial_index),
                    "label": row.label,
                    "state": row.state,
                    "created_at": row.created_at,
                    "run_id": self._runs.number(row.run_id),
                }
                for row in new
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

    def _read(
        self, query: Select[Any], key: Column[Any], limits: tuple[Any, Any]
    ) -> Iterator[list[Row[Any]]]:
        """Yield the source's rows by their key, some at a time."""
        after, last = limits
        if isinstance(after, str):
            after = after[:-1]  # sorts just before it
        page = query.where(key > bindparam("after")).order_by(key).limit(_ROWS_AT_ONCE)
        if last is not None:
            page = page.where(key <= last)
        while True:
            with self._source.reading() as connection:
                found = connection.execute(page, {"after": after}).all()
                if not found:
                    return
                rows = all_checked(key.table, found)
                after = later(after, getattr(rows[-1], key.name))
            yield rows

    def _require_free_id(self) -> None:
        query = select(experiments.c.name).where(experiments.c.id == self._id)
        name = self._connection.execute(query).scalar_one_or_none()
        if name is not None:
            msg = (
                f"experiment '{self._row.name}' of {self._source.name} has the id of "
                f"'{name}' in {self._target.name}: nothing of it was merged; "
                "export the others by name, and merge those"
            )
            raise DatabaseError(msg)


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
