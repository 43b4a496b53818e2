"""Which code made what is stored: the version of each run, and what it finished."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from ..trial.code_versions import Version
from ..trial.outcome import Status
from .file.rows import all_checked
from .file.tables import runs, trials
from .lookup import as_id, id_range

if TYPE_CHECKING:
    from uuid import UUID

    from .file.storage import Storage


class Versions:
    """The versions of the code that ran the experiments of one open database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def of_runs(self, experiment_id: UUID | str) -> list[tuple[int, Version]]:
        """Return the number of each run of an experiment, and of which code it was."""
        text = as_id(experiment_id, "an experiment")
        columns = runs.c.id, runs.c.git_commit, runs.c.sources
        query = select(*columns).where(runs.c.experiment_id == text)
        with self._storage.reading() as connection:
            found = connection.execute(query.order_by(runs.c.id))
            rows = all_checked(runs, found)
        return [(row.id, Version(row.git_commit, row.sources)) for row in rows]

    def finished_by_run(self, experiment_id: UUID | str) -> dict[int, int]:
        """Return how many trials each run finished. Reads all trials."""
        first, last = id_range(as_id(experiment_id, "an experiment"))
        query = (
            select(trials.c.run_id, func.count().label("trials"))
            .where(trials.c.id.between(first, last))
            .where(trials.c.status == Status.FINISHED, trials.c.run_id.is_not(None))
            .group_by(trials.c.run_id)
        )
        with self._storage.reading() as connection:
            rows = all_checked(trials, connection.execute(query))
        return {row.run_id: row.trials for row in rows}
