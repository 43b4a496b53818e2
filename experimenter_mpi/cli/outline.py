"""A stored experiment, known by its name without its configuration being read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from ..errors import NotFoundError
from ..experiment.experiment import TrialIds

if TYPE_CHECKING:
    from ..database.session import Session


class Outline:
    """The id, the trials and the counts of an experiment; its values may be pickled.

    Raises:
        NotFoundError: the database has no experiment of this name.
    """

    def __init__(self, session: Session, name: str) -> None:
        described: dict[str, Any] = session.reports.overview_of(name)
        self.id = UUID(described["id"])
        self.trial_ids = TrialIds(self.id)
        self.counts: dict[str, int] = described["counts"]
        # What is set aside has its index, and may be looked at or deleted, as well.
        self.finished: int = self.counts["finished"] + described["finished_aside"]
        self._trials: int = described["trials"] + described["set_aside"]

    def __len__(self) -> int:
        return self._trials


def trial_id_of(session: Session, text: str) -> str:
    """Return the id of the trial that is named as ``NAME:INDEX``, or by its id.

    Raises:
        NotFoundError: there is no such experiment, or it has no such trial.
    """
    name, colon, index = text.rpartition(":")
    if not colon or not index.isdecimal():
        return text
    experiment = Outline(session, name)
    if int(index) >= len(experiment):
        msg = f"'{name}' has trials 0 to {len(experiment) - 1}, not {index}"
        raise NotFoundError(msg)
    return str(experiment.trial_ids[int(index)])
