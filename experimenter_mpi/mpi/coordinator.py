"""Rank 0's loop: receive, let the dispatcher decide, carry out, commit in groups."""

from __future__ import annotations

import gc
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .. import overdue
from ..attempt import trial_error
from ..commits import GroupedCommits
from ..drain import Excuse
from ..errors import ExperimenterError, ProtocolError, rebuilt
from ..ledger import Entry, Place, RunningTrial, Status
from . import casualties
from . import messages as m
from .answers import Answers
from .deadlines import Deadlines
from .dispatch import Blame, Dispatcher, Instruction, Record, Send
from .pace import BATCHES_HELD, LARGEST_BATCH

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..sweep import Sweep
    from .transport import Transport

# How often an idle rank 0 looks at signals, the time limit and the progress display.
LOOK_SECONDS = 0.25
# Outcomes that a killed rank 0 may have had in hand: a tenth of a second's.
UNCOMMITTED = 10_000
# Ranks that may wait for one commit to be given a trial while messages keep coming.
MOST_WAITING = 64


def coordinate(
    transport: Transport, sweep: Sweep, batch_size: int | None
) -> ExperimenterError | None:
    """Run the sweep's trials on all worker ranks; return when all are released.

    Gives the error that the run is to end with, if any: a trial failed and the sweep
    stops there, or no worker could start. Whatever it raises instead came while
    workers were still busy. Where no worker is left alive it drains the sweep.
    """
    # What may become overdue goes out one by one: nothing is held up behind it, and
    # rank 0 knows which trial it is.
    one_by_one = sweep.trial_timeout is not None
    dispatcher = Dispatcher(
        sweep.pending,
        transport.workers,
        1 if one_by_one else batch_size,
        stop_on_failure=sweep.raise_errors,
        runs_out=sweep.drain.runs_out if sweep.drain.time_left() is not None else None,
        ahead=not one_by_one,
        deaths=sweep.deaths,
        fragile=not transport.survives_deaths,
        careful=_careful(transport) if sweep.after_a_crash else 0,
    )
    return _Coordinator(transport, sweep, dispatcher).run()


def _careful(transport: Transport) -> int:
    """How many of the first trials may be those that were out when the job died."""
    return BATCHES_HELD * LARGEST_BATCH * transport.size + UNCOMMITTED


@contextmanager
def _older_objects_left_alone() -> Iterator[None]:
    """Let the garbage collector look only at what is made from now on.

    Each trial leaves a few objects that live until the next commit: enough for it to go
    through all that the imports have made, again and again.
    """
    is_ours = gc.get_freeze_count() == 0
    if is_ours:
        gc.freeze()
    try:
        yield
    finally:
        if is_ours:
            gc.unfreeze()


class _Coordinator:
    def __init__(
        self, transport: Transport, sweep: Sweep, dispatcher: Dispatcher
    ) -> None:
        self._transport = transport
        self._drain = sweep.drain
        self._dispatcher = dispatcher
        self._ledger = sweep.ledger
        self._commits = GroupedCommits(sweep.ledger, sweep.on_recorded)
        self._answers = Answers(sweep.ledger, self._commits)
        self._places: dict[int, Place] = {}
        self._running: dict[int, RunningTrial] = {}
        self._note = sweep.note
        self._excuse = Excuse(sweep.drain, sweep.on_stopping)
        self._raise_errors = sweep.raise_errors
        self._first_failure: Entry | None = None
        self._limit = sweep.trial_timeout
        self._deadlines = None if self._limit is None else Deadlines(self._limit)
        # What each rank is to be sent after the next commit.
        self._waiting: dict[int, list[m.Message]] = {}
        # Ranks that may run another trial than at the last commit: not all are looked
        # at for each, of which there may be a hundred thousand.
        self._changed: set[int] = set()

    def run(self) -> ExperimenterError | None:
        try:
            with _older_objects_left_alone():
                while not self._dispatcher.done:
                    self._step()
            self._commit()  # releases may wait for it
        finally:
            self._commits.flush()
        if self._dispatcher.left and not self._transport.workers:
            self._drain.request("the death of all workers")
        return self._what_stopped_it()

    def _step(self) -> None:
        arrival = self._transport.poll()
        patience = self._patience(arrival)
        if not patience:
            self._commit()
        if arrival is None:
            seconds = min(patience or LOOK_SECONDS, LOOK_SECONDS)
            arrival = self._transport.receive(seconds, self._wake)
        if arrival is None:
            self._mourn()
        if self._drain.requested():
            left = self._drain.time_left()
            self._carry_out(self._dispatcher.drain(self._drain.reason or "", left))
            self._excuse.look()
        if arrival is not None:
            self._on(*arrival)
        if self._limit is not None and self._deadlines is not None:
            self._mind_the_time(self._limit, self._deadlines)

    def _patience(self, arrival: object | None) -> float:
        """Give how long a commit may wait; while messages come, for them."""
        waiting = len(self._waiting)
        if waiting >= MOST_WAITING or self._commits.due():
            return 0.0
        if arrival is None:
            return 0.0 if waiting else self._commits.patience()
        return LOOK_SECONDS

    def _mind_the_time(self, limit: float, deadlines: Deadlines) -> None:
        """Count overdue trials as failed, and end the run rather than wait for them.

        Raises:
            TrialTimeoutError: the run waits for nothing else.
        """
        workers, dispatcher = self._dispatcher.workers, self._dispatcher
        running = (
            (rank, worker.current)
            for rank, worker in workers.items()
            if worker.current is not None and not worker.overdue
        )
        for rank, seconds in deadlines.look(running).items():
            index, place = workers[rank].unreported()[0], self._places[rank]
            self._note(overdue.notice(index, place, limit))
            lost = overdue.outcome_of(index, seconds, limit)
            self._commit()  # which says that it runs, before it says that it failed
            self._carry_out(dispatcher.expire(rank, lost))
        over = dispatcher.draining or dispatcher.running_out
        hopeless = over or not dispatcher.left
        if deadlines.passed(stuck=dispatcher.waits_for_overdue, hopeless=hopeless):
            late = [worker.current for worker in workers.values() if worker.overdue]
            raise overdue.ended_without(late, dispatcher.left)

    def _wake(self) -> bool:
        return self._drain.requested() and not self._dispatcher.draining

    def _on(self, rank: int, message: m.Message) -> None:
        self._changed.add(rank)
        match message:
            case m.Finished(outcomes) if self._limit is not None:
                in_time = tuple(overdue.judged(each, self._limit) for each in outcomes)
                self._carry_out(self._dispatcher.on(rank, m.Finished(in_time)))
            case m.Finished() | m.Drained() | m.Begun():
                self._carry_out(self._dispatcher.on(rank, message))
            case (
                m.SaveSnapshot()
                | m.FetchSnapshot()
                | m.FetchResults()
                | m.CompleteTrial()
                | m.AddPiece()
                | m.FetchPiece()
            ):
                # What was finished before the question must be seen by its answer.
                self._commit()
                self._transport.send(rank, self._answers.to(message))
            case m.Ready(hostname) | m.Unable(hostname):
                self._places[rank] = Place(rank, hostname)
                self._carry_out(self._dispatcher.on(rank, message))
            case _:
                msg = f"rank {rank} sent {type(message).__name__} to the coordinator"
                raise ProtocolError(msg)

    def _carry_out(self, instructions: Sequence[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case Send(rank, message, marked):
                    self._changed.add(rank)
                    if marked or rank in self._waiting:  # nothing may overtake that
                        self._waiting.setdefault(rank, []).append(message)
                    else:
                        self._transport.send(rank, message)
                case Record(rank, outcomes):
                    place = self._places[rank]
                    entries = [Entry(outcome, place) for outcome in outcomes]
                    self._remember_failure(entries)
                    self._commits.add(entries)
                case Blame(rank, indices, fatal):
                    self._ledger.count_deaths(indices)
                    place = self._places[rank]
                    entries = [casualties.entry_of(index, place) for index in fatal]
                    self._remember_failure(entries)
                    self._commits.add(entries)

    def _mourn(self) -> None:
        """Go on without the ranks that have died since."""
        dead = self._transport.deaths()
        if not dead:
            return
        self._commit()
        instructions = self._dispatcher.lose(*dead)
        self._carry_out(instructions)
        blames = {i.rank: i for i in instructions if isinstance(i, Blame)}
        left = len(self._transport.workers)
        for rank in dead:
            self._running.pop(rank, None)
            self._note(
                casualties.news(rank, self._places.get(rank), blames.get(rank), left)
            )

    def _commit(self) -> None:
        self._commits.flush(self._newly_running())
        waiting, self._waiting = self._waiting, {}
        for rank, messages in waiting.items():
            for message in messages:
                self._transport.send(rank, message)

    def _newly_running(self) -> list[RunningTrial]:
        """Give the trials that have begun to run since the last commit.

        Those that began and ended between two commits are never marked: a sweep of
        short trials is not written twice.
        """
        fresh = []
        changed, self._changed = sorted(self._changed), set()
        for rank in changed:
            index = self._dispatcher.workers[rank].current
            known = self._running.get(rank)
            if index is None or (known is not None and known.index == index):
                continue
            running = RunningTrial(index, time.time(), self._places[rank])
            self._running[rank] = running
            fresh.append(running)
        return fresh

    def _remember_failure(self, entries: Sequence[Entry]) -> None:
        if self._first_failure is None:
            failed = (e for e in entries if e.outcome.status == Status.FAILED)
            self._first_failure = next(failed, None)

    def _what_stopped_it(self) -> ExperimenterError | None:
        unable, lost = self._dispatcher.unable, self._dispatcher.lost
        if unable and {*unable, *lost} == {*self._dispatcher.workers}:
            rank, first = min(unable.items())
            msg = f"rank {rank} on {first.hostname}: {first.message}"
            return rebuilt(first.error, msg)
        if self._raise_errors and self._first_failure is not None:
            return trial_error(self._first_failure)
        return None
