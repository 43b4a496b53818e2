"""The runs table: when, where and how trials were run, and how that ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, update
from sqlalchemy.exc import OperationalError

from ..ledger import Status
from . import timestamps
from .lookup import as_id
from .tables import runs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from sqlalchemy import Connection

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


def end_open_runs(connection: Connection, ended: str) -> None:
    """Say how runs ended that could not say it: for who has the writer's lock now.

    They died where they left the lock behind. Where not, they came to their end and
    could not write it, since the disk was full; which may still be so.
    """
    try:
        is_open = "SELECT 1 FROM runs WHERE ended IS NULL LIMIT 1"
        if connection.exec_driver_sql(is_open).first() is not None:
            change = "UPDATE runs SET ended = ? WHERE ended IS NULL"
            connection.exec_driver_sql(change, (ended,))
    except OperationalError:
        pass
    finally:
        connection.rollback()  # the driver's statements are transactions of their own
