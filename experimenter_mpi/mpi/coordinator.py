"""Rank 0's loop: receive, let the dispatcher decide, carry out, commit in groups."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..commits import GroupedCommits
from ..errors import ExperimenterError, ProtocolError, TrialError, rebuilt
from ..ledger import Entry, Place, RunningTrial, Status
from . import messages as m
from .dispatch import Dispatcher, Instruction, Record, Send

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..sweep import Sweep
    from .transport import Transport

# How often an idle rank 0 looks at signals, the time limit and the progress display.
LOOK_SECONDS = 0.25


def coordinate(
    transport: Transport, sweep: Sweep, batch_size: int | None
) -> ExperimenterError | None:
    """Run the sweep's trials on all worker ranks; return when all are released.

    Gives the error that the run is to end with, if any: a trial failed and the sweep
    stops there, or no worker could start. Whatever it raises instead came while
    workers were still busy.
    """
    dispatcher = Dispatcher(
        sweep.pending,
        range(1, transport.size),
        batch_size,
        stop_on_failure=sweep.raise_errors,
    )
    return _Coordinator(transport, sweep, dispatcher).run()


class _Coordinator:
    def __init__(
        self, transport: Transport, sweep: Sweep, dispatcher: Dispatcher
    ) -> None:
        self._transport = transport
        self._ledger = sweep.ledger
        self._drain = sweep.drain
        self._dispatcher = dispatcher
        self._commits = GroupedCommits(sweep.ledger, sweep.on_recorded)
        self._places: dict[int, Place] = {}
        self._running: dict[int, RunningTrial] = {}
        self._raise_errors = sweep.raise_errors
        self._first_failure: Entry | None = None

    def run(self) -> ExperimenterError | None:
        try:
            while not self._dispatcher.done:
                self._step()
        finally:
            self._commits.flush()
        return self._what_stopped_it()

    def _step(self) -> None:
        arrival = self._transport.poll()
        if arrival is None or self._commits.due():
            self._commit()
        if arrival is None:
            arrival = self._transport.receive(LOOK_SECONDS, self._wake)
        if self._drain.requested():
            self._carry_out(self._dispatcher.drain(self._drain.reason or ""))
        if arrival is not None:
            self._on(*arrival)

    def _wake(self) -> bool:
        return self._drain.requested() and not self._dispatcher.draining

    def _on(self, rank: int, message: m.Message) -> None:
        match message:
            case m.SaveSnapshot(trial_id, state, label):
                self._answer(rank, self._on_save_snapshot, trial_id, state, label)
            case m.FetchSnapshot(trial_id):
                self._answer(rank, self._on_fetch_snapshot, trial_id)
            case m.FetchResults(trial_id):
                self._answer(rank, self._on_fetch_results, trial_id)
            case m.CompleteTrial(trial_id, results):
                self._answer(rank, self._on_complete_trial, trial_id, results)
            case m.Ready(hostname) | m.Unable(hostname):
                self._places[rank] = Place(rank, hostname)
                self._carry_out(self._dispatcher.on(rank, message))
            case m.Finished() | m.Drained():
                self._carry_out(self._dispatcher.on(rank, message))
            case _:
                msg = f"rank {rank} sent {type(message).__name__} to the coordinator"
                raise ProtocolError(msg)

    def _carry_out(self, instructions: Sequence[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case Send(rank, message):
                    self._transport.send(rank, message)
                case Record(rank, outcomes):
                    place = self._places[rank]
                    entries = [Entry(outcome, place) for outcome in outcomes]
                    self._remember_failure(entries)
                    self._commits.add(entries)

    def _commit(self) -> None:
        self._commits.flush(self._newly_running())

    def _newly_running(self) -> list[RunningTrial]:
        """Give the trials that have begun to run since the last commit.

        Those that began and ended between two commits are never marked: a sweep of
        short trials is not written twice.
        """
        fresh = []
        for rank, worker in self._dispatcher.workers.items():
            index = worker.current
            known = self._running.get(rank)
            if index is None or (known is not None and known.index == index):
                continue
            running = RunningTrial(index, time.time(), self._places[rank])
            self._running[rank] = running
            fresh.append(running)
        return fresh

    def _answer(self, rank: int, respond: Any, *question: Any) -> None:
        """Send the response, or the error that the trial is to see."""
        # What was finished before the question must be seen by its answer.
        self._commit()
        try:
            reply = respond(*question)
        except ExperimenterError as error:
            reply = m.Refused(type(error).__name__, str(error))
        self._transport.send(rank, reply)

    def _on_save_snapshot(self, trial_id: str, state: Any, label: Any) -> m.Message:
        self._commits.warn_of_pickles(state)
        self._ledger.save_snapshot(trial_id, state, label)
        return m.Done()

    def _on_fetch_snapshot(self, trial_id: str) -> m.Message:
        return m.SnapshotFound(self._ledger.latest_snapshot(trial_id))

    def _on_fetch_results(self, trial_id: str) -> m.Message:
        return m.ResultsFound(self._ledger.results_of(trial_id))

    def _on_complete_trial(self, trial_id: str, results: Any) -> m.Message:
        self._commits.warn_of_pickles(results)
        self._ledger.complete(trial_id, results)
        return m.Done()

    def _remember_failure(self, entries: Sequence[Entry]) -> None:
        if self._first_failure is None:
            failed = (e for e in entries if e.outcome.status == Status.FAILED)
            self._first_failure = next(failed, None)

    def _what_stopped_it(self) -> ExperimenterError | None:
        unable = self._dispatcher.unable
        if unable and len(unable) == len(self._dispatcher.workers):
            rank, first = min(unable.items())
            msg = f"rank {rank} on {first.hostname}: {first.message}"
            return rebuilt(first.error, msg)
        if self._raise_errors and self._first_failure is not None:
            return _trial_error(self._first_failure)
        return None


def _trial_error(entry: Entry) -> TrialError:
    """Give a trial's failure as an exception that carries where it happened."""
    place, failure = entry.place, entry.outcome.failure
    kind, text = (failure.type, failure.message) if failure else ("", "")
    return TrialError(
        f"trial {entry.outcome.index} failed on rank {place.rank} "
        f"({place.hostname}): {kind}: {text}",
        traceback=failure.traceback if failure else "",
        rank=place.rank,
        hostname=place.hostname,
    )
