"""What ``force_overwrite`` deletes: of a share, the trials of that share alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ExperimentMismatchError, NotFoundError
from ..trial.outcome import Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..database.session import Session
    from ..experiment.experiment import Experiment
    from ..experiment.share import Share
    from .summary import Options


def indices_of(share: Share, trials: Iterable[range]) -> list[int]:
    """Return the indices of a share of these trials."""
    return [index for piece in share.of(trials) for index in piece]


def reset_own_share(experiment: Experiment, session: Session, options: Options) -> bool:
    """Reset the trials of the run's share, and return whether that was not enough.

    Then the whole stored experiment is to be deleted: there is no share, or it has
    another configuration and no other share has finished trials of it.

    Raises:
        ExperimentMismatchError: it has another configuration, and others have.
    """
    share = options.share
    if share is None or not options.force_overwrite:
        return options.force_overwrite
    try:
        stored = session.reports.overview_of(experiment.name)
    except NotFoundError:
        return False
    try:
        session.experiments.restore(experiment)
    except ExperimentMismatchError:
        finished = stored["counts"].get(Status.FINISHED, 0)
        if finished > session.trials.counts(stored["id"], share)[Status.FINISHED]:
            raise
        return True
    session.upkeep.reset(experiment.id, indices_of(share, experiment.asked))
    return False
