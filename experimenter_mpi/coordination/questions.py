"""What a running trial asks of rank 0, as messages: one question, one answer.

Mirrors ``answers``, which is the other end.
"""

from __future__ import annotations

from _thread import allocate_lock, start_new_thread
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from . import messages as m

if TYPE_CHECKING:
    from collections.abc import Callable

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


# A new thread has its maker's number for a moment, and may be interrupted in its place.
_STARTED_SECONDS = 1.0


class Aside:
    """A thread that asks rank 0 in the place of a trial that could be interrupted.

    Python lets one thread of a trial raise an exception in another, as libraries for
    time limits do. In the middle of a conversation that would lose an order of rank 0,
    or leave an answer to the next question. This thread, which nobody knows, completes
    what it began.
    """

    def __init__(self) -> None:
        self._tasks: deque[Any] = deque()  # no queue: one more module
        self._gate = allocate_lock()
        self._begun: Any = None
        while self._begun is None or not self._begun.acquire(timeout=_STARTED_SECONDS):
            self._begun = allocate_lock()
            self._begun.acquire()
            start_new_thread(self._run, (self._begun,))

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what the function returns, or raise what it raises.

        Who is interrupted here leaves the function to its end, and forgets it.
        """
        ended, outcome = allocate_lock(), list[Any]()
        ended.acquire()
        self._add((function, arguments, outcome, ended))
        ended.acquire()
        value, error = outcome
        if error is not None:
            raise error
        return value

    def settle(self) -> None:
        """Wait for the end of what was called and forgotten."""
        self.call(int)

    def close(self) -> None:
        """Let the thread end, after what it has to do."""
        self._add(None)

    def _add(self, task: Any) -> None:
        self._tasks.append(task)
        with suppress(RuntimeError):  # it is open
            self._gate.release()

    def _next(self) -> Any:
        while not self._tasks:
            self._gate.acquire()
        return self._tasks.popleft()

    def _run(self, begun: Any) -> None:
        if begun is not self._begun:
            return  # it was slow, and another one has begun
        begun.release()
        while (task := self._next()) is not None:
            function, arguments, outcome, ended = task
            try:
                outcome += function(*arguments), None
            except BaseException as error:  # noqa: BLE001 - for who called
                outcome += None, error
            ended.release()
            del task, function, arguments, outcome, ended
