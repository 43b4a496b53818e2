"""What people do to a database between runs: choose trials, and reset them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import case, func, null, select, update

from ..experiment.experiment import TrialIds
from ..trial.outcome import Status
from . import documents
from .file.rows import all_checked
from .file.tables import experiments, snapshots, trials
from .files import remove_unused, sweep_leftovers
from .garbage import (
    forget_arrays,
    forget_snapshots,
    forget_unused_arrays,
    has_arrays,
    in_groups,
)
from .lookup import as_id, id_range, no_trial
from .room import give_back, room, size_on_disk
from .trials import pages
from .where import indices_where

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Row

    from .file.storage import Storage
    from .room import Room

_RESET = update(trials).values(
    status=Status.PENDING,
    attempts=0,
    deaths=0,
    **dict.fromkeys(
        (
            "results",
            "error_type",
            "error_message",
            "error",
            "started_at",
            "finished_at",
            "duration",
            "rank",
            "hostname",
            "run_id",
        ),
        null(),
    ),
)
_HAS_ARRAYS = func.instr(trials.c.results, '"$array"') > 0
# Results without arrays are not read: they may be large, and many.
_WITH_ARRAYS = select(
    trials.c.id,
    trials.c.experiment_id,
    case((_HAS_ARRAYS, trials.c.results), else_=null()).label("results"),
)

_IDS = select(trials.c.id)


class Upkeep:
    """What is done by hand to the trials of one open database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def indices_where(self, experiment_id: UUID | str, expression: str) -> list[int]:
        """Return which trials an SQL expression holds for; see ``where``."""
        text = as_id(experiment_id, "an experiment")
        return indices_where(self._storage, text, expression)

    def indices(self, experiment_id: UUID | str) -> list[int]:
        """Return which trials are stored, whatever the experiment says."""
        text = as_id(experiment_id, "an experiment")
        index_of = TrialIds(UUID(text)).index
        return [index_of(row.id) for row in pages(self._storage, _IDS, text)]

    def count_snapshots(
        self, experiment_id: UUID | str, indices: Sequence[int] | None = None
    ) -> int:
        """Return how many snapshots these trials have, or all of the experiment."""
        text = as_id(experiment_id, "an experiment")
        count = select(func.count()).select_from(snapshots)
        with self._storage.reading() as connection:
            if indices is None:
                mine = snapshots.c.trial_id.between(*id_range(text))
                return int(connection.execute(count.where(mine)).scalar_one())
            ids = _ids(text, indices)
            counts = (
                connection.execute(count.where(snapshots.c.trial_id.in_(some)))
                for some in in_groups(ids)
            )
            return sum(each.scalar_one() for each in counts)

    def reset(
        self,
        experiment_id: UUID | str,
        indices: Iterable[int],
        *,
        keep_snapshots: bool = False,
    ) -> bool:
        """Make trials pending, without results, and unless told without snapshots.

        Returns whether arrays may be left that nothing needs: see ``tidy``.
        """
        ids = _ids(as_id(experiment_id, "an experiment"), indices)
        return self.reset_ids(ids, keep_snapshots=keep_snapshots)

    def reset_ids(
        self, ids: Iterable[UUID | str], *, keep_snapshots: bool = False
    ) -> bool:
        """Do what ``reset`` does, for trials of any experiment; all or nothing."""
        texts = [as_id(each, "a trial") for each in ids]
        unused: set[str] = set()
        shared = False
        with self._storage.transaction() as connection:
            for some in in_groups(texts):
                rows = _rows(self._storage, connection, some)
                files, others = _forget_results(connection, rows)
                unused |= files
                shared |= others
                if not keep_snapshots:
                    unused |= _forget_all_snapshots(connection, rows)
                connection.execute(_RESET.where(trials.c.id.in_(some)))
        remove_unused(self._storage, unused)
        return shared

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
                    unused = _forget_surplus(connection, keep_snapshots)
                for each in connection.execute(select(experiments.c.id)).scalars():
                    unused |= forget_unused_arrays(connection, each)
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


def _rows(storage: Storage, connection: Connection, ids: list[str]) -> list[Row[Any]]:
    """Return the trials, with those results that refer to arrays.

    Raises:
        NotFoundError: there is none of one of the ids.
    """
    found = connection.execute(_WITH_ARRAYS.where(trials.c.id.in_(ids))).all()
    rows = all_checked(trials, found)
    there = {row.id for row in rows}
    for each in ids:
        if each not in there:
            raise no_trial(storage, each)
    return rows


def _forget_results(
    connection: Connection, rows: list[Row[Any]]
) -> tuple[set[str], bool]:
    """Delete the arrays that only these results refer to.

    Returns their files, and whether others are left, which other documents may share.
    """
    gone: dict[str, set[str]] = {}
    for row in rows:
        if row.results is not None:
            ids = gone.setdefault(row.experiment_id, set())
            ids |= documents.references(row.results)
    files: set[str] = set()
    for experiment_id, ids in gone.items():
        files |= forget_arrays(connection, experiment_id, ids)
    return files, any(has_arrays(connection, each, ids) for each, ids in gone.items())


def _forget_all_snapshots(connection: Connection, rows: list[Row[Any]]) -> set[str]:
    mine = snapshots.c.trial_id.in_([row.id for row in rows])
    found = connection.execute(select(snapshots.c.trial_id).where(mine).distinct())
    with_some = set(found.scalars())
    files: set[str] = set()
    for row in rows:
        if row.id in with_some:
            files |= forget_snapshots(connection, row.experiment_id, row.id)
    return files


def _with_more(connection: Connection, keep: int) -> list[Row[Any]]:
    """Return the trials with more than ``keep`` snapshots, and how many they have."""
    query = (
        select(trials.c.id, trials.c.experiment_id, func.count().label("saved"))
        .join(snapshots, snapshots.c.trial_id == trials.c.id)
        .group_by(trials.c.id)
        .having(func.count() > keep)
    )
    return all_checked(trials, connection.execute(query).all())


def _forget_surplus(connection: Connection, keep: int) -> set[str]:
    files: set[str] = set()
    for row in _with_more(connection, keep):
        files |= forget_snapshots(connection, row.experiment_id, row.id, keep=keep)
    return files


def _ids(experiment_id: str, indices: Iterable[int]) -> list[str]:
    return list(map(TrialIds(UUID(experiment_id)).text, indices))
