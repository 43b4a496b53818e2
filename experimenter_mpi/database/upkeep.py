"""What people do to a database between runs: choose trials, and reset them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import bindparam, func, null, select, update

from ..experiment import TrialIds
from ..ledger import Status
from . import documents
from .files import remove_unused
from .garbage import forget_arrays, forget_snapshots, in_groups
from .lookup import as_id, id_range, trial_row
from .tables import snapshots, trials
from .where import indices_where

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .storage import Storage

_RESET = (
    update(trials)
    .where(trials.c.id == bindparam("trial_id"))
    .values(
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
)
_WITH_RESULTS = (trials.c.id, trials.c.experiment_id, trials.c.results)


class Upkeep:
    """What is done by hand to the trials of one open database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def indices_where(self, experiment_id: UUID | str, expression: str) -> list[int]:
        """Return which trials an SQL expression holds for; see ``where``."""
        text = as_id(experiment_id, "an experiment")
        return indices_where(self._storage, text, expression)

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
    ) -> None:
        """Make trials pending, without results, and unless told without snapshots."""
        ids = _ids(as_id(experiment_id, "an experiment"), indices)
        self.reset_ids(ids, keep_snapshots=keep_snapshots)

    def reset_ids(
        self, ids: Iterable[UUID | str], *, keep_snapshots: bool = False
    ) -> None:
        """Do what ``reset`` does, for trials of any experiment; all or nothing."""
        unused: set[str] = set()
        with self._storage.transaction() as connection:
            for trial_id in ids:
                row = trial_row(self._storage, connection, trial_id, *_WITH_RESULTS)
                gone = documents.references(row.results)
                unused |= forget_arrays(connection, row.experiment_id, gone)
                if not keep_snapshots:
                    unused |= forget_snapshots(connection, row.experiment_id, row.id)
                connection.execute(_RESET, {"trial_id": row.id})
        remove_unused(self._storage, unused)


def _ids(experiment_id: str, indices: Iterable[int]) -> list[str]:
    return list(map(TrialIds(UUID(experiment_id)).text, indices))
