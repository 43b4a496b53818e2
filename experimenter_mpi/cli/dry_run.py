"""``run --dry-run``: say what would be run, and write nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..coordination.pending import Ranges, size_of
from ..errors import NotFoundError
from ..run.selection import of_share, only_chosen, require_trials
from .arguments import open_existing
from .overwriting import stored
from .table import print_table

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable

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
    ranges = _unfinished(experiment, session, given)
    left = size_of(ranges)
    if given.trial is not None:
        require_trials(experiment, given.trial)
        left = len(only_chosen(ranges, given.trial, _fatal(experiment, session, given)))
    share = given.share
    total = len(experiment) if share is None else share.count(experiment.asked)
    return [experiment.name, str(total), str(total - left), str(left)]


def _fatal(
    experiment: Experiment, session: Session | None, given: Namespace
) -> list[int]:
    """Return the trials that failed by deaths, which run only when they are chosen."""
    stored = None if session is None else _stored_id(experiment, session)
    if session is None or stored is None or given.overwrite:
        return []
    return of_share(given.share, session.deaths.fatal(stored))


def _unfinished(
    experiment: Experiment, session: Session | None, given: Namespace
) -> Iterable[range]:
    """Return the trials to run, and give the experiment the ones that are stored."""
    stored = None if session is None else _stored_id(experiment, session)
    if session is None or stored is None or given.overwrite:
        return _of_share([range(len(experiment))], given)
    retry = not given.no_retry_failed
    change = session.experiments.change(experiment) if given.extend else None
    if change is None:
        session.experiments.restore(experiment)
        unfinished = session.trials.unfinished
        return unfinished(stored, retry_failed=retry, share=given.share)
    print(f"{experiment.name}: {change}")
    experiment.study = change.after
    kept, new = change.extension.kept, change.study.blocks.size
    there = session.trials.unfinished_among(stored, kept, retry_failed=retry)
    return _of_share([*there, range(new, experiment.size)], given)


def _of_share(ranges: list[range], given: Namespace) -> Iterable[range]:
    if given.share is None:
        return ranges
    share = given.share
    return Ranges(lambda: share.of(ranges), share.count(ranges))


def _stored_id(experiment: Experiment, session: Session) -> str | None:
    try:
        found: str = session.reports.overview_of(experiment.name)["id"]
    except NotFoundError:
        return None
    return found
