"""The runs table: when, where and how trials were run, and how that ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, update

from ..ledger import Status
from . import timestamps
from .lookup import as_id
from .tables import runs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from .storage import Storage

_COUNTED = (Status.FINISHED, Status.FAILED, Status.PENDING)


class Runs:
    """The runs of one open database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def start(self, experiment_id: UUID | str, facts: Mapping[str, Any]) -> int:
        """Record that a run begins; facts that have no column are left out."""
        values = {key: facts[key] for key in facts if key in runs.c}
        values["experiment_id"] = as_id(experiment_id, "an experiment")
        values.setdefault("started_at", timestamps.now())
        with self._storage.transaction() as connection:
            query = insert(runs).values(values).returning(runs.c.id)
            run_id: int = connection.execute(query).scalar_one()
        return run_id

    def finish(self, run_id: int, ended: str, counts: Mapping[str, int]) -> None:
        values: dict[str, Any] = {key: counts.get(key, 0) for key in _COUNTED}
        query = update(runs).where(runs.c.id == run_id)
        values.update(ended=ended, finished_at=timestamps.now())
        with self._storage.transaction() as connection:
            connection.execute(query.values(**values))
