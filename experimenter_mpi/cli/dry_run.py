"""``run --dry-run``: say what would be run, and write nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..coordination.pending import Ranges, among, size_of
from ..errors import NotFoundError
from ..run.selection import require_trials
from .arguments import open_existing
from .overwriting import stored
from .table import print_table

if TYPE_CHECKING:
    from argparse import Namespace

    from ..database.session import Session
    from ..experiment.experiment import Experiment


def describe(experiments: list[Experiment], given: Namespace) -> int:
    """Print each experiment's trials and how many of them a run would run."""
    if os.path.exists(given.db):
        with open_existing(given.db) as session:
            rows = [_row(experiment, session, given) for experiment in experiments]
            lost = stored(experiments, session, given.share) if given.overwrite else []
    else:
        rows = [_row(experiment, None, given) for experiment in experiments]
        lost = []
    print_table(("experiment", "trials", "skipped", "to run"), rows)
    if lost:
        print(f"\n--overwrite would delete {', '.join(map(str, lost))}")
    print(f"\nnothing was run or written; database: {given.db}")
    return 0


def _row(
    experiment: Experiment, session: Session | None, given: Namespace
) -> list[str]:
    total = len(experiment)
    ranges = _unfinished(experiment, session, given)
    if given.share is not None:
        total = given.share.size(total)
    left = size_of(ranges)
    if given.trial is not None:
        require_trials(experiment, given.trial)
        left = len(among(ranges, given.trial))
    return [experiment.name, str(total), str(total - left), str(left)]


def _unfinished(
    experiment: Experiment, session: Session | None, given: Namespace
) -> Ranges:
    size, share = len(experiment), given.share
    everything = Ranges(lambda: [range(size)], size)
    if share is not None:
        everything = Ranges(lambda: share.of([range(size)]), share.size(size))
    if session is None or given.overwrite:
        return everything
    try:
        session.reports.overview_of(experiment.name)
    except NotFoundError:
        return everything
    stored = session.experiments.restore(experiment)
    return session.trials.unfinished(
        stored.id, retry_failed=not given.no_retry_failed, share=share
    )
