"""What a running trial asks of rank 0, as messages: one question, one answer.

Mirrors ``answers``, which is the other end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import messages as m

if TYPE_CHECKING:
    from ..encoding.codec import Encoded
    from ..trial.outcome import StoredSnapshot


class Questions:
    """Implements ``context.TrialServices`` for whoever can ``ask`` rank 0 and wait.

    And ``remote_arrays.FileTransfer``, which brings array files to rank 0 and back.
    """

    def ask(self, question: m.Question, expected: Any) -> Any:
        """Send a question and return its answer, which is of the type ``expected``.

        Raises:
            ExperimenterError: rank 0 refused, with its reason.
        """
        raise NotImplementedError

    def forward(self, question: m.Question) -> m.Answer:
        """Return the answer to another process's question, or why there is none."""
        try:
            answer: m.Answer = self.ask(question, m.Answer)
        except Exception as error:  # noqa: BLE001 - as it would end a trial right here
            return m.Refused(type(error).__name__, str(error))
        return answer

    def save_snapshot(self, trial_id: str, state: Encoded, label: str | None) -> None:
        self.ask(m.SaveSnapshot(trial_id, state, label), m.Done)

    def latest_snapshot(self, trial_id: str) -> StoredSnapshot | None:
        answer = self.ask(m.FetchSnapshot(trial_id), m.SnapshotFound)
        snapshot: StoredSnapshot | None = answer.snapshot
        return snapshot

    def results_of(self, trial_id: str) -> Encoded | None:
        answer = self.ask(m.FetchResults(trial_id), m.ResultsFound)
        results: Encoded | None = answer.results
        return results

    def complete(self, trial_id: str, results: Encoded) -> None:
        self.ask(m.CompleteTrial(trial_id, results), m.Done)

    def add_piece(self, file: str, offset: int, data: bytes, *, is_last: bool) -> None:
        self.ask(m.AddPiece(file, offset, data, is_last), m.Done)

    def piece(self, file: str, offset: int, size: int) -> bytes:
        data: bytes = self.ask(m.FetchPiece(file, offset, size), m.Piece).data
        return data
