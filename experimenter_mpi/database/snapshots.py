"""The snapshots table: the latest is always the one with the largest number."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import bindparam, insert, select

from ..errors import CorruptDocumentError
from ..trial.context import Snapshot, checked_label
from . import documents
from .file import timestamps
from .file.rows import all_checked, checked
from .file.tables import snapshots
from .files import remove_unused
from .lookup import keys_of_trial, trial_row
from .records import find

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from ..encoding.codec import Encoded
    from .file.storage import Storage
    from .pruning import Pruning
    from .records import TrialKeys

_NEWEST_FIRST = (
    select(snapshots)
    .where(snapshots.c.trial_id == bindparam("trial_id"))
    .order_by(snapshots.c.sequence.desc())
)
_LATEST = _NEWEST_FIRST.limit(1)


class Snapshots:
    """The snapshots of one open database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def save(
        self, trial_id: UUID | str, state: dict[str, Any], label: str | None
    ) -> None:
        what, label = "a snapshot's state", checked_label(label)
        encoded = documents.encode_payload(self._storage, what, state, str(trial_id))
        self.save_encoded(trial_id, encoded, label)

    def save_encoded(
        self,
        trial_id: UUID | str,
        state: Encoded,
        label: str | None,
        run_id: int | None = None,
        pruning: Pruning | None = None,
        known: TrialKeys | None = None,
    ) -> None:
        """Store a state; of the experiment that is ``known`` nothing is looked up."""
        unused: set[str] = set()
        with self._storage.transaction() as connection:
            keys, number = keys_of_trial(self._storage, connection, trial_id, known)
            trial = find(connection, keys, number, results=False)
            keys.insert(connection, [number])
            documents.keep_arrays(connection, trial.experiment_id, state.arrays)
            connection.execute(
                insert(snapshots),
                {
                    "id": str(uuid.uuid4()),
                    "trial_id": trial.id,
                    "label": documents.storable(label),
                    "state": state.document,
                    "created_at": timestamps.now(),
                    "run_id": run_id,
                },
            )
            if pruning is not None:
                unused = pruning.after_saving(connection, trial)
        remove_unused(self._storage, unused)

    def get_all(self, trial_id: UUID | str) -> list[Snapshot]:
        """Return a trial's snapshots, newest first."""
        with self._storage.reading() as connection:
            trial = trial_row(self._storage, connection, trial_id, results=False)
            found = connection.execute(_NEWEST_FIRST, {"trial_id": trial.id}).all()
            rows = all_checked(snapshots, found)
        read = (self._unless_gone(row, trial.experiment_id) for row in rows)
        return [snapshot for snapshot in read if snapshot is not None]

    def latest(self, trial_id: UUID | str) -> Snapshot | None:
        while True:
            with self._storage.reading() as connection:
                keys, row = self._latest(connection, trial_id)
            if row is None:
                return None
            if (found := self._unless_gone(row, keys.experiment_id)) is not None:
                return found

    def latest_encoded(
        self, trial_id: UUID | str, known: TrialKeys | None = None
    ) -> tuple[Row[Any], Encoded] | None:
        """Return the latest snapshot's row, and its state with the arrays."""
        with self._storage.reading() as connection:
            keys, row = self._latest(connection, trial_id, known)
            if row is None:
                return None
            state = documents.with_arrays(connection, keys.experiment_id, row.state)
            return row, state

    def _latest(
        self,
        connection: Connection,
        trial_id: UUID | str,
        known: TrialKeys | None = None,
    ) -> tuple[TrialKeys, Row[Any] | None]:
        keys, number = keys_of_trial(self._storage, connection, trial_id, known)
        query = {"trial_id": keys.ids.text(number)}
        row = connection.execute(_LATEST, query).one_or_none()
        return keys, None if row is None else checked(snapshots, row)

    def _unless_gone(self, row: Row[Any], experiment_id: str) -> Snapshot | None:
        """Read a snapshot's state; a run that keeps few may have deleted it by now."""
        try:
            return self._snapshot(row, experiment_id)
        except CorruptDocumentError:
            query = select(snapshots.c.sequence).where(snapshots.c.id == row.id)
            with self._storage.reading() as connection:
                if connection.execute(query).first() is not None:
                    raise
            return None

    def _snapshot(self, row: Row[Any], experiment_id: str) -> Snapshot:
        what = f"state of snapshot {row.id} of trial {row.trial_id}"
        state = documents.decode(self._storage, experiment_id, row.state, what)
        ids = UUID(row.id), UUID(row.trial_id)
        return Snapshot(*ids, state, row.label, row.created_at)
