"""``run --dry-run``: say what would be run, and write nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import NotFoundError
from .parser import open_existing
from .table import print_table

if TYPE_CHECKING:
    from argparse import Namespace

    from ..database.database import ExperimentDatabase
    from ..experiment import Experiment


def describe(experiments: list[Experiment], given: Namespace) -> int:
    """Print each experiment's trials and how many of them a run would run."""
    rows = [[e.name, str(len(e)), "0", str(len(e))] for e in experiments]
    if os.path.exists(given.db):
        with open_existing(given.db) as database:
            rows = [_row(experiment, database, given) for experiment in experiments]
    print_table(("experiment", "trials", "skipped", "to run"), rows)
    print(f"\nnothing was run or written; database: {given.db}")
    return 0


def _row(
    experiment: Experiment, database: ExperimentDatabase, given: Namespace
) -> list[str]:
    total = len(experiment)
    left = total if given.overwrite else _left(experiment, database, given)
    return [experiment.name, str(total), str(total - left), str(left)]


def _left(
    experiment: Experiment, database: ExperimentDatabase, given: Namespace
) -> int:
    try:
        database.get_experiment_by_name(experiment.name)
    except NotFoundError:
        return len(experiment)
    stored = database.restore_from_db(experiment)
    retry = not given.no_retry_failed
    ranges = database.unfinished(stored.id, retry_failed=retry)
    if given.trial is None:
        return sum(map(len, ranges))
    return sum(any(i in piece for piece in ranges) for i in set(given.trial))
