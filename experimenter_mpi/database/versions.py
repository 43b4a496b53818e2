"""Which code made what is stored: the version of each run, and what it finished."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from ..trial.code_versions import Version
from .file.rows import all_checked
from .file.tables import FINISHED, runs, trial_records
from .lookup import as_id, trial_keys

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from .file.storage import Storage

_LISTED = 5


def finished_by(runs: list[int], all_runs: Iterable[int]) -> str:
    """Return an SQL condition for the trials that some runs finished.

    ``all_runs`` are those that finished any: between two neighbours among them is
    nothing, and many become few ranges.
    """
    if len(runs) <= _LISTED:
        return f"status = 'finished' AND run_id IN ({', '.join(map(str, runs))})"
    neighbours = groupby(sorted(all_runs), set(runs).__contains__)
    pieces = [list(group) for is_one, group in neighbours if is_one]
    ranges = (f"run_id BETWEEN {piece[0]} AND {piece[-1]}" for piece in pieces)
    return f"status = 'finished' AND ({' OR '.join(ranges)})"


class Versions:
    """The versions of the code that ran the experiments of one open database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def of_runs(self, experiment_id: UUID | str) -> list[tuple[int, Version]]:
        """Return the number of each run of an experiment, and of which code it was."""
        text = as_id(experiment_id, "an experiment")
        columns = runs.c.id, runs.c.git_commit, runs.c.sources, runs.c.packages
        query = select(*columns).where(runs.c.experiment_id == text)
        with self._storage.reading() as connection:
            found = connection.execute(query.order_by(runs.c.id))
            rows = all_checked(runs, found)
        return [(row[0], Version(*row[1:])) for row in rows]

    def finished_by_run(self, experiment_id: UUID | str) -> dict[int, int]:
        """Return how many trials each run finished. Reads all trials."""
        with self._storage.reading() as connection:
            keys = trial_keys(self._storage, connection, experiment_id)
            mine = trial_records.c.key.between(keys.first, keys.last)
            is_of_run = trial_records.c.run_id.is_not(None)
            query = (
                select(trial_records.c.run_id, func.count().label("trials"))
                .where(mine, trial_records.c.status == FINISHED, is_of_run)
                .group_by(trial_records.c.run_id)
            )
            rows = all_checked(trial_records, connection.execute(query))
        return {row.run_id: row.trials for row in rows}
