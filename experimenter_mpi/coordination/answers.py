"""What rank 0 answers to the questions of running trials; mirrors ``questions``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import (
    DatabaseLockedError,
    DatabaseWriteError,
    ExperimenterError,
    ProtocolError,
)
from . import messages as m

if TYPE_CHECKING:
    from ..encoding.codec import Encoded
    from .commits import GroupedCommits
    from .ledger import Ledger


class Answers:
    """Answers from the ledger; what is to be kept is durable when it is answered."""

    def __init__(self, ledger: Ledger, commits: GroupedCommits) -> None:
        self._ledger = ledger
        self._commits = commits

    def to(self, question: m.Question) -> m.Answer:
        """Return the answer, or the error that the trial is to see.

        Raises:
            DatabaseWriteError: nothing more can be kept, for this trial or any other.
            DatabaseLockedError: another process writes by now.
        """
        try:
            return self._answer(question)
        except (ProtocolError, DatabaseWriteError, DatabaseLockedError):
            raise
        except ExperimenterError as error:
            return m.Refused(type(error).__name__, str(error))

    def _answer(self, question: m.Question) -> m.Answer:
        match question:
            case m.SaveSnapshot(trial_id, state, label):
                self._commits.warn_of_pickles(state)
                self._ledger.save_snapshot(trial_id, state, label)
                return m.Done()
            case m.FetchSnapshot(trial_id):
                return m.SnapshotFound(self._ledger.latest_snapshot(trial_id))
            case m.FetchResults(trial_id):
                return m.ResultsFound(self._ledger.results_of(trial_id))
            case m.CompleteTrial(trial_id, results):
                return self._complete(trial_id, results)
            case m.AddPiece(file, offset, data, is_last):
                self._ledger.add_piece(file, offset, data, is_last=is_last)
                return m.Done()
            case m.FetchPiece(file, offset, size):
                return m.Piece(self._ledger.piece(file, offset, size))

    def _complete(self, trial_id: str, results: Encoded) -> m.Answer:
        self._commits.warn_of_pickles(results)
        self._ledger.complete(trial_id, results)
        return m.Done()
