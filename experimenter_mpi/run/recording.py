"""A run's own row in the database: when, how and by whom it ran, and how it ended."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import TrialTimeoutError, WorkerDiedError, WorkLeft
from ..trial.outcome import Status
from . import provenance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from ..coordination.drain import Drain
    from ..database.session import Session
    from ..experiment.share import Share
    from ..modes import Workforce


@contextmanager
def recorded_run(
    session: Session,
    experiment_id: UUID,
    workforce: Workforce,
    share: Share | None,
    drain: Drain,
    code: provenance.Code,
) -> Iterator[int]:
    """Write the row when the run begins, and how it ended; give the run's id.

    Its counts are of the whole experiment, whatever share of it is run.
    """
    facts: dict[str, Any] = {
        **provenance.facts(workforce.mode, workforce.ranks, workforce.library),
        **code.facts(),
        "finished_before": session.trials.counts(experiment_id)[Status.FINISHED],
        "share": None if share is None else str(share),
    }
    run_id = session.runs.start(experiment_id, facts)
    ended = "error"
    try:
        yield run_id
        ended = "stopped" if drain.requested() or drain.shortage else "finished"
    except BaseException as error:
        ended = _ended_by(error)
        raise
    finally:
        # What ran as a worker died is found by the next run, as where rank 0 died.
        if ended != "died":
            session.deaths.release(experiment_id)
        counts = session.trials.counts(experiment_id)
        if ended == "finished" and counts[Status.FAILED]:
            ended = "failed"
        session.runs.finish(run_id, ended, counts)
        if ended not in ("error", "died"):  # else the disk may be full
            session.views.renew(experiment_id)


def _ended_by(error: BaseException) -> str:
    """Return what is recorded of a run that raises this."""
    if isinstance(error, (KeyboardInterrupt, WorkLeft)):
        return "stopped"
    if isinstance(error, TrialTimeoutError):  # an overdue trial was not waited for
        return "finished"
    return "died" if isinstance(error, WorkerDiedError) else "error"
