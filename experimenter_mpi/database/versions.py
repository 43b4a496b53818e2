"""Which code made what is stored: the version of each run, and what it finished."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from ..trial.code_versions import Version
from ..trial.outcome import Status
from .file.rows import all_checked
from .file.tables import runs, trials
from .lookup import as_id, id_range

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
        return f"run_id IN ({', '.join(map(str, runs))})"
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
