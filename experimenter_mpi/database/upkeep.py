"""What people do to a database between runs: choose trials, and reset them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from ..experiment.ranges import Numbers
from . import documents, finished
from .file.rows import all_checked, checked_values
from .file.tables import FINISHED, experiments, snapshots, trial_records
from .files import remove_unused, sweep_leftovers
from .garbage import (
    forget_arrays,
    forget_snapshots,
    forget_unused_arrays,
    has_arrays,
    in_groups,
)
from .lookup import as_id, keys_of_trial, no_trial, trial_keys
from .records import numbers_among
from .room import give_back, room, size_on_disk
from .where import indices_where

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy import Connection, Row

    from .file.storage import Storage
    from .records import TrialKeys
    from .room import Room

_HAS_ARRAYS = func.instr(trial_records.c.results, '"$array"') > 0
_FORGET_ERRORS = "DELETE FROM trial_errors WHERE key IN ({})"
_FORGET = "DELETE FROM trial_records WHERE key IN ({})"
_RESET = (
    "UPDATE trial_records SET status = 0, attempts = 0, deaths = 0, "
    "started_at = NULL, finished_at = NULL, duration = NULL, place = NULL, "
    "run_id = NULL, results = NULL WHERE key IN ({})"
)


class Upkeep:
    """What is done by hand to the trials of one open database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def indices_where(
        self, experiment_id: UUID | str, expression: str, *, aside: bool = False
    ) -> list[int]:
        """Return which trials an SQL expression holds for; see ``where``."""
        return indices_where(self._storage, experiment_id, expression, aside=aside)

    def indices(self, experiment_id: UUID | str) -> Sequence[int] | Numbers:
        """Return all trials that are asked for, of which few may be stored."""
        with self._storage.reading() as connection:
            keys = trial_keys(self._storage, connection, experiment_id)
        keys.require_size()
        return range(keys.size) if keys.is_plain else keys.asked

    def count_snapshots(
        self, experiment_id: UUID | str, indices: Sequence[int] | Numbers | None = None
    ) -> int:
        """Return how many snapshots these trials have, or all of the experiment."""
        count = select(func.count()).select_from(snapshots)
        with self._storage.reading() as connection:
            keys = trial_keys(self._storage, connection, experiment_id)
            chosen = range(keys.size) if indices is None else indices
            if isinstance(chosen, range):
                chosen = Numbers([chosen])
            if isinstance(chosen, Numbers):
                return sum(
                    int(
                        connection.execute(
                            count.where(_within(keys, each))
                        ).scalar_one()
                    )
                    for each in chosen.pieces
                )
            ids = list(map(keys.ids.text, chosen))
            counts = (
                connection.execute(count.where(snapshots.c.trial_id.in_(some)))
                for some in in_groups(ids)
            )
            return sum(each.scalar_one() for each in counts)

    def reset(
        self,
        experiment_id: UUID | str,
        indices: Sequence[int] | Numbers,
        *,
        keep_snapshots: bool = False,
    ) -> bool:
        """Make trials pending, without results, and unless told without snapshots.

        Returns whether arrays may be left that nothing needs: see ``tidy``.
        """
        with self._storage.transaction() as connection:
            keys = trial_keys(self._storage, connection, experiment_id)
            first, last = _ends(indices)
            if not 0 <= first <= last < keys.size:
                raise no_trial(self._storage, f"{last} of {experiment_id}")
            unused, shared = _reset(
                connection, keys, indices, keep_snapshots=keep_snapshots
            )
        remove_unused(self._storage, unused)
        return shared

    def reset_trial(self, trial_id: UUID | str, *, keep_snapshots: bool = True) -> None:
        """Do what ``reset`` does, for one trial of any experiment."""
        with self._storage.transaction() as connection:
            keys, number = keys_of_trial(self._storage, connection, trial_id)
            unused, _ = _reset(
                connection, keys, [number], keep_snapshots=keep_snapshots
            )
        remove_unused(self._storage, unused)

    def surplus_snapshots(self, keep: int) -> int:
        """Return how many snapshots are not among the newest ``keep`` of a trial."""
        with self._storage.reading() as connection:
            return sum(row.saved - keep for row in _with_more(connection, keep))

    def compact(self, keep_snapshots: int | None = None) -> tuple[int, int]:
        """Delete what nothing refers to; return the size on disk before and after.

        And all but the newest ``keep_snapshots`` of each trial.
        """
        before = size_on_disk(self._storage)
        with self._storage.writing():
            unused: set[str] = set()
            with self._storage.transaction() as connection:
                if keep_snapshots is not None:
                    unused = _forget_surplus(self._storage, connection, keep_snapshots)
                query = select(experiments.c.id, experiments.c.sequence)
                for row in connection.execute(query).all():
                    unused |= forget_unused_arrays(connection, row.id)
                    finished.recount(connection, row.sequence)
            remove_unused(self._storage, unused)
            sweep_leftovers(self._storage)
            give_back(self._storage)
        return before, size_on_disk(self._storage)

    def tidy(self, experiment_id: UUID | str | None = None) -> Room | None:
        """Give back the room of what was deleted, if that is quickly done.

        Of an experiment that is still there, arrays that it does not need any more go
        first. Returns what is free in the file where it stays so, but for a little.
        """
        if experiment_id is not None:
            text = as_id(experiment_id, "an experiment")
            with self._storage.transaction() as connection:
                unused = forget_unused_arrays(connection, text)
            remove_unused(self._storage, unused)
        left = room(self._storage)
        if self._storage.path is None or left.is_little:
            return None
        if not left.is_soon_given_back(self._storage.path):
            return left
        give_back(self._storage)
        return None


def _within(keys: TrialKeys, numbers: range) -> Any:
    """Return the condition for the snapshots of consecutive trials."""
    ends = keys.ids.text(numbers.start), keys.ids.text(numbers.stop - 1)
    return snapshots.c.trial_id.between(*ends)


def _ends(numbers: Sequence[int] | Numbers) -> tuple[int, int]:
    """Return the smallest and the largest; of many consecutive ones at once."""
    if not numbers:
        return 0, 0
    if isinstance(numbers, Numbers):
        return numbers.pieces[0].start, numbers.pieces[-1].stop - 1
    some = (numbers[0], numbers[-1]) if isinstance(numbers, range) else numbers
    return min(some), max(some)


def _reset(
    connection: Connection,
    keys: TrialKeys,
    numbers: Sequence[int] | Numbers,
    *,
    keep_snapshots: bool,
) -> tuple[set[str], bool]:
    """Return files without use, and whether arrays are left that may have none.

    A trial without a row has nothing that could be reset.
    """
    unused: set[str] = set()
    shared = False
    if not numbers:
        return unused, shared
    for some in numbers_among(connection, keys, numbers):
        files, others = _forget_results(connection, keys, some)
        unused |= files
        shared |= others
        kept = _with_snapshots(connection, keys, some)
        if not keep_snapshots:
            for number in kept:
                trial_id = keys.ids.text(number)
                unused |= forget_snapshots(connection, keys.experiment_id, trial_id)
            kept = set()
        _execute(connection, _FORGET_ERRORS, keys, some)
        _execute(connection, _FORGET, keys, [each for each in some if each not in kept])
        _execute(connection, _RESET, keys, sorted(kept))
    return unused, shared


def _execute(
    connection: Connection, statement: str, keys: TrialKeys, numbers: Sequence[int]
) -> None:
    """Execute a statement for the keys of these trials, of which there are few."""
    marks = ", ".join("?" * len(numbers))
    values = tuple(map(keys.key, numbers))
    connection.exec_driver_sql(statement.format(marks), values)


def _forget_results(
    connection: Connection, keys: TrialKeys, numbers: Sequence[int]
) -> tuple[set[str], bool]:
    """Delete the arrays that only these results refer to, and count the trials out.

    Returns their files, and whether others are left, which other documents may share.
    """
    mine = trial_records.c.key.in_(map(keys.key, numbers))
    done = select(func.count()).where(mine, trial_records.c.status == FINISHED)
    finished.add(connection, keys.sequence, -connection.execute(done).scalar_one())
    # Results without arrays are not read: they may be large, and many.
    query = select(trial_records.c.results).where(mine, _HAS_ARRAYS)
    found = connection.execute(query).scalars().all()
    ids: set[str] = set()
    for document in checked_values(trial_records.c.results, list(found)):
        ids |= documents.references(document)
    if not ids:
        return set(), False
    files = forget_arrays(connection, keys.experiment_id, ids)
    return files, has_arrays(connection, keys.experiment_id, ids)


def _with_snapshots(
    connection: Connection, keys: TrialKeys, numbers: Sequence[int]
) -> set[int]:
    ids = {keys.ids.text(number): number for number in numbers}
    found = select(snapshots.c.trial_id).where(snapshots.c.trial_id.in_(list(ids)))
    return {ids[each] for each in connection.execute(found.distinct()).scalars()}


def _with_more(connection: Connection, keep: int) -> list[Row[Any]]:
    """Return the trials with more than ``keep`` snapshots, and how many they have."""
    query = (
        select(snapshots.c.trial_id, func.count().label("saved"))
        .group_by(snapshots.c.trial_id)
        .having(func.count() > keep)
    )
    return all_checked(snapshots, connection.execute(query).all())


def _forget_surplus(storage: Storage, connection: Connection, keep: int) -> set[str]:
    files: set[str] = set()
    for row in _with_more(connection, keep):
        keys, _ = keys_of_trial(storage, connection, row.trial_id)
        files |= forget_snapshots(
            connection, keys.experiment_id, row.trial_id, keep=keep
        )
    return files
